"""Dispersion: constant or growing with the mean, heavy tails, correlated neighbours."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.detect.dispersion import Dispersion


def taught(deviations: Any, means: Any, *, vague: bool = False, prior: float = 1.5) -> Dispersion:
    dispersion = Dispersion(10_000.0, prior=prior)
    for deviation, mean in zip(deviations, means, strict=True):
        dispersion.learn(
            float(deviation), float(mean), float(mean), 1.0, is_vague=vague, is_lesson=True
        )
    return dispersion


def means(count: int = 8000) -> Any:
    return 60.0 * (1.0 + 0.9 * np.cos(np.arange(count) / 50.0))


def test_a_dispersion_that_is_the_same_everywhere_is_found() -> None:
    mean = means()
    events = np.random.default_rng(0).negative_binomial(mean / 4.0, 0.2)  # variance 5 x mean
    learned = taught(events - mean, mean)
    for at in (10.0, 60.0, 110.0):
        assert learned.at(at) == pytest.approx(5.0, rel=0.25)


def test_a_dispersion_that_grows_with_the_mean_is_found() -> None:
    mean = means()
    chance = np.random.default_rng(0)
    events = chance.poisson(mean * chance.gamma(10.0, 0.1, len(mean)))  # variance m + m^2 / 10
    learned = taught(events - mean, mean)
    for at in (10.0, 60.0, 110.0):
        assert learned.at(at) == pytest.approx(1.0 + at / 10.0, rel=0.25)


def test_a_mean_that_is_hardly_known_does_not_pass_for_dispersion() -> None:
    mean = means()
    events = np.random.default_rng(0).poisson(mean)
    flat = np.full(len(mean), mean.mean())
    assert taught(events - flat, flat).at(60.0) > 10.0
    assert taught(events - flat, flat, vague=True).at(60.0) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("lag1", [0.0, 0.5, 0.9])
def test_the_autocorrelation_of_neighbours_is_found(lag1: float) -> None:
    chance = np.random.default_rng(0)
    level, chain = 0.0, []
    for noise in chance.normal(0.0, math.sqrt(1.0 - lag1 * lag1), 8000):
        level = lag1 * level + noise
        chain.append(level)
    assert taught(chain, np.ones(8000), prior=1.04).lag1_autocorrelation == pytest.approx(
        lag1, abs=0.05
    )


def test_heavy_tails_have_few_degrees_of_freedom() -> None:
    chance = np.random.default_rng(0)
    found = {}
    for name, noise in {
        "normal": chance.normal(size=8000),
        "t5": chance.standard_t(5, 8000),
        "t3": chance.standard_t(3, 8000),
    }.items():
        # A gauge comes in deviations as its mean absolute deviation tells them.
        z = noise / (np.abs(noise).mean() * math.sqrt(math.pi / 2.0))
        dispersion = Dispersion(10_000.0, prior=1.04)
        for each in z:
            dispersion.learn(float(each), 1.0, 0.0, 1.0, is_vague=False, is_lesson=True)
        found[name] = dispersion.degrees_of_freedom
    assert found["normal"] > 15.0
    assert 3.5 < found["t5"] < 8.0
    assert 3.0 <= found["t3"] < found["t5"]


@given(st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12)), max_size=40))
def test_it_is_never_under_one_whatever_comes(lessons: list[tuple[float, float]]) -> None:
    dispersion = Dispersion(100.0, prior=1.5)
    for n, (deviation, mean) in enumerate(lessons):
        dispersion.learn(deviation, mean, mean, 0.5, is_vague=n % 3 == 0, is_lesson=n % 2 == 0)
        assert 1.0 <= dispersion.at(mean) < math.inf
        assert 0.0 <= dispersion.lag1_autocorrelation < 1.0
        assert 3.0 <= dispersion.degrees_of_freedom <= 30.0


def test_bytes_out_and_in_again_change_nothing_and_others_are_refused() -> None:
    one = taught([3.0, -2.0, 9.0] * 30, [5.0, 6.0, 7.0] * 30)
    other = Dispersion(10_000.0, prior=1.5)
    other.load(one.dump())
    assert other.dump() == one.dump()
    assert other.at(6.0) == one.at(6.0)
    assert other.lag1_autocorrelation == one.lag1_autocorrelation
    assert other.degrees_of_freedom == one.degrees_of_freedom
    for poison, told in ((math.nan, "not finite"), (math.inf, "not finite"), (-1.0, "moments")):
        with pytest.raises(ValueError, match=told):
            other.load(msgspec.structs.replace(one.dump(), weight=poison))
    with pytest.raises(ValueError, match="moments"):
        other.load(msgspec.structs.replace(one.dump(), lag1_autocorrelation=1.0))
    assert other.dump() == one.dump()
