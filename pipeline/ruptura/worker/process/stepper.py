"""Steps of the engine, in portions, between which the event loop runs and documents go out."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.core.engine import Config, Engine, runs
from ruptura.worker.process.membership import Membership

_PORTION_SECONDS: Final = 0.005  # of the engine's work, and 10 ms at most, before others may run


class Stepper:
    """Steps the engine, and publishes what comes out while its partitions are ours.

    Args:
        engine: Is stepped.
        membership: Nothing is published while it is doubtful.
        publish: Gets the effects of each portion.
        should_stop: Whether the worker stops.

    Attributes:
        lock: Held by whoever steps the engine, or needs it between two steps.
    """

    def __init__(
        self,
        engine: Engine,
        membership: Membership,
        publish: Callable[[Effects], Awaitable[None]],
        should_stop: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._membership = membership
        self._publish = publish
        self._should_stop = should_stop
        self.lock = asyncio.Lock()

    async def reconfigure(self, config: Config) -> None:
        """Replace the configuration, keep the state, in all partitions between the same two steps.

        After a crash, what came since the last checkpoint is stepped again, with whatever settings
        are in force then.

        It takes 2 µs for each channel, and 0.2 ms for each one with objectives, whose forecast is
        made anew; nothing else runs meanwhile.

        Raises:
            ValueError: as `Engine.reconfigure`; nothing has changed.
        """
        async with self.lock:
            self._engine.reconfigure(config)

    async def step_in_portions(self, inputs: Sequence[Input]) -> float:
        """Step the engine, as `Engine.step` does, but publish and let others run between portions.

        Called with the lock held. It is given up where partitions are lost: a rebalance takes all
        of them from the engine, and what was stepped comes again.

        Returns:
            The seconds that the engine took.
        """
        seconds, losses = 0.0, self._membership.losses
        waiting = deque(runs(inputs))
        while waiting or self._engine.due() is not None:
            started = time.perf_counter()
            effects = self._portion(waiting, started + _PORTION_SECONDS)
            seconds += time.perf_counter() - started
            while (
                self._membership.is_doubtful
                and losses == self._membership.losses
                and not self._should_stop()
            ):
                await self._membership.is_confirmed()
            if losses != self._membership.losses:
                break
            await self._publish(effects)
            await asyncio.sleep(0.0)
            if losses != self._membership.losses:
                break
        return seconds

    def _portion(self, waiting: deque[Tick | list[Record]], until: float) -> Effects:
        """Work until a moment of `time.perf_counter`; take from what waits only what is done."""
        engine, effects = self._engine, Effects()
        while True:
            due = engine.due()
            if due is not None:
                effects.add(engine.close(*due))
            elif waiting:
                run = waiting.popleft()
                if isinstance(run, Tick):
                    effects.add(engine.tick(run))
                else:
                    taken, found = engine.ingest(run)
                    effects.add(found)
                    if taken < len(run):
                        waiting.appendleft(run[taken:])
            else:
                return effects
            if time.perf_counter() >= until:
                return effects
