"""State and source positions, to and from the changelog of a Faust table.

The clocks of the partitions are taken first, then, a few at a time with steps of the engine in
between, the states of the services that have changed. So no service reflects less than the clock
of its partition says; reading goes on where the clock says, and services that reflect more skip
by their offsets what they have.

A checkpoint is written in waves, each acknowledged before the next: the parts of large states,
the services, the clocks, and what is obsolete. After a crash between two waves the clock is the
older one, which is as good.

An entry is a marker byte and a Zstandard frame, or, where that exceeds what brokers take as one
record, a marker byte and a list of the parts. Parts are never overwritten while a list names
them: states take two slots in turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from typing import Annotated, Final

import msgspec
import structlog
import zstandard
from faust.types import TP

from ruptura.core.engine import Engine

Entry = tuple[int, bytes, bytes | None]
"""Partition, key and value; None deletes."""

Write = Callable[[int, bytes, bytes | None, int], Awaitable[Awaitable[object]]]
"""Sends an entry, with the epoch of the partition, to the changelog; what it returns is done once
the broker has it."""

PART_BYTES: Final = 800_000
"""Most bytes in an entry: under the 1 MB that brokers and producers take by default."""

MAX_STATE_BYTES: Final = 1 << 30
"""A state that claims to unpack to more is refused: the changelog is input."""

_MOST_PARTS: Final = 100_000  # what claims to have more would fill the memory with their keys

_CLOCK: Final = b"clock"
_SERVICE: Final = b"service/"
_PART: Final = b"part/"
_WHOLE: Final = b"\x00"
_IN_PARTS: Final = b"\x01"

_log = structlog.get_logger(__name__)


class _Parts(msgspec.Struct, frozen=True, array_like=True):
    """Where the frame of a large state is: `count` entries in one of two slots."""

    slot: Annotated[int, msgspec.Meta(ge=0, le=1)]
    count: Annotated[int, msgspec.Meta(ge=0, le=_MOST_PARTS)]


_parts = msgspec.msgpack.Decoder(_Parts)


class Checkpoint:
    """States on their way to the changelog.

    Args:
        owner: Knows the engine.
        positions: The offsets after the last records that the engine reflects now.
        epochs: As what we write to each partition.

    Attributes:
        positions: The offsets after the last records that all of it reflects.
        services: How many services it holds so far.
    """

    def __init__(
        self, owner: Checkpoints, positions: Mapping[TP, int], epochs: Mapping[int, int]
    ) -> None:
        engine = owner.engine
        self._owner = owner
        self._parts: list[Entry] = []
        self._states: list[Entry] = []
        self._clocks: list[Entry] = []
        self._obsolete: list[Entry] = []
        self._missing: deque[tuple[int, str]] = deque()
        self._epochs = dict(epochs)
        self.positions = dict(positions)
        self.services = 0
        for partition in engine.partitions():
            clock = _WHOLE + owner.pack(engine.dump_clock(partition))
            self._clocks.append((partition, _prefix(partition) + _CLOCK, clock))
            self._missing.extend((partition, s) for s in engine.services(partition, changed=True))
            written = owner.written.setdefault(partition, {})
            for service in set(written).difference(engine.services(partition)):
                self._obsolete.append((partition, _service_key(partition, service), None))
                self._obsolete += _deletions(partition, service, written.pop(service))

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to collect."""
        return not self._missing

    @property
    def waves(self) -> list[list[Entry]]:
        """Entries; each wave is written when the broker has the one before."""
        return [self._parts, self._states, self._clocks, self._obsolete]

    def collect(self) -> None:
        """Take the state of one more service; call between two steps of the engine."""
        owner, engine = self._owner, self._owner.engine
        partition, service = self._missing.popleft()
        if service not in engine.services(partition, changed=True):
            return  # gone since
        written = owner.written[partition]
        former = written.get(service)
        frame = owner.pack(engine.dump(partition, service))
        size = owner.part_bytes
        chunks = [frame[at : at + size] for at in range(0, len(frame), size)]
        if len(chunks) == 1:
            entry, now = _WHOLE + frame, _Parts(0, 0)
        else:
            slot = 1 - former.slot if former is not None and former.count else 0
            now = _Parts(slot, len(chunks))
            entry = _IN_PARTS + msgspec.msgpack.encode(now)
            keys = _part_keys(partition, service, now)
            self._parts.extend(
                (partition, key, chunk) for key, chunk in zip(keys, chunks, strict=True)
            )
        self._states.append((partition, _service_key(partition, service), entry))
        if former is not None:
            self._obsolete += _deletions(partition, service, former)
        written[service] = now
        self.services += 1

    def forget(self, partition: int) -> None:
        """Leave out a partition that another worker owns now."""
        self._epochs.pop(partition, None)
        self._missing = deque(each for each in self._missing if each[0] != partition)
        self.positions = {tp: n for tp, n in self.positions.items() if tp.partition != partition}

    async def write(self, write: Write) -> int:
        """Write it all and wait for the broker; return how many bytes it took."""
        size = 0
        for wave in self.waves:
            sent = []
            for partition, key, value in wave:
                epoch = self._epochs.get(partition)
                if epoch is not None:
                    sent.append(await write(partition, key, value, epoch))
                    size += len(value or b"")
            await asyncio.gather(*sent)
        return size


