"""Nothing is lost and nothing counts twice, however workers come and go."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path
from time import sleep

import pytest

from ruptura.settings import Settings
from ruptura.shells import topics
from tests.integration.conftest import settings_for
from tests.integration.kafka_server import KafkaServer
from tests.integration.workers import (
    END,
    Outcome,
    WorkerProcess,
    alerts_on,
    in_order,
    replayed,
    ruptura,
    scenario,
    tuned,
    wait_for_alerts,
    worker,
    write_recording,
)
from tests.simulation.contact_centre import MINUTE

pytestmark = pytest.mark.integration


@pytest.fixture
def published(tmp_path: Path, topic_settings: Settings) -> tuple[Settings, Outcome]:
    """Settings of topics that hold the scenario, and what an undisturbed replay makes of it."""
    tuning = tuned(topic_settings)
    recording = write_recording(tmp_path / "in.jsonl", scenario(), tuning)
    ruptura(tuning, "publish", str(recording), "--speed", "max")
    return tuning, replayed([recording], tuning)


def assert_undisturbed(settings: Settings, expected: Outcome) -> None:
    """All alerts are there; those that came twice, came with the same bytes."""
    found = expected.comparable(alerts_on(settings))
    assert in_order(found) == in_order(expected.alerts)


@pytest.mark.parametrize("time", range(3))
def test_a_first_start_on_topics_that_hold_data_loses_nothing(
    tmp_path: Path, topic_settings: Settings, time: int
) -> None:
    tuning = tuned(topic_settings)
    told = scenario()[: 2000 + time]
    recording = write_recording(tmp_path / "in.jsonl", told, tuning)
    ruptura(tuning, "publish", str(recording), "--speed", "max")
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


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_minus_nine_in_midstream_changes_nothing(
    tmp_path: Path, published: tuple[Settings, Outcome], seed: int
) -> None:
    settings, expected = published
    chance = random.Random(seed)
    for _ in range(2):
        with WorkerProcess(settings, tmp_path / "worker.log") as running:
            if chance.random() < 0.4:
                # While it starts, joins the group or restores its state.
                running.url("/metrics")
                sleep(chance.uniform(0.5, 3.5))
            else:
                running.wait_ready()
                running.wait_consumed(chance.uniform(500.0, 12_000.0))
            running.kill()
    with worker(settings, tmp_path / "worker.log") as running:
        wait_for_alerts(running, settings, expected)
        assert not running.said("state refused")
        running.stop()
    assert_undisturbed(settings, expected)


def test_two_workers_share_the_partitions_and_one_may_leave(
    tmp_path: Path, topic_settings: Settings
) -> None:
    settings = tuned(topic_settings)
    told = scenario()
    middle = END - 200 * MINUTE
    recording = write_recording(tmp_path / "in.jsonl", told, settings)
    expected = replayed([recording], settings)
    first = write_recording(
        tmp_path / "1.jsonl", (r for r in told if r.timestamp < middle), settings
    )
    second = write_recording(
        tmp_path / "2.jsonl", (r for r in told if r.timestamp >= middle), settings
    )
    with ExitStack() as stack:
        one = stack.enter_context(worker(settings, tmp_path / "one.log"))
        two = stack.enter_context(WorkerProcess(settings, tmp_path / "two.log"))
        ruptura(settings, "publish", str(first), "--speed", "max")
        two.wait_ready()
        one.wait_ready()
        ruptura(settings, "publish", str(second), "--speed", "max")

        def shares() -> set[float]:
            return {each.counter("ruptura_worker_partitions") for each in (one, two)}

        one.wait(lambda: shares() == {4})
        two.stop()
        wait_for_alerts(one, settings, expected)
        assert one.counter("ruptura_worker_partitions") == 8
        one.stop()
    assert_undisturbed(settings, expected)


def test_a_crash_of_the_broker_in_midstream_changes_nothing(
    kafka_cache: Path, tmp_path: Path
) -> None:
    with KafkaServer(kafka_cache, tmp_path / "kafka") as broker:
        settings = tuned(settings_for(broker.bootstrap_servers, "crash"))
        assert topics.create(settings).ok
        told = scenario()
        middle = len(told) // 2
        first = write_recording(tmp_path / "1.jsonl", told[:middle], settings)
        second = write_recording(tmp_path / "2.jsonl", told[middle:], settings)
        expected = replayed([first, second], settings)
        ruptura(settings, "publish", str(first), "--speed", "max")
        with worker(settings, tmp_path / "worker.log") as running:
            running.wait_consumed(4_000)
            broker.kill()
            broker.start()
            ruptura(settings, "publish", str(second), "--speed", "max")
            wait_for_alerts(running, settings, expected)
            assert running.counter("ruptura_events_late_total") == 0
            running.stop()
        assert_undisturbed(settings, expected)
