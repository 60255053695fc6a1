"""Several sinks are one: each gets everything, and all must be safe."""

from __future__ import annotations

import asyncio

import pytest

from ruptura.core.contracts.effects import Effects
from ruptura.outputs.sink import ImmediateSink, Sinks


class Slow:
    """A sink that holds what it gets until it is flushed."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.seen: list[int] = []
        self.pending = 0
        self._fault = fault

    def apply(self, effects: Effects) -> None:
        self.seen.append(effects.buckets)
        self.pending += 1

    async def flush(self) -> None:
        await asyncio.sleep(0)
        if self._fault is not None:
            raise self._fault
        self.pending = 0


class Quick(ImmediateSink):
    def __init__(self) -> None:
        self.seen: list[int] = []

    def apply(self, effects: Effects) -> None:
        self.seen.append(effects.buckets)


def test_every_sink_gets_every_step_in_order() -> None:
    one, other = Slow(), Quick()
    both = Sinks(one, other)
    for buckets in (1, 2):
        both.apply(Effects(buckets=buckets))
    assert one.seen == other.seen == [1, 2]


def test_what_is_pending_anywhere_is_pending_until_all_are_flushed() -> None:
    one, other = Slow(), Slow()
    all_of_them = Sinks(one, Quick(), other)
    all_of_them.apply(Effects())
    assert all_of_them.pending == 2
    asyncio.run(all_of_them.flush())
    assert all_of_them.pending == 0


def test_a_sink_that_fails_fails_the_flush() -> None:
    subject = Sinks(Quick(), Slow(OSError("full")))
    subject.apply(Effects())
    with pytest.raises(OSError, match="full"):
        asyncio.run(subject.flush())
