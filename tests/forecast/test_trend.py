"""A trend: it follows, it doubts, it takes gaps and freaks for what they are."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.forecast.trend import Ahead, Trend

AHEAD = Ahead(60.0, (300.0, 600.0, 900.0), 1800.0)


def taught(values: list[float] | np.ndarray, **kind: bool) -> Trend:
    trend = Trend(AHEAD, **kind)
    for value in values:
        trend.learn(float(value), max(trend.level, 0.5) if kind else 1.0)
    return trend


def test_it_follows_a_line_and_goes_on_ever_more_slowly() -> None:
    trend = taught([10.0 + 0.5 * n for n in range(120)])
    assert trend.level == pytest.approx(69.5, abs=1.0)  # a damped slope lags
    means = [mean for mean, _ in trend.forecasts()]
    steps = np.diff([trend.level, *means])
    assert np.all(steps > 0.0)
    assert np.all(np.diff(steps) < 0.0)
    assert means[-1] < 69.5 + 0.5 * 15


def test_the_farther_ahead_the_less_it_knows() -> None:
    trend = taught(np.random.default_rng(1).normal(10.0, 1.0, 200))
    doubts = [doubt for _, doubt in trend.forecasts()]
    assert doubts == sorted(doubts)
    assert [trend.forecast(step) for step in range(3)] == [
        pytest.approx(both) for both in trend.forecasts()
    ]


def test_it_learns_how_much_measurements_vary() -> None:
    trend = taught(np.random.default_rng(2).normal(50.0, 4.0, 500))
    assert math.sqrt(trend.noise) == pytest.approx(4.0, rel=0.3)
    counts = taught(np.random.default_rng(3).poisson(9.0, 500), is_count=True)
    assert counts.noise == pytest.approx(9.0, rel=0.3)


def test_its_doubt_of_the_level_is_how_far_it_is_off() -> None:
    off = []
    for seed in range(60):
        trend = taught(np.random.default_rng(seed).poisson(9.0, 200), is_count=True)
        level, doubt = trend.forecast(0)
        off.append((level - 9.0) / math.sqrt(doubt))
    assert np.mean(off) == pytest.approx(0.0, abs=0.35)
    assert 0.4 < np.std(off) < 1.1  # it allows for a mean that moves, and here it does not


def test_one_freak_moves_it_little_and_many_move_it_all_the_way() -> None:
    quiet = np.random.default_rng(4).normal(10.0, 1.0, 100)
    trend = taught([*quiet, 1000.0])
    assert trend.level < 12.0
    assert taught([*quiet, *[100.0] * 60]).level == pytest.approx(100.0, abs=5.0)


def test_a_gap_is_doubt_and_soon_nothing_is_known() -> None:
    trend = taught(np.random.default_rng(5).normal(10.0, 1.0, 100))
    before = trend.forecast(0)[1]
    assert trend.is_known
    for _ in range(5):
        trend.skip()
    assert trend.forecast(0)[1] > before
    assert trend.is_known
    for _ in range(60):
        trend.skip()
    assert not trend.is_known


def test_what_was_hardly_seen_is_not_known() -> None:
    assert not taught([1.0] * 5).is_known
    assert taught([1.0] * 30).is_known
    trend = taught([1.0] * 30)
    trend.forget()
    assert not trend.is_known


values = st.floats(-1e12, 1e12)


@given(st.lists(st.one_of(st.none(), values), max_size=60))
def test_a_restored_trend_goes_on_without_a_difference(seen: list[float | None]) -> None:
    trend, again = Trend(AHEAD), Trend(AHEAD)
    for value in seen:
        if value is None:
            trend.skip()
            again.skip()
        else:
            trend.learn(value, 1.0)
            again.learn(value, 1.0)
        state = again.dump()
        assert len(state) == 32
        again = Trend(AHEAD)
        again.load(state)
        assert again.forecasts() == trend.forecasts()
        assert all(math.isfinite(x) for both in trend.forecasts() for x in both)


@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize("poison", [math.nan, math.inf, -1e30])
def test_numbers_that_are_not_finite_or_out_of_range_are_refused(place: int, poison: float) -> None:
    state = taught([1.0, 2.0, 3.0]).dump()
    bad = state[: 4 * place] + struct.pack("<f", poison) + state[4 * place + 4 :]
    with pytest.raises(ValueError, match=r"not finite|out of range|covariance"):
        Trend(AHEAD).load(bad)
    with pytest.raises(ValueError, match="not the state"):
        Trend(AHEAD).load(state[:-4])
