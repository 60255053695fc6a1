"""After any crash, alerts, dead letters and state are those of an undisturbed replay.

Every round begins with topics that hold data, and with no committed offsets. `make soak` does the
same for as long as one likes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ruptura.assembly import build_engine
from ruptura.settings import Settings
from tests.integration.conftest import settings_for
from tests.integration.crash.fleet import Fleet
from tests.integration.crash.load import patient, recorded
from tests.integration.crash.moments import MOMENTS
from tests.integration.crash.round import Round, make_changelog_anew
from tests.integration.crash.verdict import state_differences
from tests.integration.kafka_server import KafkaServer
from tests.integration.workers import PARTITIONS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def adopted(fleet: Fleet, name: str) -> set[int]:
    """The partitions that a worker was given since its start, of those that it ever had."""
    return {said["partition"] for said in fleet[name].said("partition adopted")}


def test_the_comparison_of_states_sees_one_missing_record(settings: Settings) -> None:
    tuning = patient(settings)
    told = recorded(1, tuning)
    whole, cut, short = (build_engine(tuning) for _ in range(3))
    middle = len(told) // 2
    whole.step(told)
    cut.step(told[:middle])
    cut.step(told[middle:])
    short.step(told[:middle] + told[middle + 1 :])
    assert not list(state_differences(cut, whole))
    [difference] = state_differences(short, whole)
    assert (told[middle].key or b"?").decode() in difference


def test_workers_killed_at_every_moment(tmp_path: Path, settings: Settings) -> None:
    with Round(patient(settings), seed=1, seconds=45.0, folder=tmp_path) as played:
        fleet = played.fleet
        fleet.start("one")
        fleet.start("two")
        moments = list(MOMENTS)
        played.chance.shuffle(moments)
        while played.is_under_load and moments:
            fleet.crash(played.chance.choice(("one", "two")), moments.pop())
        assert played.settle() == []
    assert fleet.kills.total() >= 6
    assert not fleet.ended


def test_a_worker_is_added_and_one_removed_under_load(tmp_path: Path, settings: Settings) -> None:
    with Round(patient(settings), seed=2, seconds=16.0, folder=tmp_path) as played:
        fleet = played.fleet
        fleet.start("one")
        fleet.wait_ready()
        fleet.start("two")
        fleet.wait_ready()
        assert fleet.wait(lambda: len(adopted(fleet, "two")) == PARTITIONS // 2)
        assert played.is_under_load
        fleet.stop("one")
        assert fleet.wait(lambda: len(adopted(fleet, "two")) == PARTITIONS)
        assert played.settle() == []
    assert not fleet.ended


def test_a_zombie_overwrites_and_contradicts_nothing(tmp_path: Path, settings: Settings) -> None:
    with Round(patient(settings), seed=3, seconds=25.0, folder=tmp_path) as played:
        fleet = played.fleet
        fleet.start("zombie")
        fleet.start("heir")
        fleet.wait_ready()
        fleet.freeze("zombie")
        # Its session times out, the heir takes all over, and goes on for a while.
        assert fleet.wait(lambda: len(adopted(fleet, "heir")) == PARTITIONS)
        taken = fleet["heir"].counter("ruptura_events_consumed_total")
        assert fleet.wait(
            lambda: fleet["heir"].counter("ruptura_events_consumed_total") > taken + 1000
        )
        fleet.thaw("zombie")
        assert played.is_under_load
        assert played.settle() == []


def test_the_broker_is_killed_under_load(kafka_cache: Path, tmp_path: Path) -> None:
    with KafkaServer(kafka_cache, tmp_path / "kafka") as broker:
        settings = patient(settings_for(broker.bootstrap_servers, "crash"))
        with Round(settings, seed=4, seconds=20.0, folder=tmp_path) as played:
            fleet = played.fleet
            fleet.start("one")
            fleet.start("two")
            fleet.wait_ready()
            assert played.is_under_load
            broker.kill()
            broker.start()
            assert played.settle() == []
    assert not fleet.ended


def test_the_changelog_is_deleted_and_made_anew(tmp_path: Path, settings: Settings) -> None:
    """Offsets are committed and no state is there: the inputs are read again from the earliest."""
    with Round(patient(settings), seed=5, seconds=15.0, folder=tmp_path) as played:
        fleet = played.fleet
        fleet.start("one")
        fleet.start("two")
        fleet.wait_ready()
        for name in fleet.names:
            fleet.kill(name)
        make_changelog_anew(played.settings)
        fleet.start("three")
        fleet.start("four")
        assert played.settle() == []
    assert not fleet.ended
