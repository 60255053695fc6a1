"""Scan statistic: it adds up over buckets, fades, and learns how much sums vary."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.contracts.tuning import DetectionTuning
from ruptura.core.detect.dispersion import Dispersion
from ruptura.core.detect.expectation import Expectation
from ruptura.core.detect.families.factory import likelihood
from ruptura.core.detect.scan import STRIDE, Scales, ScanStatistic
from ruptura.core.detect.scan_result import ScanResult
from ruptura.core.series.registry import Family, SeriesSpec

DUE = Expectation(10.0, 10.0, 10.0, 0.0, 0.01, 0.0)
RATE = Expectation(0.05, 0.05, 0.05, 0.0, 0.01, 0.0)
LEVEL = Expectation(5.0, 5.0, 5.0, 1.0, 0.05, 20.0)
SCALES = Scales(60.0)
TUNING = DetectionTuning(
    warm_up_seconds=86_400,
    band_probability=0.001,
    minimum_relative_effect=0.3,
    minimum_count_effect=5.0,
    signal_probability=0.001,
)


def new_dispersion(family: Family) -> Dispersion:
    judged = likelihood(SeriesSpec(family=family), TUNING)
    return Dispersion(SCALES.memory / STRIDE, judged.PRIOR_DISPERSION)


def new_scan(
    family: Family, scales: Scales = SCALES, dispersion: Dispersion | None = None
) -> ScanStatistic:
    judged = likelihood(SeriesSpec(family=family), TUNING)
    return ScanStatistic(judged, scales, dispersion or new_dispersion(family))


def add(
    scan: ScanStatistic, observed: float, size: float, expected: Expectation, effect: float = 0.0
) -> ScanResult:
    """Let a bucket pass that teaches nothing."""
    result = scan.score(observed, size, expected, effect)
    scan.advance(result)
    return result


def learn(
    scan: ScanStatistic, observed: float, size: float, expected: Expectation, weight: float = 1.0
) -> ScanResult:
    result = scan.score(observed, size, expected)
    scan.learn(result, weight, 1.0)
    return result


def test_a_small_excess_becomes_strange_only_when_it_lasts() -> None:
    scan = new_scan("count")
    probabilities = [add(scan, 14.0, 1.0, DUE).above.probability for _ in range(60)]
    assert probabilities[0] > 0.05
    assert probabilities[-1] < 1e-6
    assert probabilities[-1] < probabilities[10] < probabilities[0]


def test_one_outlier_is_cut_before_it_is_added_up() -> None:
    wild, bad = new_scan("count"), new_scan("count")
    assert add(wild, 1e15, 1.0, DUE).above.probability == add(bad, 1e6, 1.0, DUE).above.probability


def test_it_fades_when_all_is_well_again() -> None:
    scan = new_scan("count")
    for _ in range(20):
        found = add(scan, 40.0, 1.0, DUE)
    assert found.above.probability < 1e-6
    for _ in range(600):
        found = add(scan, 10.0, 1.0, DUE)
    assert found.above.probability == 1.0


def test_what_is_due_lies_between_two_ends_where_little_is_known() -> None:
    apart = Expectation(10.0, 2.0, 30.0, 0.0, 0.01, 0.0)
    scan = new_scan("count")
    for value in (2.0, 30.0, 12.0) * 20:
        found = add(scan, value, 1.0, apart)
        assert (found.above.probability, found.below.probability) == (1.0, 1.0)


def test_the_dispersion_is_learned() -> None:
    chance = np.random.default_rng(0)
    scan = new_scan("count")
    for value in chance.negative_binomial(5.0, 1 / 3, 40_000):  # mean 10, variance 30
        learn(scan, float(value), 1.0, DUE)
    assert scan.dispersion(10.0) == pytest.approx(3.0, rel=0.15)


def test_a_level_that_is_not_known_well_teaches_no_dispersion() -> None:
    apart = Expectation(10.0, 2.0, 30.0, 0.0, 0.01, 0.0)
    scan = new_scan("count")
    for _ in range(100):
        learn(scan, 500.0, 1.0, apart)  # far off, but steadily so
    assert scan.dispersion(10.0) <= 1.5


@pytest.mark.parametrize("lag1", [0.0, 0.9])
def test_sums_of_correlated_neighbours_vary_more_and_that_is_known_after_a_day(lag1: float) -> None:
    chance = np.random.default_rng(0)
    scan, level = new_scan("gauge"), 0.0
    certain = Expectation(0.0, 0.0, 0.0, 1.0, 0.0, 30.0)
    for noise in chance.normal(0.0, math.sqrt(1.0 - lag1 * lag1), 1440):
        level = lag1 * level + noise
        learn(scan, level, 1.0, certain)
    decay = SCALES.decay[-1]
    expected = (1.0 + decay * lag1) / (1.0 - decay * lag1)
    found = scan.dispersion(0.0, longest=True) / scan.dispersion(0.0)
    assert found == pytest.approx(expected, rel=0.6)


def test_a_bucket_keeps_enough_of_a_large_deviation_for_it_to_matter() -> None:
    # A series that hardly varies: six deviations are less than the least effect.
    scan = new_scan("gauge")
    steady = Expectation(100.0, 100.0, 100.0, 0.1, 0.01, 30.0)
    cut = add(scan, 500.0, 1.0, steady)
    kept = add(new_scan("gauge"), 500.0, 1.0, steady, effect=100.0)
    assert cut.above.relative < 10.0
    assert kept.above.relative == pytest.approx(200.0, rel=0.02)  # less a standard error


def test_what_lies_as_far_out_again_and_again_is_believed_more_each_time() -> None:
    """A single bucket is cut to six deviations; of five of fifty in a row most is kept."""
    lasting = new_scan("gauge")
    steady = Expectation(100.0, 100.0, 100.0, 1.0, 0.01, 30.0)
    kept = [add(lasting, 150.0, 1.0, steady).deviation for _ in range(5)]
    assert kept == pytest.approx([kept[0] * times for times in (1, 2, 3, 4, 5)])
    assert kept[0] == pytest.approx(6.0, rel=0.03)
    again = new_scan("gauge")
    again.load(lasting.dump())
    assert (
        add(again, 150.0, 1.0, steady).above.probability
        == add(lasting, 150.0, 1.0, steady).above.probability
    )


def test_one_bad_hour_teaches_little_of_how_much_sums_vary() -> None:
    """Believed as it is it would be a hundred times what is usual, and hide the next one."""
    chance = np.random.default_rng(0)
    scan = new_scan("gauge")
    certain = Expectation(0.0, 0.0, 0.0, 1.0, 0.0, 30.0)
    for n in range(1440 + 30):
        learn(scan, float(chance.normal()) + (20.0 if n >= 1440 else 0.0), 1.0, certain)
    assert 1.0 <= scan.dispersion(0.0, longest=True) / scan.dispersion(0.0) < 3.0


def test_what_creeps_is_as_large_as_the_shortest_scale_that_is_sure_of_it_says() -> None:
    scan = new_scan("count")
    due = Expectation(1000.0, 1000.0, 1000.0, 0.0, 0.001, 0.0)
    for minute in range(40):
        found = add(scan, 1000.0 + 10.0 * minute, 1.0, due, effect=300.0)
    assert found.above.probability < 1e-6
    assert 0.3 < found.above.relative < 0.4  # of five minutes; that of the hour is still 0.2


@pytest.mark.parametrize("bucket", [1.0, 60.0, 900.0, 86_400.0])
def test_what_lasts_adds_up_at_every_length_of_bucket(bucket: float) -> None:
    scan = new_scan("count", Scales(bucket))
    found = [add(scan, 18.0, 1.0, DUE).above.probability for _ in range(30)]
    assert found[0] > 0.01
    assert found[-1] < found[0] / 10.0


families: dict[Family, Expectation] = {"count": DUE, "ratio": RATE, "gauge": LEVEL}


@pytest.mark.parametrize("family", families)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(5e-324, 1e15)), max_size=60))
def test_whatever_comes_it_is_a_probability(
    family: Family, buckets: list[tuple[float, float]]
) -> None:
    scan = new_scan(family)
    for share, size in buckets:
        value, whole = size, 1.0
        if family == "ratio":
            value, whole = share * size, size
        elif family == "gauge":
            value = (share - 0.5) * 2.0 * size
        found = learn(scan, value, whole, families[family], 0.5)
        assert 0.0 < found.above.probability <= 1.0
        assert 0.0 < found.below.probability <= 1.0
        assert math.isfinite(found.above.relative)
        assert math.isfinite(found.below.relative)
        assert scan.dispersion(10.0) >= 1.0


def test_out_and_in_again_changes_nothing_and_other_scales_are_refused() -> None:
    dispersion, again = new_dispersion("count"), new_dispersion("count")
    one, other = new_scan("count", SCALES, dispersion), new_scan("count", SCALES, again)
    for value in range(30):
        learn(one, float(value), 1.0, DUE)
    again.load(dispersion.dump())
    other.load(one.dump())
    assert other.dump() == one.dump()
    assert add(other, 9.0, 1.0, DUE) == add(one, 9.0, 1.0, DUE)
    with pytest.raises(ValueError, match="scales"):
        new_scan("count", Scales(3600.0)).load(one.dump())


def test_a_result_is_of_a_bucket_and_scoring_another_in_between_changes_nothing() -> None:
    one, other = new_scan("count"), new_scan("count")
    for value in range(30):
        result = one.score(float(value), 1.0, DUE)
        one.score(1e6, 1.0, DUE)
        one.learn(result, 1.0, 1.0)
        learn(other, float(value), 1.0, DUE)
    assert one.dump() == other.dump()
