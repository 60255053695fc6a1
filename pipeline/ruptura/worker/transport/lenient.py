"""Fetches again what aiokafka cannot unpack: records with header names that are not UTF-8.

Brokers take any bytes as the name of a header. aiokafka raises at such a record, and would again
whenever the partition is read, so that one record would stall it for ever. Its pure Python reader
is slower, and can be told to escape such bytes.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


class _Text(bytearray):
    """Bytes of which any slice can be decoded."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return found if isinstance(found, int) else _Text(found)

    def decode(self, encoding: str = "utf-8", _errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka ships no types
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: bytearray = _Text(self._buffer)


class Records(_MemoryRecordsPy):  # type: ignore[misc]  # aiokafka ships no types
    """Fetched batches, whose header names may hold any bytes."""

    def next_batch(self) -> Any:
        """Return the next batch of records."""
        content = self._next_slice
        found = super().next_batch()
        is_old = content is None or content[self.MAGIC_OFFSET] < 2  # a format without headers
        return found if is_old else _Batch(content)


async def fetch_again(fetcher: Any, tp: Any, result: Any) -> None:
    """Replace what was fetched of a partition, from its position on, by what can be unpacked.

    Args:
        fetcher: aiokafka's, in whose loop this is awaited.
        tp: The topic partition.
        result: What was fetched, still held by the fetcher.

    Raises:
        KafkaError: the broker does not answer.
    """
    assignment = result._assignment
    position = assignment.state_value(tp).position
    request = FetchRequest(
        fetcher._fetch_max_wait_ms,
        fetcher._fetch_min_bytes,
        fetcher._fetch_max_bytes,
        fetcher._isolation_level,
        [(tp.topic, [(tp.partition, position, fetcher._max_partition_fetch_bytes)])],
        rack_id="",
    )
    answer = await fetcher._client.send(fetcher._select_read_replica(tp), request)
    [(_, [(_, code, _, *rest)])] = answer.topics
    if code:
        raise for_code(code)
    is_current = assignment.active and assignment.state_value(tp).position == position
    if fetcher._records.get(tp) is not result or not is_current:
        return  # another owner, or a seek; the fetcher drops it
    # As in aiokafka's `_proc_fetch_request`.
    version = answer.API_VERSION
    aborted = None if version < 4 else rest[2] if version >= 11 else rest[-2]
    records = PartitionRecords(
        tp,
        Records(rest[-1]),
        aborted,
        position,
        fetcher._key_deserializer,
        fetcher._value_deserializer,
        fetcher._check_crcs,
        fetcher._isolation_level,
    )
    fetcher._records[tp] = FetchResult(
        tp, partition_records=records, assignment=assignment, backoff=fetcher._prefetch_backoff
    )
