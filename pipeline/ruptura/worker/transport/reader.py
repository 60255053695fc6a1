"""The thread of our transport that reads: Faust's own, which fetches batches beside its queue."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from ruptura.worker.transport.batch import Batch, Batching
from ruptura.worker.transport.lenient import fetch_again

_logger = logging.getLogger("faust.transport.ruptura")  # level and form of Faust's own

_OVERHEAD_BYTES: Final = 300  # of a record as objects, beside its key and value
_FAULT_PAUSE_SECONDS: Final = 1.0


class Thread(driver.AIOKafkaConsumerThread):
    """Faust's thread around aiokafka's consumer."""

    logger = _logger
    batching: Batching
    _not_before: dict[TP, float]  # when to look again at what could not be read
    _commits: set[asyncio.Future[bool]]  # that are under way

    def __post_init__(self) -> None:
        super().__post_init__()
        self._not_before = {}
        self._commits = set()

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
        return patient(consumer, lambda: self.app.should_stop)

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
        """Commit beside the queue of other calls; return whether the group takes it from us."""
        committing = asyncio.ensure_future(self._beside(self._commit(offsets)))
        self._commits.add(committing)
        try:
            await asyncio.wait([committing])
        finally:
            committing.cancel()
            self._commits.discard(committing)
        return not committing.cancelled() and bool(committing.result())

    def drop_commits(self) -> None:
        """Give up the commits that are under way: they were meant for another assignment."""
        for each in self._commits:
            each.cancel()

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
        if result is None or time.monotonic() < self._not_before.get(tp, 0.0):
            return None  # taken from us while another was looked after; or it was unreadable
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
                self._not_before[tp] = time.monotonic() + _FAULT_PAUSE_SECONDS
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
            self._not_before[tp] = time.monotonic() + _FAULT_PAUSE_SECONDS
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


_Client = TypeVar("_Client", AIOKafkaConsumer, AIOKafkaProducer)


def patient(client: _Client, is_over: Callable[[], bool]) -> _Client:
    """Have a client of aiokafka wait for its brokers when it starts, until the app is over."""
    start = client.start

    async def keep_trying() -> None:
        while True:
            try:
                await start()
            except KafkaConnectionError as error:
                if is_over():
                    raise
                _logger.warning("no broker answers; trying again: %s", error)
                await asyncio.sleep(_FAULT_PAUSE_SECONDS)
            else:
                return

    client.start = keep_trying
    return client


async def _wait_for_fetch(fetcher: Any, seconds: float) -> None:
    waiter = fetcher._create_fetch_waiter()
    await asyncio.wait([waiter], timeout=seconds)
    if not waiter.cancel():
        waiter.result()  # may be an error of the group
    if fetcher._closed:
        raise ConsumerStoppedError
