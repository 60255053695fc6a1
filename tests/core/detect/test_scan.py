"""Evidence: it adds up over buckets, fades, learns how much sums vary, and keeps its promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.detect.protocol import Expectation
from ruptura.core.detect.scan import Evidence, Scales
from ruptura.core.series.registry import Family

DUE = Expectation(10.0, 10.0, 10.0, 0.0, 0.01, 0.0)
RATE = Expectation(0.05, 0.05, 0.05, 0.0, 0.01, 0.0)
LEVEL = Expectation(5.0, 5.0, 5.0, 1.0, 0.05, 20.0)
SCALES = Scales(60.0)


def test_a_small_excess_becomes_strange_only_when_it_lasts() -> None:
    evidence = Evidence("count", SCALES)
    probabilities = [evidence.add(14.0, 1.0, DUE).above for _ in range(60)]
    assert probabilities[0] > 0.05
    assert probabilities[-1] < 1e-6
    assert probabilities[-1] < probabilities[10] < probabilities[0]


def test_one_freak_is_cut_before_it_is_added_up() -> None:
    wild, bad = Evidence("count", SCALES), Evidence("count", SCALES)
    assert wild.add(1e15, 1.0, DUE).above == bad.add(1e6, 1.0, DUE).above


def test_it_fades_when_all_is_well_again() -> None:
    evidence = Evidence("count", SCALES)
    for _ in range(20):
        found = evidence.add(40.0, 1.0, DUE)
    assert found.above < 1e-6
    for _ in range(600):
        found = evidence.add(10.0, 1.0, DUE)
    assert found.above == 1.0


def test_what_is_due_lies_between_two_ends_where_little_is_known() -> None:
    apart = Expectation(10.0, 2.0, 30.0, 0.0, 0.01, 0.0)
    evidence = Evidence("count", SCALES)
    for value in (2.0, 30.0, 12.0) * 20:
        found = evidence.add(value, 1.0, apart)
        assert (found.above, found.below) == (1.0, 1.0)


def test_the_dispersion_is_learned() -> None:
    chance = np.random.default_rng(0)
    evidence = Evidence("count", SCALES)
    for value in chance.negative_binomial(5.0, 1 / 3, 40_000):  # mean 10, variance 30
        evidence.add(float(value), 1.0, DUE)
        evidence.learn(1.0, 1.0)
    assert evidence.dispersion(10.0) == pytest.approx(3.0, rel=0.15)


def test_a_level_that_is_not_known_well_teaches_no_dispersion() -> None:
    apart = Expectation(10.0, 2.0, 30.0, 0.0, 0.01, 0.0)
    evidence = Evidence("count", SCALES)
    for _ in range(100):
        evidence.add(500.0, 1.0, apart)  # far off, but steadily so
        evidence.learn(1.0, 1.0)
    assert evidence.dispersion(10.0) <= 1.5


@pytest.mark.parametrize("ties", [0.0, 0.9])
def test_sums_of_tied_neighbours_vary_more_and_that_is_known_after_a_day(ties: float) -> None:
    chance = np.random.default_rng(0)
    evidence, level = Evidence("gauge", SCALES), 0.0
    certain = Expectation(0.0, 0.0, 0.0, 1.0, 0.0, 30.0)
    for noise in chance.normal(0.0, math.sqrt(1.0 - ties * ties), 1440):
        level = ties * level + noise
        evidence.add(level, 1.0, certain)
        evidence.learn(1.0, 1.0)
    keep = SCALES.keep[-1]
    expected = (1.0 + keep * ties) / (1.0 - keep * ties)
    found = evidence.dispersion(0.0, longest=True) / evidence.dispersion(0.0)
    assert found == pytest.approx(expected, rel=0.6)


def test_a_bucket_keeps_enough_of_a_large_deviation_for_it_to_matter() -> None:
    # A series that hardly varies: six deviations are less than the least effect.
    evidence = Evidence("gauge", SCALES)
    steady = Expectation(100.0, 100.0, 100.0, 0.1, 0.01, 30.0)
    cut = evidence.add(500.0, 1.0, steady)
    kept = Evidence("gauge", SCALES).add(500.0, 1.0, steady, effect=100.0)
    assert cut.rise_relative < 10.0
    assert kept.rise_relative == pytest.approx(200.0, rel=0.02)  # less a standard error


def test_a_freak_is_cut_and_what_lasts_is_believed() -> None:
    freak, lasting = Evidence("gauge", SCALES), Evidence("gauge", SCALES)
    steady = Expectation(100.0, 100.0, 100.0, 1.0, 0.01, 30.0)
    once = freak.add(150.0, 1.0, steady).above
    for _ in range(5):
        found = lasting.add(150.0, 1.0, steady)
    assert found.above < once / 1e3
    again = Evidence("gauge", SCALES)
    again.load(*lasting.dump())
    assert again.add(150.0, 1.0, steady).above == lasting.add(150.0, 1.0, steady).above


def test_what_creeps_is_as_large_as_the_shortest_scale_that_is_sure_of_it_says() -> None:
    evidence = Evidence("count", SCALES)
    due = Expectation(1000.0, 1000.0, 1000.0, 0.0, 0.001, 0.0)
    for minute in range(40):
        found = evidence.add(1000.0 + 10.0 * minute, 1.0, due, effect=300.0)
    assert found.above < 1e-6
    assert 0.3 < found.rise_relative < 0.4  # of five minutes; that of the hour is still 0.2


@pytest.mark.parametrize("bucket", [1.0, 60.0, 900.0, 86_400.0])
def test_every_length_of_bucket_has_scales(bucket: float) -> None:
    scales = Scales(bucket)
    assert scales.count >= 2
    assert all(0.0 <= keep < 1.0 for keep in scales.keep)


families: dict[Family, Expectation] = {"count": DUE, "ratio": RATE, "gauge": LEVEL}


@pytest.mark.parametrize("family", families)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(5e-324, 1e15)), max_size=60))
def test_whatever_comes_it_is_a_probability(
    family: Family, buckets: list[tuple[float, float]]
) -> None:
    evidence = Evidence(family, SCALES)
    for share, size in buckets:
        if family == "ratio":
            found = evidence.add(share * size, size, RATE)
        else:
            found = evidence.add(
                (share - 0.5) * 2.0 * size if family == "gauge" else size, 1.0, families[family]
            )
        evidence.learn(0.5, 1.0)
        assert 0.0 < found.above <= 1.0
        assert 0.0 < found.below <= 1.0
        assert math.isfinite(found.rise_relative)
        assert math.isfinite(found.drop_relative)
        assert evidence.dispersion(10.0) >= 1.0


def test_out_and_in_again_changes_nothing_and_other_scales_are_refused() -> None:
    one, other = Evidence("count", SCALES), Evidence("count", SCALES)
    for value in range(30):
        one.add(float(value), 1.0, DUE)
        one.learn(1.0, 1.0)
    other.load(*one.dump())
    assert other.dump() == one.dump()
    assert other.add(9.0, 1.0, DUE).above == one.add(9.0, 1.0, DUE).above
    with pytest.raises(ValueError, match="scales"):
        Evidence("count", Scales(3600.0)).load(*one.dump())
