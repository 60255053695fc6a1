"""After any crash, alerts, dead letters and state are those of an undisturbed replay.

Every round begins with topics that hold data, and with no committed offsets. `make soak` does the
same for as long as one likes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ruptura.assembly.build import build_engine
from ruptura.settings import Settings
from tests.integration.conftest import settings_for
from tests.integration.crash import plays
from tests.integration.crash.load import patient, recorded
from tests.integration.crash.round import Round
from tests.integration.crash.verdict import state_differences
from tests.integration.kafka_server import KafkaServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


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
        plays.kill_at_every_moment(played)
        assert played.settle() == []
    assert played.fleet.kills.total() >= 6
    assert not played.fleet.ended


def test_a_worker_is_added_and_one_removed_under_load(tmp_path: Path, settings: Settings) -> None:
    with Round(patient(settings), seed=2, seconds=16.0, folder=tmp_path) as played:
        plays.add_one_and_remove_one(played)
        assert played.settle() == []
    assert not played.fleet.ended


def test_a_zombie_overwrites_and_contradicts_nothing(tmp_path: Path, settings: Settings) -> None:
    with Round(patient(settings), seed=3, seconds=25.0, folder=tmp_path) as played:
        plays.make_a_zombie(played)
        assert played.is_under_load
        assert played.settle() == []


def test_the_broker_is_killed_under_load(kafka_cache: Path, tmp_path: Path) -> None:
    with KafkaServer(kafka_cache, tmp_path / "kafka") as broker:
        settings = patient(settings_for(broker.bootstrap_servers, "crash"))
        with Round(settings, seed=4, seconds=20.0, folder=tmp_path) as played:
            plays.kill_the_broker(played, broker)
            assert played.settle() == []
    assert not played.fleet.ended


def test_the_changelog_is_deleted_and_made_anew(tmp_path: Path, settings: Settings) -> None:
    """Offsets are committed and no state is there: the inputs are read again from the earliest."""
    with Round(patient(settings), seed=5, seconds=15.0, folder=tmp_path) as played:
        plays.delete_the_changelog(played)
        assert played.settle() == []
    assert not played.fleet.ended
