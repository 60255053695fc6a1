"""The partitions that this worker was given: from where they are read, and how far they are.

Faust assigns and revokes them, and reads on from the committed offsets. We read on from the
positions that the saved state reflects, and look after what Faust may lose on the way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from ruptura.core.engine import Engine
from ruptura.worker.checkpoints.changelog import StateTable
from ruptura.worker.checkpoints.checkpoint import Checkpoints
from ruptura.worker.process.intake import Intake
from ruptura.worker.process.restorer import Restorer
from ruptura.worker.transport.transport import Consumer

_PAUSE_SECONDS = 0.02  # while the group settles
_MARGIN_SECONDS = 0.5  # an idle watermark stays so far behind an answer: how clocks may differ
_AGAIN_SECONDS = 1.0  # before the brokers are asked again
_SHRUNK_SECONDS = 10.0  # before a topic that is shorter counts as recreated
_FRESH_SECONDS = 5.0  # an answer of Kafka that is not older is a sign of life

_log = structlog.get_logger("ruptura.worker")


class OffsetsWentBack(Exception):  # noqa: N818 - the name says what happened
    """A topic holds less than was read of it; only a new start finds out what holds."""


class Sources:
    """The topic partitions in our hands.

    Args:
        app: The Faust app.
        topics: The topics that are read.
        engine: Is restored.
        checkpoints: Restores it.
        table: Holds what the changelog said.
        drop: Called with a partition whose records and state do not count any more.
        jumped: Called with a partition whose offsets jumped.
        refused: Called with why, and how many, entries of the changelog were refused.
        forwarded: Those of the topics whose records are sent on, and so are in no state.

    Attributes:
        intakes: By topic partition; only of those whose state is restored.
        first: Where each of them was taken over.
    """

    def __init__(
        self,
        app: faust.App,
        topics: Collection[str],
        engine: Engine,
        checkpoints: Checkpoints,
        table: StateTable,
        drop: Callable[[int], None],
        jumped: Callable[[TP], None],
        refused: Callable[[str, int], None],
        forwarded: Collection[str] = (),
    ) -> None:
        self._app = app
        self._topics = frozenset(topics)
        self._jumped = jumped
        self._restorer = Restorer(
            engine, checkpoints, table, drop=drop, refused=refused, forwarded=forwarded
        )
        self._adopting = asyncio.Lock()
        self._shrunk: dict[TP, float] = {}  # since when an end lies before what was read
        self._answered: dict[TP, float] = {}  # when Kafka had answered, as last seen
        self.intakes: dict[TP, Intake] = {}
        self.first: dict[TP, int] = {}

    @property
    def epochs(self) -> Mapping[int, int]:
        """As what we write to the changelog, by partition; of those whose state is restored."""
        return self._restorer.epochs

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

    async def is_member(self) -> bool:
        """Whether the group still counts us in; asks the brokers."""
        if not self.are_settled:
            return False
        for tp, position in self.first.items():
            if tp in self.intakes:
                committed = self.consumer.committed(tp)
                return await self.consumer.is_member(tp, max(position, committed or 0))
        return True  # nothing is ours yet, so nothing can be written

    async def adopt(self, tp: TP) -> Intake | None:
        """Return the intake of a partition, restoring it first if need be; None if not ours."""
        async with self._adopting:
            while not self.are_settled:
                if self._app.should_stop:
                    return None
                await asyncio.sleep(_PAUSE_SECONDS)
            held = self.held()
            if tp in held and tp not in self.intakes:
                # All in one go: each question to the brokers takes its time.
                await self._adopt_all([tp for tp in held if tp not in self.intakes])
            return self.intakes.get(tp)

    async def _adopt_all(self, fresh: list[TP]) -> None:
        """Restore the state of partitions, and read on from where it says."""
        consumer = self.consumer
        generation = self._app.consumer_generation_id

        def are_ours() -> bool:
            return self.are_settled and generation == self._app.consumer_generation_id

        try:
            earliest = await consumer.earliest_offsets(*fresh)
            ends = await consumer.highwaters(*fresh)
        except KafkaError as error:
            _log.warning(
                "cannot read the beginning and end offsets of partitions", cause=str(error)
            )
            await asyncio.sleep(_AGAIN_SECONDS)
            return  # whoever needs them asks again
        for partition in sorted({tp.partition for tp in fresh} - self.epochs.keys()):
            at = {tp: ends.get(tp) or 0 for tp in fresh if tp.partition == partition}
            if not await self._restorer.restore(partition, at, generation, are_ours):
                return
        for tp in fresh:
            start = self._restorer.start(
                tp, consumer.committed(tp), earliest.get(tp) or 0, ends.get(tp) or 0
            )
            self.first[tp] = start
            self.intakes[tp] = Intake(start, sought_at=time.monotonic())
            consumer.read_from(tp, start)

    def revoke(self, revoked: set[TP]) -> None:
        """Let go of partitions."""
        for tp in revoked:
            self._answered.pop(tp, None)
            self._shrunk.pop(tp, None)
            self.intakes.pop(tp, None)
            self.first.pop(tp, None)
        for partition in {tp.partition for tp in revoked}:
            self._restorer.forget(partition)

    async def read_again(self, tp: TP, intake: Intake, reason: str) -> None:
        """Read again from the next record to take, or from the first that is still there."""
        try:
            earliest = (await self.consumer.earliest_offsets(tp)).get(tp) or 0
        except KafkaError as error:
            _log.warning(
                "cannot read the beginning offset of a partition", topic=tp.topic, cause=str(error)
            )
            return  # it is met again
        if tp not in self.intakes:
            return
        self._jumped(tp)
        _log.info(
            "reading again",
            topic=tp.topic,
            partition=tp.partition,
            offset=intake.next_offset,
            reason=reason,
        )
        if earliest > intake.next_offset:
            _log.error(
                "records are lost: the broker deleted them before they were read",
                topic=tp.topic,
                partition=tp.partition,
                first=intake.next_offset,
                records=earliest - intake.next_offset,
            )
            intake.next_offset = earliest
        intake.sought_at = time.monotonic()
        self.consumer.read_from(tp, intake.next_offset)

    async def idle_watermarks(self) -> tuple[dict[TP, float], bool]:
        """Say how far all records of each partition that was read to its end were taken.

        Returns:
            Times of the broker in seconds since the Unix epoch, and whether Kafka is answering.
        """
        held = self.held()
        newest = 0.0 if held else time.time()
        watermarks: dict[TP, float] = {}
        for tp in held:
            intake = self.intakes.get(tp) or await self.adopt(tp)
            answer = self.consumer.end(tp)
            if intake is None or answer is None:
                continue
            answered_at, end = answer
            newest = max(newest, answered_at)
            if end < intake.next_offset:
                self._note_shrunk(tp, end, intake.next_offset)
                continue
            self._shrunk.pop(tp, None)
            before = self._answered.get(tp, answered_at)
            self._answered[tp] = answered_at
            if intake.is_at(end):
                # As of the answer before: this one may have lain unread for a while, but it was
                # asked for after that one was read.
                if before < answered_at:
                    watermarks[tp] = before - _MARGIN_SECONDS
                continue
            position = await self.consumer.position(tp) or 0
            if intake.check_progress(end, position, time.monotonic()) == "seek":
                await self.read_again(tp, intake, f"nothing came, and the end is {end}")
        return watermarks, time.time() - newest < _FRESH_SECONDS

    def _note_shrunk(self, tp: TP, end: int, next_offset: int) -> None:
        """End the process if a topic stays shorter than what was read of it.

        A new leader may not know for a moment how far the old one was (Kafka's KIP-207).
        """
        now = time.monotonic()
        if now - self._shrunk.setdefault(tp, now) >= _SHRUNK_SECONDS:
            raise OffsetsWentBack(
                f"{tp.topic}[{tp.partition}] ends at {end}, {next_offset} were read: "
                "it was recreated or truncated"
            )
