"""The only two inputs of the core: a record from a topic, and the passing of time.

A source is what has an order of its own: the partition of a topic. Where records reach their
partition by way of another one (see `ruptura.core.ingest.routing`), a partition holds records of
several sources of one topic; then `topic` names the source, as `source_of` does.
"""

from __future__ import annotations

from typing import final

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka record, as bytes, with its source position.

    Attributes:
        topic: Name of the source topic, or of the source.
        partition: Number of the partition that owns its service, 0 or more.
        offset: Offset within the source, 0 or more.
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


@final
class Tick(msgspec.Struct, frozen=True, gc=False):
    """That time has passed for one source: all its records up to `now` have been seen.

    Runners send it only when they have read a partition to its end, so that a
    backlog is never mistaken for silence.

    Attributes:
        topic: Name of the source topic, or of the source.
        partition: Partition number.
        now: Time in the terms of `Record.timestamp`, in seconds since the Unix epoch.
    """

    topic: str
    partition: int
    now: float


Input = Record | Tick


def source_of(topic: str, partition: int) -> str:
    """Return the name of one partition of a topic as a source of its own."""
    return f"{topic}/{partition}"  # no name of a topic has a slash


def topic_of(source: str) -> str:
    """Return the topic of a source; a topic is returned as it is."""
    return source.partition("/")[0]
