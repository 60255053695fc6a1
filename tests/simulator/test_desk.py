"""The queue against theory: Erlang A, Little's law, and what holds for any arrivals."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ruptura.simulator.desk import Desk
from ruptura.simulator.figures import waiting
from tests.simulator.theory import batch_error, erlang_a

Floats = NDArray[np.float64]


def run(
    arrivals: float, handle: float, patience: float, agents: int, count: int, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Return when contacts came, what they were willing to wait, and when agents took them."""
    rng = np.random.default_rng(seed)
    at = np.cumsum(rng.exponential(1.0 / arrivals, count))
    willing = rng.exponential(patience, count)
    handling = rng.exponential(handle, count)
    desk = Desk([(0.0, math.inf)] * agents)
    taken = [
        desk.offer(*contact)
        for contact in zip(at.tolist(), willing.tolist(), handling.tolist(), strict=True)
    ]
    return at, willing, np.array([math.nan if t is None else t for t in taken])


CENTRES = {
    "idle": (0.05, 200.0, 120.0, 16),
    "busy": (0.05, 200.0, 120.0, 11),
    "overloaded": (0.05, 200.0, 120.0, 7),
    "patient": (0.2, 60.0, 1200.0, 13),
    "one agent": (0.002, 300.0, 600.0, 1),
}


@pytest.mark.parametrize(
    ("arrivals", "handle", "patience", "agents"), CENTRES.values(), ids=CENTRES
)
def test_waits_and_abandonment_are_those_of_erlang_a(
    arrivals: float, handle: float, patience: float, agents: int
):
    at, willing, taken = run(arrivals, handle, patience, agents, 120_000, seed=7)
    settled = slice(2_000, None)
    lost = np.isnan(taken)[settled].astype(np.float64)
    wait = np.where(np.isnan(taken), willing, taken - at)[settled]
    delayed = (wait > 0.0).astype(np.float64)

    expected = erlang_a(arrivals, handle, patience, agents)

    for measured, theory in zip((lost, wait, delayed), expected, strict=True):
        # Four standard errors of dependent values: once in 16,000 by chance.
        assert abs(measured.mean() - theory) < 4.0 * batch_error(measured)


def test_the_mean_queue_is_the_rate_times_the_mean_wait():
    at, willing, taken = run(0.05, 200.0, 120.0, 9, 60_000, seed=3)
    left = np.where(np.isnan(taken), at + willing, taken)
    minutes = int(at[-1] // 60.0)
    queue = waiting(at, left, minutes).astype(np.float64)

    rate, wait = len(at) / at[-1], (left - at).mean()

    # The queue is looked at once a minute: four standard errors of that look.
    assert abs(queue.mean() - rate * wait) < 4.0 * batch_error(queue)


contacts = st.lists(
    st.tuples(st.floats(0, 50), st.floats(0, 300), st.floats(1, 300)), min_size=1, max_size=60
)
shift_lists = st.lists(
    st.tuples(st.floats(0, 500), st.floats(1, 500)).map(lambda s: (s[0], s[0] + s[1])), max_size=6
)


@given(contacts, shift_lists)
def test_who_comes_first_is_taken_first_within_patience_and_by_an_agent_on_shift(
    drawn: list[tuple[float, float, float]], shifts: list[tuple[float, float]]
):
    desk = Desk(shifts)
    now, taken = 0.0, []
    busy: list[tuple[float, float]] = []
    for gap, patience, handling in drawn:
        now += gap
        begins = desk.offer(now, patience, handling)
        if begins is None:
            continue
        assert 0.0 <= begins - now <= patience
        assert any(first <= begins < last for first, last in shifts)
        taken.append(begins)
        busy.append((begins, begins + handling))

    assert all(a <= b for a, b in pairwise(taken))
    for begins, _ in busy:
        at_work = sum(first <= begins < last for first, last in busy)
        # An agent may still end a contact after the shift.
        assert at_work <= len(shifts)


def test_an_agent_ends_a_contact_after_the_shift_and_begins_none():
    desk = Desk([(0.0, 100.0)])

    assert desk.offer(90.0, 10.0, 60.0) == 90.0
    assert desk.offer(95.0, 1e9, 60.0) is None


def test_who_waits_is_taken_when_the_next_shift_begins():
    desk = Desk([(0.0, 100.0), (200.0, 300.0)])

    assert desk.offer(150.0, 60.0, 10.0) == 200.0
    assert desk.offer(151.0, 20.0, 10.0) is None
