"""The only two inputs of the core: a record from a topic, and the passing of time."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka record, as bytes, with its source position.

    Attributes:
        topic: Name of the source topic.
        partition: Partition number, 0 or more.
        offset: Offset within the partition, 0 or more.
        timestamp: The broker's timestamp, in seconds since the Unix epoch.
        key: The record key (the service, UTF-8) or None.
        value: The document, JSON as UTF-8, or None (a tombstone).
        headers: Pairs of name and raw value, in the order of the record.
    """

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Tick(msgspec.Struct, frozen=True, gc=False):
    """A promise about one source: all its records up to `now` have been seen.

    Shells send it only when they have read a partition to its end, so that a
    backlog is never mistaken for silence.

    Attributes:
        topic: Name of the source topic.
        partition: Partition number.
        now: Time in the terms of `Record.timestamp`, in seconds since the Unix epoch.
    """

    topic: str
    partition: int
    now: float


Input = Record | Tick
