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

import asyncio
import inspect
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from typing import Any, ClassVar, Final

import faust
import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalStateError,
    KafkaError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from ruptura.shells.lenient import fetch_again

_logger = logging.getLogger("faust.transport.ruptura")  # level and form of Faust's own

_OVERHEAD_BYTES: Final = 300  # of a record as objects, beside its key and value
_FAULT_PAUSE_SECONDS: Final = 1.0

Make = Callable[[TP, Any], Any]
"""Makes of aiokafka's view of a record (offset, timestamp in milliseconds, key, value, headers)
what a batch shall hold. Called in the consumer's thread."""


class Batching(msgspec.Struct, frozen=True, kw_only=True):
    """How a transport batches.

    Attributes:
        topics: The topics that are delivered in batches.
        make: What the batches hold; None for aiokafka's own records.
        most_bytes: Of all batches that were handed out and not released.
        batch_bytes: Of one batch, roughly, as objects.
        fetch_max_wait_seconds: How long a broker may wait for records.
    """

    topics: frozenset[str]
    make: Make | None = None
    most_bytes: int = 64 << 20
    batch_bytes: int = 1 << 20
    fetch_max_wait_seconds: float = 0.5


class Batch:
    """Records of one partition that were fetched together.

    Attributes:
        tp: The topic partition.
        start: Offset from which was read.
        following: Offset from which is to be read next. Between the two the broker has the
            records of this batch and nothing else.
        records: In order of offset; empty where there was nothing but markers.
        size: Bytes that it occupies, roughly.
    """

    __slots__ = ("_release", "following", "records", "size", "start", "tp")

    def __init__(self, tp: TP, start: int, following: int, records: list[Any], size: int) -> None:
        self.tp = tp
        self.start = start
        self.following = following
        self.records = records
        self.size = size
        self._release: Callable[[], None] | None = None

    def release(self) -> None:
        """Drop the records, so that others may be fetched; once, however often it is called."""
        self.records = []
        release, self._release = self._release, None
        if release is not None:
            release()


class _ReadOffsets(dict[TP, int | None]):
    """Offsets that Faust notes as delivered, to drop what comes again; not of batched topics.

    There a seek back would be undone by what is still under way from before.
    """

    def __init__(self, topics: frozenset[str]) -> None:
        super().__init__()
        self._topics = topics

    def __getitem__(self, tp: TP) -> int | None:
        return None if tp.topic in self._topics else self.get(tp)


