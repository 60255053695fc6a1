"""Fetches made by hand: real record batches, in aiokafka's own fetcher, without a broker."""

from __future__ import annotations

import asyncio
import logging
import struct
from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from faust.types import TP

from ruptura.worker.transport.batch import Batch, Batching
from ruptura.worker.transport.reader import Thread

CLICKS, OTHERS, CHANGELOG = TP("clicks", 0), TP("clicks", 1), TP("counts-changelog", 0)

_ATTRIBUTES, _LAST_DELTA, _CONTROL, _TRANSACTIONAL = 21, 23, 0x20, 0x10
ABORT, COMMIT = struct.pack(">hh", 0, 0), struct.pack(">hh", 0, 1)

Headers = list[tuple[str, bytes | None]]


def batch(
    base: int,
    values: list[bytes | None],
    *,
    codec: int = 0,
    next_offset: int | None = None,
    headers: Headers | None = None,
    deltas: list[int] | None = None,
) -> bytes:
    """Records as a broker keeps them: offsets from `base` on, or at `deltas` after compaction."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 24)
    for delta, value in zip(deltas or range(len(values)), values, strict=True):
        builder.append(delta, 1_700_000_000_000 + delta, b"key", value, headers or [])
    content = bytearray(builder.build())
    content[:8] = base.to_bytes(8, "big")
    if next_offset is not None:
        content[_LAST_DELTA : _LAST_DELTA + 4] = (next_offset - base - 1).to_bytes(4, "big")
    return signed(content)


def of_transaction(content: bytes, producer: int, marker: bool = False) -> bytes:
    """Make a batch part of a transaction, or the marker that ends one."""
    changed = bytearray(content)
    changed[_ATTRIBUTES + 1] |= _TRANSACTIONAL | (_CONTROL if marker else 0)
    changed[43:51] = producer.to_bytes(8, "big")
    return signed(changed)


def marker(base: int, kind: bytes, producer: int = 5) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, producer, 0, 0, 1 << 20)
    builder.append(0, 1_700_000_000_000, kind, b"\0" * 6, [])
    content = bytearray(builder.build())
    content[:8] = base.to_bytes(8, "big")
    return of_transaction(bytes(content), producer, marker=True)


def signed(content: bytearray) -> bytes:
    content[17:21] = calc_crc32c(memoryview(bytes(content))[_ATTRIBUTES:]).to_bytes(4, "big")
    return bytes(content)


def with_odd_header(base: int, values: list[bytes | None], name: bytes, codec: int = 0) -> bytes:
    """As `batch`, with a header whose name is any bytes."""
    stand_in = "n" * len(name)
    if codec:
        raise NotImplementedError("exchange the name before compressing")
    content = batch(base, values, headers=[(stand_in, b"x")])
    assert stand_in.encode() in content
    return signed(bytearray(content.replace(stand_in.encode(), name)))


class Told:
    """What a broker that answers a fetch would say of a partition."""

    def __init__(self, content: bytes, error: int = 0) -> None:
        self.content = content
        self.error = error
        self.asked: list[tuple[int, Any]] = []
        self.on_asked: Any = lambda: None
        self.failure: KafkaError | None = None

    async def send(self, node: int, request: Any) -> Any:
        self.asked.append((node, request))
        self.on_asked()
        if self.failure is not None:
            raise self.failure
        [(topic, [(partition, _, _)])] = request.topics
        part: Any = (partition, self.error, 99, 99, 0, [], -1, self.content)
        return SimpleNamespace(API_VERSION=11, topics=[(topic, [part])])


class Fetches:
    """Our thread around aiokafka's fetcher, which holds what was put there. Needs a loop."""

    def __init__(self, batching: Batching | None = None) -> None:
        fetcher: Any = object.__new__(Fetcher)
        self.assignment = Assignment({TopicPartition(*tp) for tp in (CLICKS, OTHERS, CHANGELOG)})
        subscriptions: Any = SubscriptionState()
        subscriptions.is_assigned = lambda _tp: True
        subscriptions._subscription = SimpleNamespace(_reassignment_in_progress=False)
        self.notified = 0
        fetcher._loop = asyncio.get_running_loop()
        fetcher._subscriptions = subscriptions
        fetcher._records = {}
        fetcher._fetch_waiters = set()
        fetcher._wait_consume_future = fetcher._loop.create_future()
        fetcher._closed = False
        fetcher._client = Told(b"")
        fetcher._select_read_replica = lambda _tp: 1
        fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes = 100, 1
        fetcher._fetch_max_bytes = fetcher._max_partition_fetch_bytes = 1 << 20
        fetcher._isolation_level, fetcher._check_crcs = 1, True
        fetcher._key_deserializer = fetcher._value_deserializer = None
        fetcher._prefetch_backoff = 0.1
        self.fetcher = fetcher
        thread: Any = object.__new__(Thread)
        thread._not_before = {}
        thread.batching = batching or Batching(topics=frozenset({"clicks"}))
        thread.consumer = SimpleNamespace(flow_active=True)
        thread.log = logging.getLogger("tests.fetches")
        self.thread = thread

    def put(self, tp: TP, content: bytes, at: int = 0, aborted: Any = None) -> Any:
        """Hold what a fetch from an offset on has brought."""
        held = TopicPartition(*tp)
        self.assignment.state_value(held).seek(at)
        records = PartitionRecords(held, MemoryRecords(content), aborted, at, None, None, True, 1)
        result = FetchResult(
            held, assignment=self.assignment, partition_records=records, backoff=0.1
        )
        self.fetcher._records[held] = result
        return result

    def position(self, tp: TP = CLICKS) -> int:
        return int(self.assignment.state_value(TopicPartition(*tp)).position)

    async def drain(self, tp: TP = CLICKS) -> Batch | None:
        found = await self.thread._drain(self.fetcher, tp)
        assert found is None or isinstance(found, Batch)
        return found

    async def fetch(self, *tps: TP) -> dict[TP, Any]:
        consumer = SimpleNamespace(_fetcher=self.fetcher, _closed=False)
        return dict(await self.thread._fetch_records(consumer, set(tps), 0.0))
