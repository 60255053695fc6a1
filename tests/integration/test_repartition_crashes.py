"""With repartition forwarders and engines die together, and the alerts are those of the replay."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from kafka import KafkaConsumer, TopicPartition

from ruptura.assembly.build import repartition_topics
from ruptura.settings import Settings
from ruptura.tools import topics
from tests.integration.conftest import settings_for
from tests.integration.crash import plays
from tests.integration.crash.fleet import Fleet
from tests.integration.crash.load import patient, recorded, undisturbed
from tests.integration.crash.round import Round
from tests.integration.crash.verdict import Committed, _alerts, _contradictions, _dead_letters
from tests.integration.kafka_server import KafkaServer
from tests.integration.publisher import Publisher
from tests.integration.scattered import scattered, with_repartition
from tests.integration.workers import PARTITIONS, alerts_on

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def tuning(settings: Settings) -> Settings:
    return with_repartition(patient(settings))


class ScatteredRound(Round):
    """A round of the crash tests with records keyed by ticket."""

    def __init__(self, settings: Settings, seed: int, seconds: float, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.chance = Random(seed)
        told = scattered(recorded(seed, settings))
        self.records = len(told)
        self.expected = undisturbed(told, settings, folder)
        self.fleet = Fleet(settings, folder, self.chance, lambda _: None)
        self.publisher = Publisher(settings, told, seconds, self.records // 10)
        assert topics.create(settings).ok

    def settle(self) -> list[str]:
        """Wait until all is forwarded and saved, stop the workers; return what differs."""
        self.publisher.finish()
        forwarded = Committed(self.settings, self.expected.ends)
        found = [] if self.fleet.wait(forwarded.all) else forwarded.missing()
        saved = Committed(self.settings, self._ends())
        found += [] if self.fleet.wait(saved.all) else saved.missing()
        if not self.fleet.wait(self._is_told, 20.0):
            found.append("not every alert is on the topic")
        late = sum(
            self.fleet[name].counter("ruptura_events_late_total") for name in self.fleet.names
        )
        for name in self.fleet.names:
            self.fleet.stop(name)
        return [
            *found,
            *([f"{late} events are late"] if late else []),
            *_contradictions(alerts_on(self.settings)),
            *_alerts(alerts_on(self.settings), self.expected),
            *_dead_letters(self.settings, self.expected.bad),
        ]

    def _ends(self) -> dict[tuple[str, int], int]:
        with KafkaConsumer(bootstrap_servers=self.settings.kafka.bootstrap_servers) as consumer:
            partitions = [
                TopicPartition(topic, n)
                for topic in repartition_topics(self.settings).values()
                for n in range(PARTITIONS)
            ]
            return {
                (tp.topic, tp.partition): n for tp, n in consumer.end_offsets(partitions).items()
            }


def test_workers_killed_at_every_moment_lose_nothing_and_count_nothing_twice(
    tmp_path: Path, tuning: Settings
) -> None:
    with ScatteredRound(tuning, seed=1, seconds=45.0, folder=tmp_path) as played:
        plays.kill_at_every_moment(played)
        assert played.settle() == []
    assert played.fleet.kills.total() >= 5
    assert not played.fleet.ended


def test_a_zombie_that_forwards_again_changes_nothing(tmp_path: Path, tuning: Settings) -> None:
    with ScatteredRound(tuning, seed=3, seconds=25.0, folder=tmp_path) as played:
        plays.make_a_zombie(played)
        assert played.settle() == []


def test_the_broker_is_killed_under_load(kafka_cache: Path, tmp_path: Path) -> None:
    with KafkaServer(kafka_cache, tmp_path / "kafka") as broker:
        settings = with_repartition(patient(settings_for(broker.bootstrap_servers, "crash")))
        with ScatteredRound(settings, seed=4, seconds=20.0, folder=tmp_path) as played:
            plays.kill_the_broker(played, broker)
            assert played.settle() == []
    assert not played.fleet.ended


def test_a_worker_is_added_and_one_removed_under_load(tmp_path: Path, tuning: Settings) -> None:
    with ScatteredRound(tuning, seed=2, seconds=16.0, folder=tmp_path) as played:
        plays.add_one_and_remove_one(played)
        assert played.settle() == []
    assert not played.fleet.ended


def test_the_changelog_is_deleted_and_copies_are_read_again(
    tmp_path: Path, tuning: Settings
) -> None:
    with ScatteredRound(tuning, seed=5, seconds=15.0, folder=tmp_path) as played:
        plays.delete_the_changelog(played)
        assert played.settle() == []
    assert not played.fleet.ended
