"""State and source positions, to and from the changelog of a Faust table.

A checkpoint is taken between two steps, so the state of every service and the clocks of its
partition reflect the same records. Services are written first, the clock of a partition last,
and source records are acknowledged only when the broker has everything: after a crash the records
since then come again, and those that a service reflects already are skipped by their offsets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import msgspec
import structlog

from ruptura.core.engine import Engine

_CLOCK: Final = b"clock"
_SERVICE: Final = b"service/"

Write = Callable[[int, bytes, bytes], Awaitable[object]]
"""Sends partition, key and value to the changelog; done once the broker has it."""

_log = structlog.get_logger(__name__)


class Checkpoint(msgspec.Struct, frozen=True):
    """The states of one moment, not yet written.

    Attributes:
        services: Partition, key and value of each changed service.
        clocks: The same of the partitions.
    """

    services: list[tuple[int, bytes, bytes]]
    clocks: list[tuple[int, bytes, bytes]]

    async def write(self, write: Write) -> int:
        """Write it all and wait for the broker; return how many bytes it took."""
        for entries in (self.services, self.clocks):
            for sent in [write(*entry) for entry in entries]:
                await sent
        return sum(len(value) for _, _, value in (*self.services, *self.clocks))


def take(engine: Engine) -> Checkpoint:
    """Take a checkpoint of what changed since the last one."""
    services: list[tuple[int, bytes, bytes]] = []
    clocks: list[tuple[int, bytes, bytes]] = []
    for partition in engine.partitions():
        for service in engine.services(partition, changed=True):
            key = _prefix(partition) + _SERVICE + service.encode()
            services.append((partition, key, engine.dump(partition, service)))
        clocks.append((partition, _prefix(partition) + _CLOCK, engine.dump_clock(partition)))
    return Checkpoint(services, clocks)


def restore(engine: Engine, partition: int, entries: Mapping[bytes, bytes]) -> tuple[int, int]:
    """Restore a partition from the entries of the changelog.

    An entry that does not fit is refused, and only its service warms up again.

    Returns:
        How many entries were restored, and how many refused.
    """
    restored = refused = 0
    for key, value in _of(partition, entries):
        name = key.removeprefix(_prefix(partition))
        try:
            if name == _CLOCK:
                engine.load_clock(partition, value)
            else:
                engine.load(partition, name.removeprefix(_SERVICE).decode(), value)
        except (ValueError, KeyError) as error:
            refused += 1
            _log.warning("state refused", partition=partition, key=repr(key), reason=str(error))
        else:
            restored += 1
    return restored, refused


def _of(partition: int, entries: Mapping[bytes, bytes]) -> Iterable[tuple[bytes, bytes]]:
    prefix = _prefix(partition)
    # In order of key, which puts the clock first: services are judged by it.
    return sorted((key, value) for key, value in entries.items() if key.startswith(prefix))


def _prefix(partition: int) -> bytes:
    return b"%d/" % partition
