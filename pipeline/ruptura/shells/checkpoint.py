"""State and source positions, to and from the changelog of a Faust table.

A checkpoint is taken between two steps, so the state of every service and the clocks of its
partition reflect the same records. It is written in waves, each acknowledged before the next:
the parts of large states, the services, the clock of the partition, and what is obsolete. After
a crash between two waves the clock is the older one; reading goes on where it says, and services
that reflect more skip by their offsets what they have.

An entry is a marker byte and a Zstandard frame, or, where that exceeds what brokers take as one
record, a marker byte and a list of the parts. Parts are never overwritten while a list names
them: states take two slots in turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import msgspec
import structlog
import zstandard

from ruptura.core.engine import Engine

Entry = tuple[int, bytes, bytes | None]
"""Partition, key and value; None deletes."""

Write = Callable[[int, bytes, bytes | None], Awaitable[Awaitable[object]]]
"""Sends an entry to the changelog; what it returns is done once the broker has it."""

PART_BYTES: Final = 800_000
"""Most bytes in an entry: under the 1 MB that brokers and producers take by default."""

MAX_STATE_BYTES: Final = 1 << 30
"""A state that claims to unpack to more is refused: the changelog is input."""

_CLOCK: Final = b"clock"
_SERVICE: Final = b"service/"
_PART: Final = b"part/"
_WHOLE: Final = b"\x00"
_IN_PARTS: Final = b"\x01"

_log = structlog.get_logger(__name__)


class _Parts(msgspec.Struct, frozen=True, array_like=True):
    """Where the frame of a large state is: `count` entries in one of two slots."""

    slot: int
    count: int


_parts = msgspec.msgpack.Decoder(_Parts)


class Checkpoint(msgspec.Struct, frozen=True):
    """The states of one moment, not yet written.

    Attributes:
        waves: Entries; each wave is written when the broker has the one before.
        services: How many services it holds.
    """

    waves: list[list[Entry]]
    services: int

    async def write(self, write: Write) -> int:
        """Write it all and wait for the broker; return how many bytes it took."""
        for wave in self.waves:
            await asyncio.gather(*[await write(*entry) for entry in wave])
        return sum(len(value or b"") for wave in self.waves for _, _, value in wave)


class Checkpoints:
    """Takes checkpoints of an engine, and restores it from them.

    Args:
        engine: The engine.
        part_bytes: Most bytes in an entry.
    """

    def __init__(self, engine: Engine, part_bytes: int = PART_BYTES) -> None:
        self._engine = engine
        self._part_bytes = part_bytes
        self._written: dict[int, dict[str, _Parts]] = {}  # by partition and service
        self._pack = zstandard.ZstdCompressor(level=1, write_checksum=True).compress

    def is_due(self) -> bool:
        """Whether the state of any service has changed."""
        engine = self._engine
        return any(engine.services(partition, changed=True) for partition in engine.partitions())

    def take(self) -> Checkpoint:
        """Take a checkpoint of what changed since the last one."""
        parts: list[Entry] = []
        services: list[Entry] = []
        clocks: list[Entry] = []
        obsolete: list[Entry] = []
        engine = self._engine
        for partition in engine.partitions():
            prefix = _prefix(partition)
            written = self._written.setdefault(partition, {})
            for service in engine.services(partition, changed=True):
                former = written.get(service)
                frame = self._pack(engine.dump(partition, service))
                chunks = [
                    frame[at : at + self._part_bytes]
                    for at in range(0, len(frame), self._part_bytes)
                ]
                if len(chunks) == 1:
                    entry, now = _WHOLE + frame, _Parts(0, 0)
                else:
                    slot = 1 - former.slot if former is not None and former.count else 0
                    now = _Parts(slot, len(chunks))
                    entry = _IN_PARTS + msgspec.msgpack.encode(now)
                    parts.extend(
                        (partition, key, chunk)
                        for key, chunk in zip(
                            _part_keys(partition, service, now), chunks, strict=True
                        )
                    )
                services.append((partition, _service_key(partition, service), entry))
                if former is not None:
                    obsolete += _deletions(partition, service, former)
                written[service] = now
            for service in set(written).difference(engine.services(partition)):
                obsolete.append((partition, _service_key(partition, service), None))
                obsolete += _deletions(partition, service, written.pop(service))
            clock = _WHOLE + self._pack(engine.dump_clock(partition))
            clocks.append((partition, prefix + _CLOCK, clock))
        return Checkpoint([parts, services, clocks, obsolete], len(services))

    def forget(self, partition: int) -> None:
        """Drop what is known of a partition that another worker owns now."""
        self._written.pop(partition, None)

    def restore(self, partition: int, entries: Mapping[bytes, bytes]) -> tuple[int, int]:
        """Restore a partition from the entries of the changelog.

        An entry that does not fit is refused, and only its service warms up again. Without a
        clock that fits nothing is restored: nobody could say which records the rest reflects.

        Returns:
            How many services were restored, and how many entries refused.
        """
        engine = self._engine
        prefix = _prefix(partition)
        if prefix + _CLOCK not in entries:
            return 0, 0
        restored = refused = 0
        written = self._written[partition] = {}
        for key, value in _of(partition, entries):
            name = key.removeprefix(prefix)
            try:
                if name == _CLOCK:
                    engine.load_clock(partition, _unpack(value))
                else:
                    service = name.removeprefix(_SERVICE).decode()
                    written[service] = _listed(value)
                    frame = value
                    if written[service].count:
                        keys = _part_keys(partition, service, written[service])
                        frame = _WHOLE + b"".join(entries[key] for key in keys)
                    engine.load(partition, service, _unpack(frame))
                    restored += 1
            except (ValueError, KeyError, zstandard.ZstdError) as error:
                refused += 1
                _log.warning("state refused", partition=partition, key=repr(key), reason=str(error))
                if name == _CLOCK:
                    break
        return restored, refused


def _listed(value: bytes) -> _Parts:
    return _parts.decode(value[1:]) if value[:1] == _IN_PARTS else _Parts(0, 0)


def _unpack(value: bytes) -> bytes:
    if value[:1] != _WHOLE:
        raise ValueError("not an entry of this format")
    frame = value[1:]
    size = zstandard.frame_content_size(frame)
    if not 0 <= size <= MAX_STATE_BYTES:
        raise ValueError(f"a state of {size} bytes")
    return zstandard.ZstdDecompressor().decompress(frame)


def _deletions(partition: int, service: str, parts: _Parts) -> list[Entry]:
    return [(partition, key, None) for key in _part_keys(partition, service, parts)]


def _part_keys(partition: int, service: str, parts: _Parts) -> list[bytes]:
    prefix = _prefix(partition) + _PART
    name = service.encode()
    return [prefix + b"%d/%d/" % (parts.slot, number) + name for number in range(parts.count)]


def _service_key(partition: int, service: str) -> bytes:
    return _prefix(partition) + _SERVICE + service.encode()


def _of(partition: int, entries: Mapping[bytes, bytes]) -> Iterable[tuple[bytes, bytes]]:
    """The clock, which services are judged by, and the services."""
    clock, services = _prefix(partition) + _CLOCK, _prefix(partition) + _SERVICE
    return sorted(
        (key, value) for key, value in entries.items() if key == clock or key.startswith(services)
    )


def _prefix(partition: int) -> bytes:
    return b"%d/" % partition
