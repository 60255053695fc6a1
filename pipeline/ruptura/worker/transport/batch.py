"""Batches of records as they were fetched, and how much memory they may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from faust.types import TP

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
        next_offset: Offset from which is to be read next. Between the two the broker has the
            records of this batch and nothing else.
        records: In order of offset; empty where there was nothing but markers.
        size: Bytes that it occupies, roughly.
    """

    __slots__ = ("_release", "next_offset", "records", "size", "start", "tp")

    def __init__(self, tp: TP, start: int, next_offset: int, records: list[Any], size: int) -> None:
        self.tp = tp
        self.start = start
        self.next_offset = next_offset
        self.records = records
        self.size = size
        self._release: Callable[[], None] | None = None

    def release(self) -> None:
        """Drop the records, so that others may be fetched; once, however often it is called."""
        self.records = []
        release, self._release = self._release, None
        if release is not None:
            release()


class ReadOffsets(dict[TP, int | None]):
    """Offsets that Faust notes as delivered, to drop what comes again; not of batched topics.

    There a seek back would be undone by what is still under way from before.
    """

    def __init__(self, topics: frozenset[str]) -> None:
        super().__init__()
        self._topics = topics

    def __getitem__(self, tp: TP) -> int | None:
        return None if tp.topic in self._topics else self.get(tp)


class Budget:
    """Counts the bytes that are handed out, by partition."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held: dict[TP, int] = {}
        self._era = object()
        self.has_room = asyncio.Event()
        self.has_room.set()

    def take(self, batch: Batch) -> None:
        """Count a batch until it is released."""
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
        """Bytes that are handed out and not released."""
        return sum(self._held.values())
