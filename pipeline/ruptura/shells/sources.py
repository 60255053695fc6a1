"""The partitions that this worker was given: from where they are read, and how far they are.

Faust assigns and revokes them, and reads on from the committed offsets. We read on from the
positions that the saved state reflects, and look after what Faust may lose on the way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Any, cast

import faust
import structlog
from faust.types import TP

from ruptura.core.engine import Engine
from ruptura.shells.checkpoint import Checkpoints
from ruptura.shells.intake import Intake
from ruptura.shells.transport import Consumer

_PAUSE_SECONDS = 0.02  # while the group settles
_MARGIN_SECONDS = 0.5  # how far the broker's clock may differ from ours before a promise lies
_FRESH_SECONDS = 5.0  # an answer of Kafka that is not older is a sign of life

_log = structlog.get_logger("ruptura.worker")


class Sources:
    """The topic partitions in our hands.

    Args:
        app: The Faust app.
        topics: The input topics.
        engine: Is restored.
        checkpoints: Restores it.
        table: Holds what the changelog said.
        drop: Is told of a partition whose records and state do not count any more.

    Attributes:
        intakes: By topic partition; only of those whose state is restored.
    """

    def __init__(
        self,
        app: faust.App,
        topics: Collection[str],
        engine: Engine,
        checkpoints: Checkpoints,
        table: Any,
        drop: Callable[[int], None],
    ) -> None:
        self._app = app
        self._topics = frozenset(topics)
        self._engine = engine
        self._checkpoints = checkpoints
        self._table = table
        self._drop = drop
        self._restored: set[int] = set()
        self._adopting = asyncio.Lock()
        self.intakes: dict[TP, Intake] = {}

    @property
    def consumer(self) -> Consumer:
        """The consumer of our transport."""
        return cast(Consumer, self._app.consumer)

    @property
    def are_settled(self) -> bool:
        """Whether the group has settled, Faust's table is restored, and nobody stops us."""
        app = self._app
        tables = cast(Any, app.tables)  # Faust's interface leaves `recovery` out
        return bool(
            not app.should_stop
            and not app.rebalancing
            and tables.recovery.completed.is_set()
            and tables.actives_ready
        )

    @property
    def are_ready(self) -> bool:
        """Whether partitions are assigned and the state of all of them is restored."""
        if not self.are_settled:
            return False
        held = self.held()
        return bool(held) and held <= self.intakes.keys()

    def held(self) -> set[TP]:
        """The input partitions that are assigned to us."""
        return {tp for tp in self.consumer.assignment() if tp.topic in self._topics}

    async def adopt(self, tp: TP) -> Intake | None:
        """Return the intake of a partition, restoring it first if need be; None if not ours."""
        async with self._adopting:
            while not self.are_settled:
                if self._app.should_stop:
                    return None
                await asyncio.sleep(_PAUSE_SECONDS)
            held = self.held()
            if tp in held and tp not in self.intakes:
                # All in one go: every question to Faust's consumer thread waits for a fetch.
                await self._adopt_all([tp for tp in held if tp not in self.intakes])
            return self.intakes.get(tp)

    async def _adopt_all(self, fresh: list[TP]) -> None:
        """Restore the state of partitions, and know where their records go on."""
        consumer = self.consumer
        generation = self._app.consumer_generation_id
        earliest = await consumer.earliest_offsets(*fresh)
        ends = await consumer.highwaters(*fresh)
        if not self.are_settled or generation != self._app.consumer_generation_id:
            return
        for partition in sorted({tp.partition for tp in fresh} - self._restored):
            self._restore(partition, [(tp, ends.get(tp) or 0) for tp in fresh])
        for tp in fresh:
            committed = consumer.committed(tp)
            position = self._engine.position(tp.topic, tp.partition)
            if committed is not None and committed > (ends.get(tp) or 0):
                committed = None  # the topic was made anew
            first = earliest.get(tp) or 0
            start = max(committed or 0 if position is None else position, first)
            self.intakes[tp] = Intake(start)
            # Faust reads from there by itself, or from a little before, which is skipped; seeking
            # all the same would have it deliver twice what it has fetched so far.
            if start < (committed or 0) or (committed is None and start > first):
                await consumer.seek(tp, start)

    def _restore(self, partition: int, ends: list[tuple[TP, int]]) -> None:
        services, refused = self._checkpoints.restore(partition, dict(self._table.data))
        _log.info("partition adopted", partition=partition, services=services, refused=refused)
        for tp, end in ends:
            position = self._engine.position(tp.topic, partition)
            if tp.partition == partition and position is not None and position > end:
                # Records of a topic that was made anew would be taken for old ones, and skipped.
                _log.warning(
                    "state dropped: it reflects more records than the topic holds",
                    topic=tp.topic,
                    partition=partition,
                    position=position,
                    end=end,
                )
                self._drop(partition)
                break
        self._restored.add(partition)

    def revoke(self, revoked: set[TP]) -> None:
        """Let go of partitions."""
        for tp in revoked:
            self.intakes.pop(tp, None)
        for partition in {tp.partition for tp in revoked}:
            self._restored.discard(partition)
            self._drop(partition)

    async def read_again(self, tp: TP, intake: Intake, reason: str) -> None:
        """Seek back to the next record to take."""
        _log.info(
            "reading again",
            topic=tp.topic,
            partition=tp.partition,
            offset=intake.following,
            reason=reason,
        )
        await self.consumer.seek(tp, intake.following)

    async def promises(self) -> tuple[dict[TP, float], bool]:
        """Say how far all records of each partition that was read to its end were taken.

        Returns:
            Times of the broker in seconds since the Unix epoch, and whether Kafka is answering.
        """
        held = self.held()
        newest = 0.0 if held else time.time()
        promises: dict[TP, float] = {}
        for tp in held:
            intake = self.intakes.get(tp) or await self.adopt(tp)
            heard = self.consumer.end(tp)
            if intake is None or heard is None:
                continue
            answered_at, end = heard
            newest = max(newest, answered_at)
            if intake.is_at(end):
                promises[tp] = answered_at - _MARGIN_SECONDS
                continue
            position = await self.consumer.position(tp) or 0
            if intake.look(end, position, time.monotonic()) == "seek":
                await self.read_again(tp, intake, f"nothing came, and the end is {end}")
        return promises, time.time() - newest < _FRESH_SECONDS

    def positions(self) -> dict[TP, int]:
        """The offsets after the last records that the state reflects."""
        return {
            tp: position
            for tp in self.intakes
            if (position := self._engine.position(tp.topic, tp.partition)) is not None
        }

    def have_moved(self) -> bool:
        """Whether the state reflects more than is committed."""
        committed = self.consumer.committed
        return any(at > (committed(tp) or 0) for tp, at in self.positions().items())
