"""A worker that stands still says so, and says what stands still."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from ruptura.shells.health import LIMITS, Beat, Pulse


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("beat", list(LIMITS))
def test_each_silence_beyond_its_limit_is_a_fault_of_its_own(beat: Beat) -> None:
    clock = Clock()
    pulse = Pulse(clock)
    limit, text = LIMITS[beat]
    clock.now += limit
    pulse.feel(*(other for other in LIMITS if other != beat))
    assert pulse.faults() == []
    clock.now += 0.5
    assert pulse.faults() == [f"{text} for {limit:.0f} s"]
    pulse.feel(beat)
    assert pulse.faults() == []


def test_the_loop_may_stand_still_for_half_a_minute() -> None:
    assert LIMITS["step"][0] == 30.0


def test_the_ages_are_metrics() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    pulse.partitions = 6
    registry = CollectorRegistry()
    registry.register(pulse)
    clock.now += 2.5
    pulse.feel("fetch")
    ages = {
        beat: registry.get_sample_value("ruptura_worker_beat_age_seconds", {"beat": beat})
        for beat in LIMITS
    }
    assert ages == {"step": 2.5, "fetch": 0.0, "checkpoint": 2.5, "assignment": 2.5}
    assert registry.get_sample_value("ruptura_worker_partitions") == 6
