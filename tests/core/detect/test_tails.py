"""Tails: the textbook values, then the promises that hold for every argument."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ruptura.core.detect import tails

means = st.floats(1e-6, 1e6)
values = st.integers(0, 1_000_000).map(float)
dispersions = st.floats(1.0, 100.0)


@pytest.mark.parametrize("mean", [0.3, 5.0, 400.0])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.7])
def test_poisson_and_negative_binomial_tails_are_those_of_the_textbook(
    mean: float, share: float
) -> None:
    seen = round(mean * share)
    poisson = stats.poisson(mean)
    assert tails.count_above(seen, mean, 1.0) == pytest.approx(poisson.sf(seen - 1), rel=1e-6)
    assert tails.count_below(seen, mean, 1.0) == pytest.approx(poisson.cdf(seen), rel=1e-6)
    dispersion = 3.0
    wide = stats.nbinom(mean / (dispersion - 1), 1 / dispersion)
    assert tails.count_above(seen, mean, dispersion) == pytest.approx(wide.sf(seen - 1), rel=1e-6)
    assert tails.count_below(seen, mean, dispersion) == pytest.approx(wide.cdf(seen), rel=1e-6)
    assert tails.nothing(mean, dispersion) == pytest.approx(wide.pmf(0), rel=1e-6)


def test_forty_due_and_none_seen_is_as_unlikely_as_exp_of_minus_forty() -> None:
    assert tails.nothing(40.0, 1.0) == pytest.approx(math.exp(-40.0))


@pytest.mark.parametrize(("hits", "trials", "rate"), [(3, 20, 0.05), (0, 20, 0.05), (60, 200, 0.2)])
def test_binomial_tails_are_those_of_the_textbook(hits: int, trials: int, rate: float) -> None:
    exact = stats.binom(trials, rate)
    assert tails.ratio_above(hits, trials, rate, 1.0) == pytest.approx(exact.sf(hits - 1), rel=1e-6)
    assert tails.ratio_below(hits, trials, rate, 1.0) == pytest.approx(exact.cdf(hits), rel=1e-6)


@given(values, means, dispersions)
def test_every_count_has_a_probability(seen: float, mean: float, dispersion: float) -> None:
    for tail in (tails.count_above, tails.count_below):
        assert 0.0 < tail(seen, mean, dispersion) <= 1.0
    assert 0.0 < tails.nothing(mean, dispersion) <= 1.0


@given(st.floats(0, 1), st.floats(0, 1e15), st.floats(0, 1), dispersions)
def test_every_ratio_has_a_probability(
    share: float, trials: float, rate: float, dispersion: float
) -> None:
    for tail in (tails.ratio_above, tails.ratio_below):
        assert 0.0 < tail(share * trials, trials, rate, dispersion) <= 1.0


@given(means, dispersions, st.integers(0, 1000))
def test_more_is_never_less_strange_above(mean: float, dispersion: float, seen: int) -> None:
    one, two = (tails.count_above(float(n), mean, dispersion) for n in (seen, seen + 1))
    assert two <= one * (1 + 1e-9)


@pytest.mark.parametrize("freedom", [3.0, 5.0, 30.0])
def test_levels_are_in_units_of_their_own_deviation(freedom: float) -> None:
    textbook = stats.t(freedom)
    assert tails.level_beyond(4.0, freedom) == pytest.approx(textbook.sf(4.0 * textbook.std()))


@given(st.floats(-1e9, 1e9), st.floats(1.0, 1e6))
def test_every_level_has_a_probability(z: float, freedom: float) -> None:
    assert 0.0 < tails.level_beyond(z, freedom) <= 0.5


@given(st.floats(0, 1e15), st.floats(1e-9, 1e30))
def test_a_band_is_in_order(mean: float, variance: float) -> None:
    lower, upper = tails.gamma_band(mean, mean, variance, 0.001)
    assert 0.0 <= lower <= upper < math.inf
