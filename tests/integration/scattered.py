"""Records of the simulation as a producer gives them that keys by ticket, not by service."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import msgspec
from kafka.partitioner.default import murmur2

from ruptura.core.contracts.record import Record
from ruptura.settings import Settings
from tests.integration.workers import PARTITIONS


class _Keys(msgspec.Struct):
    event_id: str
    ticket_id: str | None = None


def with_repartition(settings: Settings) -> Settings:
    """The same settings with the topics that send records on."""
    topics = msgspec.structs.replace(settings.topics, repartition=True)
    return msgspec.structs.replace(settings, topics=topics)


def scattered(told: Iterable[Record]) -> list[Record]:
    """Records keyed by ticket, or by event where there is none, in the partitions of these keys."""
    numbers: dict[tuple[str, int], count[int]] = {}
    found = []
    for record in told:
        key = _key(record.value)
        partition = int(murmur2(key) & 0x7FFFFFFF) % PARTITIONS
        offset = next(numbers.setdefault((record.topic, partition), count()))
        found.append(msgspec.structs.replace(record, key=key, partition=partition, offset=offset))
    return found


def _key(value: bytes | None) -> bytes:
    try:
        keys = msgspec.json.decode(value or b"", type=_Keys)
    except msgspec.MsgspecError:
        return b"unknown"
    return (keys.ticket_id or keys.event_id).encode()