class Checkpoints:
    """Takes checkpoints of an engine, and restores it from them.

    Args:
        engine: The engine.
        part_bytes: Most bytes in an entry.

    Attributes:
        written: How each service was written last, by partition.
        pack: Compresses a state.
        with_clock: The partitions of which a clock was restored.
    """

    def __init__(self, engine: Engine, part_bytes: int = PART_BYTES) -> None:
        self.engine = engine
        self.part_bytes = part_bytes
        self.written: dict[int, dict[str, _Parts]] = {}
        self.with_clock: set[int] = set()
        self.pack = zstandard.ZstdCompressor(level=1, write_checksum=True).compress

    def is_due(self) -> bool:
        """Whether the state of any service has changed."""
        engine = self.engine
        return any(engine.services(partition, changed=True) for partition in engine.partitions())

    def begin(
        self, positions: Mapping[TP, int] | None = None, epochs: Mapping[int, int] | None = None
    ) -> Checkpoint:
        """Begin a checkpoint of what changed since the last one.

        Args:
            positions: The offsets after the last records that the engine reflects now.
            epochs: As what we write to each partition; nothing is written to others. None for
                the first epoch of each.
        """
        if epochs is None:
            epochs = dict.fromkeys(self.engine.partitions(), 1)
        return Checkpoint(self, positions or {}, epochs)

    def take(self) -> Checkpoint:
        """Take a checkpoint at once."""
        checkpoint = self.begin()
        while not checkpoint.is_complete:
            checkpoint.collect()
        return checkpoint

    def forget(self, partition: int) -> None:
        """Drop what is known of a partition that another worker owns now."""
        self.written.pop(partition, None)
        self.with_clock.discard(partition)

    @staticmethod
    def clock_of(partition: int, entries: Mapping[bytes, bytes]) -> tuple[bytes, bytes | None]:
        """Return key and value of the entry that holds the clocks; no value if there is none."""
        key = _prefix(partition) + _CLOCK
        return key, entries.get(key)

    def restore(self, partition: int, entries: Mapping[bytes, bytes]) -> tuple[int, int]:
        """Restore a partition at once; see `restore_in_steps`."""
        steps = self.restore_in_steps(partition, entries)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                services, refused = done.value
                return services, refused

    def restore_in_steps(
        self, partition: int, entries: Mapping[bytes, bytes]
    ) -> Generator[None, None, tuple[int, int]]:
        """Restore a partition from the entries of the changelog, a service at a time.

        An entry that does not fit is refused, and only its service warms up again; of one that does
        not fit in part, that part. Without a
        clock that fits nothing is restored: nobody could say which records the rest reflects.

        Returns:
            How many services were restored, and how many entries refused, wholly or in part.
        """
        engine = self.engine
        prefix = _prefix(partition)
        if prefix + _CLOCK not in entries:
            return 0, 0
        restored = refused = 0
        written = self.written[partition] = {}
        for key, value in _of(partition, entries):
            name = key.removeprefix(prefix)
            try:
                if name == _CLOCK:
                    engine.load_clock(partition, _unpack(value))
                    self.with_clock.add(partition)
                else:
                    service = name.removeprefix(_SERVICE).decode()
                    written[service] = _listed(value)
                    frame = value
                    if written[service].count:
                        keys = _part_keys(partition, service, written[service])
                        frame = _WHOLE + b"".join(entries[key] for key in keys)
                    anew = engine.load(partition, service, _unpack(frame))
                    restored += 1
                    if anew:
                        refused += 1
                        _log.warning(
                            "state refused in part: what is named starts anew",
                            partition=partition,
                            key=repr(key),
                            reasons=anew,
                        )
            except (ValueError, KeyError, zstandard.ZstdError) as error:
                refused += 1
                _log.warning("state refused", partition=partition, key=repr(key), reason=str(error))
                if name == _CLOCK:
                    break
            yield
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
