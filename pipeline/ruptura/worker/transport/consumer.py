"""Faust's consumer, made to deliver batches; `transport` tells what differs from the stock one."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from ruptura.worker.transport.batch import Batch, Batching, Budget, ReadOffsets
from ruptura.worker.transport.reader import Thread

LOGGER = logging.getLogger("faust.transport.ruptura")  # level and form of Faust's own


class Consumer(driver.Consumer):
    """Reads batched topics in batches, and others, changelogs above all, as ever."""

    logger = LOGGER
    batching: ClassVar[Batching]
    _thread: Thread

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._read_offset = ReadOffsets(self.batching.topics)
        self._budget = Budget(self.batching.most_bytes)
        self._delivered: dict[TP, deque[int]] = {}  # last offsets of batches, for acknowledgement

    def _new_consumer_thread(self) -> Thread:
        thread = Thread(self, loop=self.loop, beacon=self.beacon)
        thread.batching = self.batching
        return thread

    def _is_batched(self, tp: TP) -> bool:
        return tp.topic in self.batching.topics

    # Fetching.

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, Any]:
        active = set(active_partitions or ())
        batched = {tp for tp in active if self._is_batched(tp)}
        room = self._budget.open(batched)
        if batched and not room and batched == active:
            self._budget.has_room.clear()
            await self.wait_first(self._budget.has_room.wait(), timeout=timeout)
            return {}
        return dict(await self._thread.getmany((active - batched) | room, timeout))

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Yield what was fetched; one message for each batch.

        Args:
            timeout: How long to wait for records, in seconds.
        """
        found, _ = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        for tp, piece in self._fairly(found or {}):
            if self.should_stop or generation != self.app.consumer_generation_id:
                return
            if not self.flow_active:
                return  # the next owner of what was fetched starts from its own positions
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            if not isinstance(piece, Batch):
                yield tp, self._to_message(tp, piece)
                continue
            self._budget.take(piece)
            if self.app.topics.acks_enabled_for(tp.topic):
                self._delivered.setdefault(tp, deque()).append(piece.next_offset - 1)
            yield tp, self._batch_message(piece, generation)

    def _fairly(self, found: Mapping[TP, Any]) -> Iterable[tuple[TP, Any]]:
        """Batches, one of each partition, then single records in the order of Faust's own."""
        for tp, piece in found.items():
            if isinstance(piece, Batch):
                yield tp, piece
        yield from self.scheduler.iterate(
            {tp: piece for tp, piece in found.items() if not isinstance(piece, Batch)}
        )

    def _batch_message(self, batch: Batch, generation: int) -> ConsumerMessage:
        tp = batch.tp
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            batch.next_offset - 1,
            time.time(),
            0,
            [],
            None,
            batch,  # type: ignore[arg-type]  # Faust passes on what raw topics hold
            None,
            0,
            batch.size,
            tp,
            generation_id=generation,
        )

    def resume_flow(self) -> None:
        """Read on; Faust has cleared its queues just before.

        What was in them comes again, perhaps in other batches.
        """
        self._budget.clear()
        for tp in list(self._delivered):
            self._forget_delivered(tp)
        super().resume_flow()

    @property
    def held_bytes(self) -> int:
        """Bytes of the batches that were handed out and not released."""
        return self._budget.held_bytes

    # Acknowledgement: batches are acknowledged whole, and leave no gaps.

    def _new_offset(self, tp: TP) -> int | None:
        if not self._is_batched(tp):
            return super()._new_offset(tp)
        delivered, acked = self._delivered.get(tp, deque()), self._acked_index[tp]
        committed, last = self._committed_offset[tp] or 0, None
        while delivered and (delivered[0] in acked or delivered[0] < committed):
            last = delivered.popleft()
            acked.discard(last)
        self._acked[tp] = sorted(acked)
        return None if last is None else last + 1

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if not self._is_batched(tp):
            await super()._add_gap(tp, offset_from, offset_to)

    def _forget_delivered(self, tp: TP) -> None:
        self._delivered.pop(tp, None)
        self._acked_index.pop(tp, None)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what was delivered of partitions that are taken from us."""
        for tp in revoked:
            self._forget_delivered(tp)
        self._thread.drop_commits()
        await super().on_partitions_revoked(revoked)

    # Positions.

    def read_from(self, tp: TP, offset: int) -> None:
        """Read a batched partition from an offset on.

        Batches that were fetched before are still delivered; `Batch.start` tells them apart.
        """
        self._forget_delivered(tp)
        thread = self._thread
        thread.thread_loop.call_soon_threadsafe(_seek, thread._ensure_consumer(), tp, offset)

    async def is_member(self, tp: TP, offset: int) -> bool:
        """Return whether we are still a member, by committing once more what is committed."""
        return await self._thread.commits({tp: offset})

    async def commit_positions(self, positions: Mapping[TP, int]) -> bool:
        """Commit offsets that the app keeps itself, of topics that need no acknowledgement.

        Args:
            positions: Offsets after the last records that are done with. What is committed
                already is left out, so they can be given again and again.

        Returns:
            Whether the group has them; if not, it has moved on, and they may be given again.
        """
        fresh = {tp: n for tp, n in positions.items() if n != self._committed_offset[tp]}
        if not fresh:
            return True
        if not await self._thread.commits(fresh):
            return False
        self._committed_offset.update(fresh)
        self.app.monitor.on_tp_commit(fresh)
        return True

    def committed(self, tp: TP) -> int | None:
        """Return the offset at which the group would go on, as known since the assignment."""
        return self._committed_offset.get(tp)

    def end(self, tp: TP) -> tuple[float, int] | None:
        """Return when the broker last answered for a partition, and its end by then.

        Returns:
            The time in seconds since the Unix epoch, and the offset after the last record that
            can be read (open transactions are behind it); None before the first answer.
        """
        reader = self._thread._ensure_consumer()
        if tp not in self.assignment():
            return None
        answered = reader.last_poll_timestamp(tp)  # before the offset, which may only be newer
        end = reader.last_stable_offset(tp)
        if end is None or end < 0:  # a broker that knows no transactions
            end = reader.highwater(tp)
        return None if answered is None or end is None else (answered / 1000.0, end)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leave it to the app's health: Faust's compares wall-clock with monotonic times."""


def _seek(consumer: AIOKafkaConsumer, tp: TP, offset: int) -> None:
    if tp in consumer.assignment():
        consumer.seek(tp, offset)
