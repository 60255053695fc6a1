"""Nothing is lost and nothing counts twice where workers start and stop in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from ruptura.settings import Settings
from tests.integration.publisher import publish
from tests.integration.workers import (
    Outcome,
    alerts_on,
    in_order,
    replayed,
    scenario,
    tuned,
    wait_for_alerts,
    worker,
    write_recording,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def published(tmp_path: Path, topic_settings: Settings) -> tuple[Settings, Outcome]:
    """Settings of topics that hold the scenario, and what an undisturbed replay makes of it."""
    tuning = tuned(topic_settings)
    recording = write_recording(tmp_path / "in.jsonl", scenario(), tuning)
    publish(tuning, scenario())
    return tuning, replayed([recording], tuning)


def assert_undisturbed(settings: Settings, expected: Outcome) -> None:
    """All alerts are there; those that came twice, came with the same bytes."""
    found = expected.comparable(alerts_on(settings))
    assert in_order(found) == in_order(expected.alerts)


@pytest.mark.parametrize("time", range(2))
def test_a_first_start_on_topics_that_hold_data_loses_nothing(
    tmp_path: Path, topic_settings: Settings, time: int
) -> None:
    tuning = tuned(topic_settings)
    told = scenario()[: 2000 + time]
    publish(tuning, told)
    with worker(tuning, tmp_path / "worker.log") as running:
        running.wait(lambda: running.counter("ruptura_events_consumed_total") >= len(told))
        assert running.counter("ruptura_events_consumed_total") == len(told)
        assert running.counter("ruptura_events_late_total") == 0
        running.stop()


def test_a_stop_and_a_start_in_midstream_change_nothing(
    tmp_path: Path, published: tuple[Settings, Outcome]
) -> None:
    settings, expected = published
    consumed = 0.0
    for stop_after in (5_000, 17_000):
        with worker(settings, tmp_path / "worker.log") as running:
            running.wait_consumed(stop_after - consumed)
            running.stop()
            # What was read is saved: the next one takes nothing of it again.
            consumed += running.said("everything is saved")[0]["records"]
    with worker(settings, tmp_path / "worker.log") as running:
        wait_for_alerts(running, settings, expected)
        running.wait(
            lambda: running.counter("ruptura_events_consumed_total") >= len(scenario()) - consumed
        )
        assert running.counter("ruptura_events_duplicate_total") == 0
        running.stop()
        consumed += running.said("everything is saved")[0]["records"]
    assert consumed == len(scenario())
    assert_undisturbed(settings, expected)
    # Not even one alert twice.
    documents = alerts_on(settings)
    assert len(set(documents)) == len(documents)
