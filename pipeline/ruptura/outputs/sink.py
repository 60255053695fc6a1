"""The protocol of outputs: what a step of the engine led to goes to each of a list of sinks.

Worker, replay and evaluations compose such a list and know no more of an output.

- `apply` gets the effects of each step once, in the order of the steps. It takes them over and
  returns: it does not wait for brokers, and takes no longer than it needs to write or encode them.
- What was applied is **safe** once it would outlive this process as far as the output promises:
  with Kafka, when all in-sync replicas have acknowledged it. Metrics, lines of a file and of a log
  promise nothing beyond `apply`; whoever opened a file closes it.
- `flush` returns when all that was applied before is safe, and raises otherwise. Only after it has
  returned does a worker write the state that reflects the step, and commit the positions.
- A failure of either ends the worker, without a checkpoint: to go on would be to commit records
  whose alerts nobody has. The next start repeats what came since the last checkpoint, and with it
  the same documents (an alert has the same `alert_id` and `sequence`). Hence a sink may not forget
  what has failed: each later `flush` raises, too. A sink that can lose an output without harm
  deals with the error itself.
- A worker calls both inside its event loop, `apply` from one task at a time; more may be applied
  while a `flush` waits. A replay applies outside of any event loop, and flushes once, at the end,
  in one of its own. So a sink that needs a loop to apply (Kafka's does) is for workers alone, and
  says so; what shall serve both may use one in `flush` only.
"""

from __future__ import annotations

from typing import Protocol

from ruptura.core.contracts.effects import Effects


class Sink(Protocol):
    """An output; the module says what it promises, and is promised."""

    @property
    def pending(self) -> int:
        """Documents that were applied and are not known to be safe."""

    def apply(self, effects: Effects) -> None:
        """Take over the outcome of a step; never waits for others.

        Raises:
            OSError: it cannot be written, where it is written at once.
        """

    async def flush(self) -> None:
        """Wait until all that was applied so far is safe.

        Raises:
            Exception: what keeps it from being so; so does each later call.
        """


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
