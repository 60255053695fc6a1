"""The profile of a week: what days share, and how little it holds until they have come."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.detect.profile import HOURS, KINDS_OF_DAY, Grid, Weekly
from ruptura.core.ingest.calendar import Phase

phases = st.builds(
    Phase,
    st.integers(0, KINDS_OF_DAY - 1),
    st.floats(0, 24, exclude_max=True),
    st.just(True),
)
lessons = st.lists(st.tuples(phases, st.floats(0, 1e6), st.floats(0.05, 1.0)), max_size=30)


def taught(steps: list[tuple[Phase, float, float]], grid: Grid | None = None) -> Weekly:
    week = Weekly(grid or Grid(60.0))
    for phase, value, weight in steps:
        week.learn(phase, value, 1.0, weight)
    return week


@given(lessons, phases)
def test_bytes_out_and_in_again_tell_the_same(
    steps: list[tuple[Phase, float, float]], phase: Phase
) -> None:
    one, other = taught(steps), Weekly(Grid(60.0))
    other.load(one.dump())
    assert other.dump() == one.dump()
    assert other.rate(phase, 3.0, 0.1) == one.rate(phase, 3.0, 0.1)


@given(lessons, lessons, phases)
def test_profiles_on_one_grid_do_not_touch_each_other(
    steps: list[tuple[Phase, float, float]],
    others: list[tuple[Phase, float, float]],
    phase: Phase,
) -> None:
    grid = Grid(60.0)
    one, other = Weekly(grid), Weekly(grid)
    for n in range(max(len(steps), len(others))):
        for week, held in ((one, steps), (other, others)):
            if n < len(held):
                week.learn(held[n][0], held[n][1], 1.0, held[n][2])
    assert one.dump() == taught(steps).dump()
    assert other.rate(phase, 3.0, 0.1) == taught(others).rate(phase, 3.0, 0.1)


def test_a_day_that_never_came_is_expected_to_be_as_the_same_hour_of_the_others() -> None:
    week = taught([(Phase(0, 9.5, True), 7.0, 1.0)] * 600)
    rate, pooled, known, exposure = week.rate(Phase(3, 9.5, True), 1.0, 0.1)
    assert rate == pooled > 6.0
    assert known == 0.0
    assert exposure == 60.0


def test_days_are_held_once_they_have_come() -> None:
    working = taught([(Phase(0, float(hour), True), 1.0, 1.0) for hour in range(HOURS)])
    holidays = taught([(Phase(3, float(hour), True), 1.0, 1.0) for hour in range(HOURS)])
    assert len(working.dump()) == len(holidays.dump()) == Weekly.dumped_bytes()
    sizes = [sys.getsizeof(week._cells) for week in (working, holidays)]
    assert sizes[0] < 0.6 * sizes[1]


def test_a_state_takes_no_more_room_when_it_comes_back() -> None:
    working = taught([(Phase(0, 3.0, True), 1.0, 1.0)])
    copy = Weekly(Grid(60.0))
    copy.load(working.dump())
    assert len(copy._cells) == len(working._cells)


@given(lessons, phases, st.floats(0.1, 10.0))
def test_a_level_that_moves_moves_all_rates(
    steps: list[tuple[Phase, float, float]], phase: Phase, factor: float
) -> None:
    one, scaled, shifted = taught(steps), taught(steps), taught(steps)
    scaled.scale(factor)
    shifted.shift(factor)
    rate = one.rate(phase, 3.0, 0.1)
    assert scaled.rate(phase, 3.0 * factor, 0.1)[0] == pytest.approx(rate[0] * factor)
    assert shifted.rate(phase, 3.0 + factor, 0.1)[0] == pytest.approx(rate[0] + factor)
    assert scaled.rate(phase, 3.0 * factor, 0.1)[2:] == rate[2:]
