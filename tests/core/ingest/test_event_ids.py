"""Event_ids: what was seen before is known, for its time, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.ingest.event_ids import EventIds, identity


def test_an_event_is_remembered_for_its_time_and_no_longer_than_twice() -> None:
    seen = EventIds(set(), set(), 0.0)
    assert not seen.is_repeated("e7", 0.0, 600.0, 1000)
    assert seen.is_repeated("e7", 599.0, 600.0, 1000)
    assert seen.is_repeated("e7", 600.0, 600.0, 1000)
    assert not seen.is_repeated("e7", 1300.0, 600.0, 1000)


@given(st.integers(0, 200))
def test_memory_is_bounded(most: int) -> None:
    seen = EventIds(set(), set(), 0.0)
    for number in range(1000):
        assert not seen.is_repeated(str(number), 0.0, 600.0, most)
        assert len(seen.recent) + len(seen.older) <= most + 1


def test_the_last_half_is_always_remembered() -> None:
    seen = EventIds(set(), set(), 0.0)
    for number in range(1000):
        seen.is_repeated(str(number), 0.0, 600.0, 100)
    assert all(identity(str(n)) in seen.recent | seen.older for n in range(951, 1000))


@given(st.lists(st.integers(0, 20)), st.integers(2, 30))
def test_it_knows_what_two_generations_of_half_the_most_hold(numbers: list[int], most: int) -> None:
    seen = EventIds(set(), set(), 0.0)
    recent: set[int] = set()
    older: set[int] = set()
    for number in numbers:
        known = number in recent | older
        if not known:
            recent.add(number)
            if len(recent) * 2 > most:
                older, recent = recent, set()
        assert seen.is_repeated(str(number), 0.0, 600.0, most) == known
        assert seen.recent == {identity(str(n)) for n in recent}
        assert seen.older == {identity(str(n)) for n in older}


@pytest.mark.parametrize(("seconds", "most"), [(0.0, 1000), (600.0, 0)])
def test_without_memory_nothing_is_repeated(seconds: float, most: int) -> None:
    seen = EventIds(set(), set(), 0.0)
    assert not any(seen.is_repeated("e", 0.0, seconds, most) for _ in range(3))
    assert seen == EventIds(set(), set(), 0.0)
