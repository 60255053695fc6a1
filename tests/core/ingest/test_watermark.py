"""The clocks: each source by itself, the partition by the slowest of them."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.assembly.build import build_config
from ruptura.core.contracts.record import Tick
from ruptura.core.ingest.watermark import SourceState, Watermark
from ruptura.settings import Settings

A, B = "a", "b"


def new(lateness: float = 30.0, idle: float = 30.0) -> Watermark:
    window = msgspec.structs.replace(
        build_config(Settings()).ingest.window,
        bucket_seconds=60,
        lateness_seconds=lateness,
        idle_seconds=idle,
    )
    return Watermark((A, B), window)


def see(mark: Watermark, topic: str, at: float, timestamp: float | None = None) -> None:
    source = mark.sources[topic]
    source.is_idle = False
    if source.see(at, at if timestamp is None else timestamp):
        mark.turn(source)


def test_nothing_closes_before_every_source_was_heard() -> None:
    mark = new()
    see(mark, A, 1e6)
    assert mark.first_open() == -1
    mark.tick(Tick(B, 0, 1e6))
    assert mark.first_open() == -1  # B is known to hold nothing, but not yet how far
    mark.tick(Tick(B, 0, 1e6))
    assert mark.first_open() == math.floor((1e6 - 30) / 60)


def test_the_slowest_source_decides_less_the_lateness() -> None:
    mark = new()
    see(mark, A, 6000.0)
    see(mark, B, 600.0)
    assert mark.first_open() == 9
    see(mark, B, 630.0)
    assert mark.first_open() == 10


def test_ticks_carry_a_clock_on_at_the_pace_of_the_broker() -> None:
    mark = new()
    source = mark.sources[A]
    see(mark, A, 4000.0, 5000.0)  # events come a thousand seconds late
    mark.tick(Tick(A, 0, 5600.0))
    assert source.clock == 4600.0
    mark.tick(Tick(A, 0, 5100.0))
    assert source.clock == 4600.0


def test_a_source_is_idle_only_after_its_time_and_by_its_own_ticks() -> None:
    mark = new(idle=100.0)
    see(mark, A, 1000.0)
    mark.tick(Tick(A, 0, 1050.0))
    assert not mark.sources[A].is_idle
    mark.tick(Tick(B, 0, 9000.0))
    assert not mark.sources[A].is_idle
    mark.tick(Tick(A, 0, 1100.0))
    assert mark.sources[A].is_idle


def test_an_idle_watermark_reaches_only_as_far_as_it_was_given() -> None:
    mark = new()
    see(mark, A, 1000.0)
    see(mark, B, 1000.0)
    mark.tick(Tick(B, 0, 90_000.0))  # B is far ahead
    for now in (1100.0, 1200.0, 1300.0):
        mark.tick(Tick(A, 0, now))
    assert mark.first_open() <= (1300 - 30) // 60


def test_clocks_that_are_not_finite_are_refused() -> None:
    for name in (
        "newest",
        "newest_at",
        "last_at",
        "ticked_at",
        "clock",
        "idle_watermark",
        "next_idle_watermark",
        "next_idle_watermark_at",
    ):
        with pytest.raises(ValueError, match="clock"):
            new().load({A: msgspec.structs.replace(SourceState(), **{name: math.nan})})
    for name in ("newest", "clock", "idle_watermark"):
        with pytest.raises(ValueError, match="clock"):
            new().load({A: msgspec.structs.replace(SourceState(), **{name: math.inf})})


inputs = st.lists(st.tuples(st.sampled_from([A, B]), st.booleans(), st.floats(0, 1e6)))


@given(inputs)
def test_a_source_s_own_clock_never_goes_back(steps: list[tuple[str, bool, float]]) -> None:
    mark = new()
    for topic, is_tick, at in steps:
        source = mark.sources[topic]
        before, first_open = source.clock, source.first_open
        if is_tick:
            mark.tick(Tick(topic, 0, at))
        else:
            see(mark, topic, at)
        assert source.clock >= before
        assert source.first_open >= first_open
        if source.clock > -math.inf:
            assert source.first_open == math.floor((source.clock - 30.0) / 60.0)
