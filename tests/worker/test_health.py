"""A worker that stands still says so, and says what stands still."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from ruptura.worker.health import LIMITS, UNANSWERED_SECONDS, Beat, Health


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("beat", list(LIMITS))
def test_each_silence_beyond_its_limit_is_a_fault_of_its_own(beat: Beat) -> None:
    clock = Clock()
    health = Health(clock)
    limit, text = LIMITS[beat]
    clock.now += limit
    health.heartbeat(*(other for other in LIMITS if other != beat))
    assert health.faults() == []
    clock.now += 0.5
    assert health.faults() == [f"{text} for {limit:.0f} s"]
    health.heartbeat(beat)
    assert health.faults() == []


def test_the_loop_may_stand_still_for_half_a_minute() -> None:
    assert LIMITS["step"][0] == 30.0


def test_the_ages_are_metrics() -> None:
    clock = Clock()
    health = Health(clock)
    health.partitions = 6
    registry = CollectorRegistry()
    registry.register(health)
    clock.now += 2.5
    health.heartbeat("poll")
    ages = {
        beat: registry.get_sample_value("ruptura_worker_beat_age_seconds", {"beat": beat})
        for beat in LIMITS
    }
    assert ages == {"step": 2.5, "poll": 0.0, "commit": 2.5, "checkpoint": 2.5, "assignment": 2.5}
    assert registry.get_sample_value("ruptura_worker_partitions") == 6
    assert registry.get_sample_value("ruptura_worker_kafka_reachable") == 1
    health.is_away = True
    assert registry.get_sample_value("ruptura_worker_kafka_reachable") == 0


def test_without_kafka_nothing_is_held_against_the_worker() -> None:
    clock = Clock()
    health = Health(clock)
    clock.now += 10_000
    assert len(health.faults()) == len(LIMITS)
    health.is_away = True
    assert health.faults() == []
    health.is_away = False
    assert len(health.faults()) == len(LIMITS)


def test_kafka_is_heard_while_it_answers_and_is_not_known_to_be_away() -> None:
    clock = Clock()
    health = Health(clock)
    heard = []
    for seconds in (UNANSWERED_SECONDS - 0.1, 0.1):
        clock.now += seconds
        heard.append(health.is_answered)
    health.heartbeat("poll")
    heard.append(health.is_answered)
    health.is_away = True
    heard.append(health.is_answered)
    assert heard == [True, False, True, False]


def test_doubt_comes_before_a_silent_kafka_is_a_fault() -> None:
    # Whether it is away is asked in time for `faults` to know.
    assert LIMITS["poll"][0] > UNANSWERED_SECONDS
