"""Faust's Kafka driver, made to hand agents whole batches of records.

Stock Faust spends some 170 us on each message: a task to deliver it, a queue, reference counts,
the bookkeeping of acknowledgements. Delivered as one message per fetched piece of a partition,
the same records cost a few microseconds each. An agent of a batched topic gets events whose
value is a `Batch`; other topics, changelogs above all, are delivered as ever.

Any Faust app can use it::

    class App(faust.App):
        def _new_transport(self):
            return batching(self, Batching(topics=frozenset({"clicks"})))

    app = App("counts", broker="kafka://localhost", topic_allow_declare=False)
    clicks = app.topic("clicks", key_type=bytes, value_type=bytes, value_serializer="raw")

    @app.agent(clicks)
    async def count(stream):
        async for batch in stream:  # acknowledged, all of it, when the loop goes on
            for record in batch.records: ...
            batch.release()  # its memory may be used for what is fetched next

What differs from the stock driver, beside the batches:

- Acknowledging a batch commits the offset after it. Offsets that hold no record (compaction, the
  markers of transactions) belong to the batch that was fetched with them, so they need no gaps.
  An app that saves positions itself has its topics do without (`acks=False`), and commits them
  with `Consumer.commit_positions`.
- What was fetched and not released is bounded in bytes, with an equal share for each partition,
  so that a partition that floods us neither fills the memory nor starves the others.
- A fetch does not keep Faust's commits and questions waiting in one queue, and the broker holds
  it no longer than is asked for; the stock driver lets it wait for 1.5 seconds.
- Records of aborted transactions are not handed out.
- A seek is not undone by what is still under way from before it.

Proved on faust-streaming 0.15.3 with aiokafka 0.14.0. `check_internals` names what has moved in
another version; it is called before anything is read.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar, Final

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer import fetcher as aiokafka_fetcher
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from ruptura.worker.transport.batch import Batch, Batching, Budget, ReadOffsets
from ruptura.worker.transport.reader import Thread, patient

__all__ = ["Batch", "Batching", "Consumer", "batching", "check_internals"]

_logger = logging.getLogger("faust.transport.ruptura")  # level and form of Faust's own


class Consumer(driver.Consumer):
    """Reads batched topics in batches, and others, changelogs above all, as ever."""

    logger = _logger
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
        """Tell whether the group still counts us in, by committing once more what is committed."""
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


class PatientProducer(driver.Producer):
    """Faust's, that waits for brokers when it starts."""

    logger = _logger

    def _new_producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        return patient(super()._new_producer(transactional_id), lambda: self.app.should_stop)


def _seek(consumer: AIOKafkaConsumer, tp: TP, offset: int) -> None:
    if tp in consumer.assignment():
        consumer.seek(tp, offset)


def batching(app: faust.App, settings: Batching) -> driver.Transport:
    """Return a transport for an app.

    Args:
        app: Its settings name the brokers.
        settings: What is batched, and how.

    Raises:
        RuntimeError: this Faust or aiokafka is not built as the transport expects.
    """
    check_internals()

    class BatchConsumer(Consumer):
        logger = _logger
        batching: ClassVar[Batching] = settings

    class Transport(driver.Transport):
        Consumer: ClassVar[type] = BatchConsumer
        Producer: ClassVar[type] = PatientProducer

    return Transport(app.conf.broker_consumer, app)


_EXPECTED: Final = (
    (driver.AIOKafkaConsumerThread, ("_create_worker_consumer", "_fetch_records", "getmany")),
    (driver.Consumer, ("_new_consumer_thread", "_to_message", "highwater", "seek")),
    (
        faust_consumer.Consumer,
        ("_wait_next_records", "_new_offset", "_add_gap", "resume_flow", "on_partitions_revoked"),
    ),
    (faust_consumer.ThreadDelegateConsumer, ("_getmany",)),
    (
        aiokafka_fetcher.Fetcher,
        ("fetched_records", "_create_fetch_waiter", "_notify", "_select_read_replica"),
    ),
    (aiokafka_fetcher.FetchResult, ("check_assignment", "has_more")),
    (aiokafka_fetcher.PartitionRecords, ("_consumer_record", "_unpack_records", "__next__")),
)
_EXPECTED_SOURCE: Final = (
    (aiokafka_fetcher.PartitionRecords._unpack_records, "self._consumer_record(tp, record)"),
    (aiokafka_fetcher.PartitionRecords.__init__, "self.next_fetch_offset = fetch_offset"),
    (aiokafka_fetcher.FetchResult.__init__, "self._partition_records = partition_records"),
    (aiokafka_fetcher.Fetcher.__init__, "self._records = "),
    (faust_consumer.Consumer._drain_messages, "getmany(timeout=1.0)"),
    (faust_consumer.Consumer.force_commit, "self._commit_tps"),
    (faust_consumer.Consumer._filter_committable_offsets, "self._new_offset(tp)"),
    (faust_consumer.Consumer.ack, "self._acked_index[tp]"),
)


def check_internals() -> None:
    """Make sure that Faust and aiokafka have inside what the transport overrides and reads.

    Raises:
        RuntimeError: something has moved; the text names it.
    """
    for owner, names in _EXPECTED:
        for name in names:
            if not hasattr(owner, name):
                raise RuntimeError(f"{owner.__module__}.{owner.__qualname__}.{name} has moved")
    for function, text in _EXPECTED_SOURCE:
        if text not in inspect.getsource(function):
            raise RuntimeError(
                f"{function.__module__}.{function.__qualname__} does without `{text}`"
            )
