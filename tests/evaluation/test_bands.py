"""Three-sigma bands, checked against numpy and against stories by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.evaluation.bands import DailyBands, Moments, WeeklyBands
from ruptura.evaluation.bucket import Bucket

MINUTE, HOUR, DAY, WEEK = 60.0, 3600.0, 86_400.0, 604_800.0


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=30, max_size=120),
    st.integers(30, 60),
    st.sampled_from([0.0, 1e6]),
)
def test_moments_are_those_of_the_last_values(
    values: list[float], count: int, level: float
) -> None:
    moments = Moments(count)
    for value in values:
        moments.add(level + value)
    window = np.array(values[-count:])
    deviation = float(window.std())
    expected = 0.0 if deviation < 1e-3 else (7.0 - float(window.mean())) / deviation
    if deviation >= 1e-3:
        assert moments.strangeness(level + 7.0) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_a_constant_series_is_never_strange() -> None:
    moments = Moments(100)
    for _ in range(200):
        moments.add(0.1)
    assert moments.strangeness(5.0) == 0.0


def test_a_few_values_say_nothing() -> None:
    moments = Moments(100)
    for value in range(29):
        moments.add(float(value))
    assert moments.strangeness(1e9) == 0.0


def daily(values: list[float], series: str = "errors_ratio") -> list[bool]:
    bands = DailyBands(MINUTE)
    return [
        bands.observe(Bucket(minute * MINUTE, {series: value}))[series]
        for minute, value in enumerate(values)
    ]


def test_errors_that_rise_far_are_beyond_the_band_of_the_day() -> None:
    noise = np.random.default_rng(1).normal(0.01, 0.001, 1500).tolist()
    told = daily([*noise, *([0.05] * 10)])
    assert sum(told[:1440]) <= 20
    assert all(told[1503:])


def test_errors_that_fall_are_not_bad() -> None:
    noise = np.random.default_rng(1).normal(0.05, 0.001, 1500).tolist()
    assert not any(daily([*noise, *([0.0] * 10)])[1500:])


def weekly(minutes: int, strange: range, missing: range = range(0)) -> list[bool]:
    """Requests with a season of a day, a noise, and a drop to nothing in some minutes."""
    bands = WeeklyBands(MINUTE)
    chance = np.random.default_rng(2)
    told = []
    for minute in range(minutes):
        level = 100.0 + 50.0 * np.sin(minute / 1440.0 * 2.0 * np.pi) + chance.normal(0.0, 2.0)
        if minute in strange:
            level = -150.0
        values = {} if minute in missing else {"requests": level}
        told.append(bands.observe(Bucket(minute * MINUTE, values)).get("requests", False))
    return told


def test_the_season_of_last_week_is_expected_and_a_break_of_it_is_not() -> None:
    begin = 10 * 1440
    told = weekly(11 * 1440, range(begin, begin + 30))
    assert not any(told[:begin])
    assert all(told[begin + 3 : begin + 30])
    assert not any(told[begin + 40 :])


def test_in_the_first_week_there_is_nothing_to_compare_with() -> None:
    assert not any(weekly(7 * 1440, range(5 * 1440, 5 * 1440 + 60)))


def test_a_gap_a_week_ago_leaves_nothing_to_compare_with() -> None:
    begin = 10 * 1440
    gap = range(begin - 10_080 - 60, begin - 10_080 + 120)
    assert not any(weekly(begin + 60, range(begin, begin + 30), gap)[begin : begin + 30])


def test_what_ran_along_equals_what_is_counted_anew() -> None:
    bands = WeeklyBands(MINUTE)
    chance = np.random.default_rng(3)
    values: dict[int, float] = {}
    for minute in range(12 * 1440):
        if chance.random() < 0.1:
            continue
        values[minute] = float(chance.poisson(20.0))
        bands.observe(Bucket(minute * MINUTE, {"requests": values[minute]}))
    [known] = bands._series.values()
    last = max(values)
    seen = sorted(values)
    rates = {
        minute: float(np.mean([values[m] for m in seen[max(at - 4, 0) : at + 1]]))
        for at, minute in enumerate(seen)
    }
    centre = last - 10_080
    hour = [rates[minute] for minute in range(centre - 30, centre + 31) if minute in rates]
    assert known._count == len(hour)
    assert known._total == pytest.approx(sum(hour))
