"""Erlang's formulas against published values, and against the chain that they solve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.forecast.erlang import blocking, delayed, steady, table


@pytest.mark.parametrize(
    ("agents", "load"),
    [(5, 1.361), (10, 4.461), (20, 12.031), (50, 37.901), (100, 84.064)],
)
def test_erlang_b_is_the_classic_table_of_loads_at_one_per_cent(agents: int, load: float) -> None:
    # As in Cooper, Introduction to Queueing Theory, 2nd ed. (1981), table A, and every later one.
    assert blocking(load, agents) == pytest.approx(0.01, abs=1e-5)


def test_erlang_b_goes_over_to_its_recursion_without_a_step() -> None:
    assert blocking(10.0, 10) == pytest.approx(0.2146, abs=5e-5)
    assert blocking(10.0 + 1e-9, 10) == pytest.approx(blocking(10.0, 10), rel=1e-6)
    assert blocking(5000.0, 1000) == pytest.approx(0.8, abs=1e-3)


class TestThePublishedExample:
    """50 agents, 48 calls a minute of a minute each, patience of two minutes.

    Mandelbaum & Zeltyn, Service engineering in action: the Palm/Erlang-A queue, in Advances in
    Services Innovations (2007), table 1; first in Garnett, Mandelbaum & Reiman (2002), section 1.
    """

    def test_without_abandonment(self) -> None:
        wait = delayed(48.0, 50) / (50 - 48)
        assert round(wait * 60.0, 1) == 20.8
        assert round(wait * 48.0) == 17

    def test_with_abandonment(self) -> None:
        state = steady(48.0, 50, patience=2.0, target=0.1)
        assert round(100.0 * state.abandoned, 1) == 3.1
        assert round(state.wait * 60.0, 1) == 3.7
        assert round(state.queue) == 3
        assert round(100.0 * 48.0 * (1.0 - state.abandoned) / 50.0) == 93


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 120), st.floats(0.2, 2.5), st.floats(0.05, 20.0))
def test_the_steady_state_is_that_of_the_birth_and_death_chain(
    agents: int, share: float, patience: float
) -> None:
    load = share * agents
    number = np.arange(agents + 4000)
    leaving = np.minimum(number + 1, agents) + np.maximum(number + 1 - agents, 0) / patience
    logs = np.concatenate(([0.0], np.cumsum(np.log(load / leaving))))
    chance = np.exp(logs - logs.max())
    chance /= chance.sum()
    waiting = np.maximum(np.arange(len(chance)) - agents, 0)
    state = steady(load, agents, patience, target=0.1)
    assert state.delayed == pytest.approx(chance[agents:].sum(), abs=1e-4)
    assert state.queue == pytest.approx((waiting * chance).sum(), rel=2e-3, abs=1e-3)
    assert state.abandoned == pytest.approx((waiting * chance).sum() / patience / load, abs=1e-4)


@pytest.mark.parametrize(("agents", "load", "target"), [(10, 8.0, 0.1), (40, 37.0, 0.05)])
def test_with_endless_patience_the_late_are_those_of_erlang_c(
    agents: int, load: float, target: float
) -> None:
    late = steady(load, agents, patience=1e5, target=target).late
    assert late == pytest.approx(delayed(load, agents) * math.exp(-(agents - load) * target), 1e-3)


def test_whoever_is_not_answered_in_time_is_late_or_gone() -> None:
    state = steady(12.0, 10, patience=2.0, target=1e6)
    assert state.late == pytest.approx(state.abandoned, abs=1e-6)
    assert steady(12.0, 10, patience=2.0, target=0.0).late == pytest.approx(state.delayed)


@pytest.mark.parametrize("agents", [1, 7, 300, 2000])
@pytest.mark.parametrize("patience", [0.02, 1.0, 200.0])
@pytest.mark.parametrize("target", [0.001, 0.1, 100.0])
def test_the_columns_of_a_table_rise_and_stay_finite(
    agents: int, patience: float, target: float
) -> None:
    found = table(agents, patience, target)
    for column in (found.present, found.late, found.abandoned):
        assert np.all(np.isfinite(column))
        assert np.all(np.diff(column) >= -1e-9)
    assert np.all(np.diff(found.present) > 0.0)
