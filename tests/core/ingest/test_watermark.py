"""The clocks: each source by itself, the partition by the slowest of them."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.contracts.record import Tick
from ruptura.core.ingest.watermark import Source, Watermark

A, B = "a", "b"


def new(lateness: float = 30.0, idle: float = 30.0) -> Watermark:
    return Watermark((A, B), 60.0, lateness, idle)


def see(mark: Watermark, topic: str, at: float) -> None:
    source = mark.sources[topic]
    source.heard, source.idle = True, False
    source.last_at = max(source.last_at, at)
    source.told_at = max(source.told_at, at)
    if at > source.newest:
        mark.see(source, at, at)


def test_nothing_closes_before_every_source_was_heard() -> None:
    mark = new()
    see(mark, A, 1e6)
    assert mark.closable() == -1
    mark.tick(Tick(B, 0, 1e6))
    assert mark.closable() == -1  # B is known to hold nothing, but not yet how far
    mark.tick(Tick(B, 0, 1e6))
    assert mark.closable() == math.floor((1e6 - 30) / 60)


def test_the_slowest_source_decides_less_the_lateness() -> None:
    mark = new()
    see(mark, A, 6000.0)
    see(mark, B, 600.0)
    assert mark.closable() == 9
    see(mark, B, 630.0)
    assert mark.closable() == 10


def test_ticks_carry_a_clock_on_at_the_pace_of_the_broker() -> None:
    mark = new()
    source = mark.sources[A]
    source.heard, source.last_at = True, 5000.0
    mark.see(source, 4000.0, 5000.0)  # events come a thousand seconds late
    mark.tick(Tick(A, 0, 5600.0))
    assert source.clock == 4600.0
    mark.tick(Tick(A, 0, 5100.0))
    assert source.clock == 4600.0


def test_a_source_is_idle_only_after_its_time_and_by_its_own_ticks() -> None:
    mark = new(idle=100.0)
    see(mark, A, 1000.0)
    mark.tick(Tick(A, 0, 1050.0))
    assert not mark.sources[A].idle
    mark.tick(Tick(B, 0, 9000.0))
    assert not mark.sources[A].idle
    mark.tick(Tick(A, 0, 1100.0))
    assert mark.sources[A].idle


def test_a_promise_reaches_only_as_far_as_it_was_given() -> None:
    mark = new()
    see(mark, A, 1000.0)
    see(mark, B, 1000.0)
    mark.tick(Tick(B, 0, 90_000.0))  # B is far ahead
    for now in (1100.0, 1200.0, 1300.0):
        mark.tick(Tick(A, 0, now))
    assert mark.closable() <= (1300 - 30) // 60


def test_clocks_that_are_none_are_refused() -> None:
    for name in ("newest", "newest_at", "last_at", "told_at", "clock", "reach", "mark", "mark_at"):
        with pytest.raises(ValueError, match="clock"):
            new().load({A: msgspec.structs.replace(Source(), **{name: math.nan})})
    for name in ("newest", "clock", "reach"):
        with pytest.raises(ValueError, match="clock"):
            new().load({A: msgspec.structs.replace(Source(), **{name: math.inf})})


inputs = st.lists(st.tuples(st.sampled_from([A, B]), st.booleans(), st.floats(0, 1e6)))


@given(inputs)
def test_a_source_s_own_clock_never_goes_back(steps: list[tuple[str, bool, float]]) -> None:
    mark = new()
    for topic, is_tick, at in steps:
        source = mark.sources[topic]
        before, closable = source.clock, source.closable
        if is_tick:
            mark.tick(Tick(topic, 0, at))
        else:
            see(mark, topic, at)
        assert source.clock >= before
        assert source.closable >= closable
        if source.clock > -math.inf:
            assert source.closable == math.floor((source.clock - 30.0) / 60.0)
