"""Copies of records on their way to the internal topics, each source in its order.

A forwarder writes the copies of a source in the order of its offsets, and nothing before all that
goes ahead of it is on the broker; batches that Kafka's producers send at will could overtake one
that fails. It starts where everything before is forwarded. So however many forwarders have come
and gone, and whatever comes twice, an offset that is met for the first time in an internal
partition follows all smaller ones of its source that belong there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
)
from faust.types import TP

from ruptura import clients
from ruptura.core.contracts.event import MAX_DOCUMENT_BYTES
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.routing import Repartitioned
from ruptura.settings import KafkaSettings

_BATCH_BYTES: Final = 512 * 1024  # of a produce request and partition; brokers take 1 MB
_MOST_AT_ONCE: Final = 2_000  # records before the event loop may breathe
_ROUND_RECORDS: Final = 10_000  # after which acknowledgements are awaited
_TOO_LARGE: Final = MAX_DOCUMENT_BYTES + 1  # bytes of a value that the engine refuses for its size
_MODEST: Final = 640 * 1024  # bytes that any topic takes
_PAUSE_SECONDS: Final = 1.0  # after a failure
_CHECK_SECONDS: Final = 0.5  # at whether the app stops
_FAULTS: Final = (KafkaConnectionError, KafkaTimeoutError)  # that aiokafka does not call retriable

_log = structlog.get_logger("ruptura.worker")


class Shipment(msgspec.Struct):
    """Records of one topic partition, to be forwarded.

    Attributes:
        tp: Where they come from.
        records: In order of offset.
        landed: Is called when the brokers have all copies.
        dropped: Is called instead if they are not sent.
    """

    tp: TP
    records: Sequence[Record]
    landed: Callable[[], None]
    dropped: Callable[[], None]


class Forwarder:
    """Sends records on, in rounds: each is on the brokers before the next begins.

    Args:
        routing: Says what goes where.
        kafka: How to reach the brokers.
        is_over: Whether the app stops.
    """

    def __init__(
        self, routing: Repartitioned, kafka: KafkaSettings, is_over: Callable[[], bool]
    ) -> None:
        self._routing = routing
        self._kafka = kafka
        self._is_over = is_over
        self._waiting: deque[Shipment | dict[TP, float]] = deque()  # records, or idle watermarks
        self._has_work = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None

    def put(self, shipment: Shipment) -> None:
        """Take over records."""
        self._waiting.append(shipment)
        self._has_work.set()

    def mark(self, watermarks: Mapping[TP, float]) -> None:
        """Mark how far time has passed for partitions of which all that there is was put.

        Args:
            watermarks: Times of the broker, in seconds since the Unix epoch; topics that are not
                forwarded are left out.
        """
        if any(isinstance(each, dict) for each in self._waiting):
            return  # brokers are slow, and one for later is enough
        ours = {tp: t for tp, t in watermarks.items() if tp.topic in self._routing.topics}
        if ours:
            self._waiting.append(ours)
            self._has_work.set()

    def drop(self, revoked: Collection[TP]) -> None:
        """Leave out what waits of partitions that another worker may forward now."""
        kept: deque[Shipment | dict[TP, float]] = deque()
        for each in self._waiting:
            if isinstance(each, dict):
                kept.append({tp: t for tp, t in each.items() if tp not in revoked})
            elif each.tp in revoked:
                each.dropped()
            else:
                kept.append(each)
        self._waiting = kept

    async def run(self) -> None:
        """Forward until the app stops.

        Raises:
            KafkaError: the brokers refuse copies, now and for ever.
        """
        producer = await self._start()
        if producer is None:
            return
        try:
            while not self._is_over():
                if self._waiting:
                    await self._round(producer)
                else:
                    self._has_work.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._has_work.wait(), _CHECK_SECONDS)
        finally:
            await producer.stop()

    async def _start(self) -> AIOKafkaProducer | None:
        while not self._is_over():
            producer = AIOKafkaProducer(
                acks="all",
                max_batch_size=_BATCH_BYTES,
                **clients.aiokafka_arguments(self._kafka),
            )
            try:
                await producer.start()
            except KafkaConnectionError as error:
                _log.warning("cannot forward yet; trying again", cause=str(error))
                await producer.stop()
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return producer
        return None

    async def _round(self, producer: AIOKafkaProducer) -> None:
        """Send some of what waits, and say so when all of it is there."""
        loads: dict[TP, list[Record]] = {}
        shipments: list[Shipment] = []
        records = 0
        while self._waiting and records < _ROUND_RECORDS:
            each = self._waiting.popleft()
            if isinstance(each, dict):
                self._add_marks(each, loads)
                continue
            shipments.append(each)
            records += len(each.records)
            for at in range(0, len(each.records), _MOST_AT_ONCE):
                for record in each.records[at : at + _MOST_AT_ONCE]:
                    copy = self._routing.copy(record)
                    loads.setdefault(TP(copy.topic, copy.partition), []).append(copy)
                await asyncio.sleep(0.0)
        sent = [self._deliver(producer, tp, load) for tp, load in loads.items()]
        is_there = all(await asyncio.gather(*sent))
        for shipment in shipments:
            (shipment.landed if is_there else shipment.dropped)()

    def _add_marks(self, watermarks: Mapping[TP, float], loads: dict[TP, list[Record]]) -> None:
        by_topic: dict[str, dict[int, float]] = {}
        for tp, now in watermarks.items():
            by_topic.setdefault(tp.topic, {})[tp.partition] = now
        for topic, by_partition in by_topic.items():
            for partition in range(self._routing.width):
                mark = self._routing.mark(topic, partition, by_partition)
                loads.setdefault(TP(mark.topic, partition), []).append(mark)

    async def _deliver(self, producer: AIOKafkaProducer, tp: TP, load: Sequence[Record]) -> bool:
        """Send copies to one partition, in batches of which each is there before the next goes.

        Returns:
            Whether all are there; not if the app stops while the brokers do not answer.

        Raises:
            KafkaError: the brokers refuse them, now and for ever.
        """
        sent = 0
        while sent < len(load):
            batch = producer.create_batch()
            upto = sent
            while upto < len(load) and _append(batch, load[upto]):
                upto += 1
            batch.close()
            try:
                await (await producer.send_batch(batch, tp.topic, partition=tp.partition))
            except MessageSizeTooLargeError:
                smaller = _truncated(load[sent])
                if upto - sent > 1 or smaller is None:
                    raise
                load = [*load[:sent], smaller, *load[upto:]]
            except KafkaError as error:
                if not (error.retriable or isinstance(error, _FAULTS)):
                    raise
                if self._is_over():
                    return False
                _log.warning(
                    "cannot forward; trying again",
                    topic=tp.topic,
                    partition=tp.partition,
                    cause=f"{type(error).__name__}: {error}",
                )
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                sent = upto
        return True


def _truncated(copy: Record) -> Record | None:
    """Return a copy cut so that a topic may take it, None if there is nothing left to cut.

    Its producer had it compressed. The engine refuses it as too large in any case, or, where the
    topic takes less than a document may hold, as no document; it must not stop those behind it.
    """
    size = len(copy.value or b"")
    most = _TOO_LARGE if size > _TOO_LARGE else _MODEST
    if size <= most:
        return None
    value = (copy.value or b"")[:most]
    return msgspec.structs.replace(copy, value=value, headers=copy.headers[-1:])


def _append(batch: Any, copy: Record) -> bool:
    """Add a record to a batch, which takes one of any size; return whether there was room."""
    metadata = batch.append(
        timestamp=round(copy.timestamp * 1000.0),
        key=copy.key,
        value=copy.value,
        headers=list(copy.headers),
    )
    return metadata is not None