class _Budget:
    """Counts the bytes that are handed out, by partition."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held: dict[TP, int] = {}
        self._era = object()
        self.has_room = asyncio.Event()
        self.has_room.set()

    def take(self, batch: Batch) -> None:
        era, tp, size = self._era, batch.tp, batch.size
        self._held[tp] = self._held.get(tp, 0) + size

        def release() -> None:
            if era is self._era:
                self._held[tp] -= size
                self.has_room.set()

        batch._release = release

    def open(self, tps: Iterable[TP]) -> set[TP]:
        """Return the partitions that may be read on."""
        tps = set(tps)
        share = self._most / max(len(tps), 1)
        return {tp for tp in tps if self._held.get(tp, 0) < share}

    def clear(self) -> None:
        """Forget what was handed out: Faust has cleared its queues."""
        self._era = object()
        self._held.clear()
        self.has_room.set()

    @property
    def held_bytes(self) -> int:
        return sum(self._held.values())


class _Thread(driver.AIOKafkaConsumerThread):
    """Faust's thread around aiokafka's consumer."""

    logger = _logger
    batching: Batching

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Read by aiokafka when the consumer starts, which is later; Faust has no settings.
        wait_ms = max(1, round(self.batching.fetch_max_wait_seconds * 1000))
        for name, value in (
            ("_fetch_max_wait_ms", wait_ms),
            ("_isolation_level", "read_committed"),
        ):
            if not hasattr(consumer, name):
                raise RuntimeError(f"aiokafka has moved {name}")
            setattr(consumer, name, value)
        return consumer

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, Any]:
        """Fetch, beside the queue in which Faust's other calls of this thread wait."""
        consumer = self._ensure_consumer()
        fetching = self._fetch_records(
            consumer, active_partitions or set(), timeout, consumer._max_poll_records
        )
        found: dict[TP, Any] | None = await self._beside(fetching)
        return found or {}

    async def _beside(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run in the thread, beside the queue; None if the consumer is stopped meanwhile."""
        running = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.thread_loop))
        ended = await self.consumer.wait_first(running)
        if ended.stopped:
            running.cancel()
            return None
        return running.result()

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit; without brokers wait for them, where the stock driver ends the process."""
        consumer, pause = self._ensure_consumer(), _FAULT_PAUSE_SECONDS
        while True:
            held = self.assignment()
            positions = {
                TopicPartition(*tp): OffsetAndMetadata(offset, "")
                for tp, offset in offsets.items()
                if tp in held
            }
            try:
                if positions:
                    await consumer.commit(positions)
                return bool(positions)
            except (CommitFailedError, IllegalStateError):
                return False  # the group has moved on; what is read again is skipped
            except KafkaError as error:
                if not error.retriable:
                    raise
                if consumer._closed or self.consumer.should_stop:
                    return False
                self.log.warning("cannot commit: %s", error)
            await asyncio.sleep(pause)

    async def commits(self, offsets: Mapping[TP, int]) -> bool:
        """Commit beside the queue of other calls; tell whether the group takes it from us."""
        return bool(await self._beside(self._commit(offsets)))

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> dict[TP, Any]:
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        topics = self.batching.topics
        stock = {tp for tp in active_partitions if tp.topic not in topics}
        batched = active_partitions - stock
        deadline = time.monotonic() + (timeout or 0.0)
        with fetcher._subscriptions.fetch_context():
            while True:
                if fetcher._subscriptions.reassignment_in_progress:
                    await fetcher._subscriptions.wait_for_assignment()
                found: dict[TP, Any] = {}
                for tp in stock.intersection(fetcher._records):
                    try:  # one by one: what raises loses what was taken of others before it
                        found.update(await fetcher.fetched_records({tp}, 0, max_records))
                    except UnicodeDecodeError as error:
                        await self._read_leniently(fetcher, tp, error)
                for tp in batched.intersection(fetcher._records):
                    batch = await self._drain(fetcher, tp)
                    if batch is not None:
                        found[tp] = batch
                left = deadline - time.monotonic()
                if found or left <= 0.0 or not self.consumer.flow_active:
                    return found
                await _wait_for_fetch(fetcher, left)

    async def _drain(self, fetcher: Any, tp: TP) -> Batch | None:
        """Take what was fetched of a partition, at most a batch."""
        result = fetcher._records.get(tp)
        if result is None:
            return None  # taken from us while another partition was looked after
        if type(result) is not aiokafka_fetcher.FetchResult:
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)
            result.check_raise()
        batch = None
        if result.check_assignment(tp) and result.has_more():
            try:
                batch = self._batch(tp, result)
            except UnicodeDecodeError as error:
                await self._read_leniently(fetcher, tp, error)
                return None
            except (KafkaError, ValueError) as error:
                # Fetched again, after a pause: bytes may be damaged on their way.
                self.log.warning("cannot read %s: %s", tp, error)
                await asyncio.sleep(_FAULT_PAUSE_SECONDS)
                result._partition_records = None
        if not result.has_more() and fetcher._records.get(tp) is result:
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)
        return batch

    async def _read_leniently(self, fetcher: Any, tp: TP, error: UnicodeDecodeError) -> None:
        """Fetch once more what holds a header that aiokafka cannot decode."""
        self.log.warning("header names that are not UTF-8 in %s: %s", tp, error)
        result = fetcher._records.get(tp)
        try:
            if result is not None:
                await fetch_again(fetcher, tp, result)
        except KafkaError as failure:
            self.log.warning("cannot read %s: %s", tp, failure)
            await asyncio.sleep(_FAULT_PAUSE_SECONDS)
        if result is not None and fetcher._records.get(tp) is result:
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)

    def _batch(self, tp: TP, result: Any) -> Batch:
        found = result._partition_records
        batching, make = self.batching, self.batching.make
        size = 0
        if make is not None:
            # Instead of a method: called for each record with the partition and the raw record.
            found._consumer_record = make
        start = found.next_fetch_offset
        records: list[Any] = []
        append = records.append
        most = batching.batch_bytes
        try:
            for record in found:
                append(record)
                size += len(record.value or b"") + _OVERHEAD_BYTES
                if size >= most:
                    break
            else:
                result._partition_records = None
        except (KafkaError, ValueError):
            result._partition_records = None  # what is left of it is fetched again
            if not records:
                raise
        result._assignment.state_value(tp).consumed_to(found.next_fetch_offset)
        return Batch(tp, start, found.next_fetch_offset, records, size)


async def _wait_for_fetch(fetcher: Any, seconds: float) -> None:
    waiter = fetcher._create_fetch_waiter()
    await asyncio.wait([waiter], timeout=seconds)
    if not waiter.cancel():
        waiter.result()  # may be an error of the group
    if fetcher._closed:
        raise ConsumerStoppedError


class Consumer(driver.Consumer):
    """Reads batched topics in batches, and others, changelogs above all, as ever."""

    logger = _logger
    batching: ClassVar[Batching]
    _thread: _Thread

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._read_offset = _ReadOffsets(self.batching.topics)
        self._budget = _Budget(self.batching.most_bytes)
        self._delivered: dict[TP, deque[int]] = {}  # last offsets of batches, for acknowledgement

    def _new_consumer_thread(self) -> _Thread:
        thread = _Thread(self, loop=self.loop, beacon=self.beacon)
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
                self._delivered.setdefault(tp, deque()).append(piece.following - 1)
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
            batch.following - 1,
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
        batching: ClassVar[Batching] = settings

    class Transport(driver.Transport):
        Consumer: ClassVar[type] = BatchConsumer

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
