"""The profile of a week: what days share, and how little it holds until they have come."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.detect.expectation import Position
from ruptura.core.detect.profile import HOURS, KINDS_OF_DAY, Grid, Weekly, position

GRID = Grid.of(60.0)

positions = st.builds(
    position, st.integers(0, KINDS_OF_DAY - 1), st.floats(0, 24, exclude_max=True)
)
lessons = st.lists(st.tuples(positions, st.floats(0, 1e6), st.floats(0.05, 1.0)), max_size=30)


def taught(steps: list[tuple[Position, float, float]], grid: Grid | None = None) -> Weekly:
    week = Weekly(grid or GRID)
    for at, value, weight in steps:
        week.learn(at, value, 1.0, weight)
    return week


def restored(week: Weekly) -> Weekly:
    copy = Weekly(GRID)
    copy.load(week.dump())
    return copy


def room(make: Callable[[], Weekly]) -> int:
    """Bytes that a profile takes in memory, of a hundred of them."""
    held = [make()]
    tracemalloc.start()
    held += [make() for _ in range(100)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(held) == 101
    return taken // 100


@given(lessons, positions)
def test_bytes_out_and_in_again_tell_the_same(
    steps: list[tuple[Position, float, float]], at: Position
) -> None:
    one, other = taught(steps), Weekly(Grid.of(60.0))
    other.load(one.dump())
    assert other.dump() == one.dump()
    assert other.rate(at, 3.0, 0.1) == one.rate(at, 3.0, 0.1)


@given(lessons, lessons, positions)
def test_profiles_on_one_grid_do_not_touch_each_other(
    steps: list[tuple[Position, float, float]],
    others: list[tuple[Position, float, float]],
    at: Position,
) -> None:
    grid = Grid.of(60.0)
    one, other = Weekly(grid), Weekly(grid)
    for n in range(max(len(steps), len(others))):
        for week, held in ((one, steps), (other, others)):
            if n < len(held):
                week.learn(held[n][0], held[n][1], 1.0, held[n][2])
    assert one.dump() == taught(steps).dump()
    assert other.rate(at, 3.0, 0.1) == taught(others).rate(at, 3.0, 0.1)


def test_a_day_that_never_came_is_expected_to_be_as_the_same_hour_of_the_others() -> None:
    week = taught([(position(0, 9.5), 7.0, 1.0)] * 600)
    rate, pooled, known, exposure = week.rate(position(3, 9.5), 1.0, 0.1)
    assert rate == pooled > 6.0
    assert known == 0.0
    assert exposure == 60.0


def test_days_are_held_once_they_have_come() -> None:
    working = taught([(position(0, float(hour)), 1.0, 1.0) for hour in range(HOURS)])
    holidays = taught([(position(3, float(hour)), 1.0, 1.0) for hour in range(HOURS)])
    assert len(working.dump()) == 2 * len(Weekly(Grid.of(60.0)).dump())
    assert len(holidays.dump()) == (1 + KINDS_OF_DAY) * len(Weekly(Grid.of(60.0)).dump())
    assert room(lambda: restored(working)) < 0.6 * room(lambda: restored(holidays))


def test_a_state_takes_no_more_room_when_it_comes_back() -> None:
    lesson = [(position(0, 3.0), 1.0, 1.0)]
    state = taught(lesson)
    assert room(lambda: restored(state)) < 1.2 * room(
        lambda: taught(lesson)
    )  # another day doubles it


@given(lessons, positions, st.floats(0.1, 10.0))
def test_a_level_that_moves_moves_all_rates(
    steps: list[tuple[Position, float, float]], at: Position, factor: float
) -> None:
    one, scaled, shifted = taught(steps), taught(steps), taught(steps)
    scaled.scale(factor)
    shifted.shift(factor)
    rate = one.rate(at, 3.0, 0.1)
    assert scaled.rate(at, 3.0 * factor, 0.1)[0] == pytest.approx(rate[0] * factor)
    assert shifted.rate(at, 3.0 + factor, 0.1)[0] == pytest.approx(rate[0] + factor)
    assert scaled.rate(at, 3.0 * factor, 0.1)[2:] == rate[2:]
