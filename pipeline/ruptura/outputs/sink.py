"""The protocol of outputs: what a step of the engine led to goes to each of a list of sinks.

Worker, replay and evaluations compose such a list and know no more of an output. A sink applies
effects at once, in order; what it has taken over is safe when `flush` has returned, and only then
a worker commits the positions of the records that led to it.
"""

from __future__ import annotations

from typing import Protocol

from ruptura.core.contracts.effects import Effects


class Sink(Protocol):
    """An output."""

    @property
    def pending(self) -> int:
        """Documents that were applied and are not known to be safe."""

    def apply(self, effects: Effects) -> None:
        """Take over the outcome of a step; never waits for others."""

    async def flush(self) -> None:
        """Wait until all that was applied so far is safe; raises what keeps it from being so."""


class ImmediateSink:
    """Base of sinks that are through with effects once these are applied."""

    @property
    def pending(self) -> int:
        """None ever."""
        return 0

    async def flush(self) -> None:
        """Return at once."""


class Sinks:
    """Several sinks as one.

    Args:
        sinks: Each gets all effects, in this order.
    """

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    @property
    def pending(self) -> int:
        """Documents of all sinks that are not known to be safe."""
        return sum(sink.pending for sink in self._sinks)

    def apply(self, effects: Effects) -> None:
        """Hand over the outcome of a step."""
        for sink in self._sinks:
            sink.apply(effects)

    async def flush(self) -> None:
        """Flush one after the other; raises what the first that fails raises."""
        for sink in self._sinks:
            await sink.flush()
