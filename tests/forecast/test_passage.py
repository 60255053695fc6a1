"""First passage: against walks that were walked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.forecast.passage import normal, passage


@pytest.mark.parametrize(
    ("distance", "drift"), [(1.0, 0.0), (2.0, 1.0), (0.5, -0.5), (3.0, 2.5), (1.5, -1.0)]
)
def test_it_is_the_share_of_walks_that_pass(distance: float, drift: float) -> None:
    steps = 15
    chance = np.random.default_rng(1)
    moves = chance.normal(drift / steps, 1.0 / np.sqrt(steps), (40_000, steps))
    passed = (np.cumsum(moves, axis=1).max(axis=1) >= distance).mean()
    assert passage(distance, drift, 1.0, steps) == pytest.approx(passed, abs=0.02)


def test_without_chance_it_is_arithmetic() -> None:
    assert passage(1.0, 2.0, 0.0, 15) == 1.0
    assert passage(1.0, 0.5, 0.0, 15) == 0.0
    assert passage(0.0, -9.0, 1.0, 15) == 1.0
    assert normal(0.0) == 0.5


@given(st.floats(1e-6, 1e6), st.floats(-1e6, 1e6), st.floats(1e-9, 1e9), st.floats(1.0, 1e4))
def test_it_is_always_a_probability(
    distance: float, drift: float, variance: float, steps: float
) -> None:
    found = passage(distance, drift, variance, steps)
    assert 0.0 <= found <= 1.0
    assert passage(distance * 1.1, drift, variance, steps) <= found + 1e-9
