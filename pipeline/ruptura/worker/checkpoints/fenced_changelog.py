"""One partition of the changelog, as it was read: the newest entries that may be believed.

A worker that was paused beyond its session may still write when it wakes, after another has
taken over and gone on. So each entry bears the epoch of its writer, a number that grows with each
takeover, and what is older than the newest epoch seen before it in the log is left out. The log
orders all writers alike for all readers (fencing tokens; Kleppmann, Designing Data-Intensive
Applications, 2017, chapter 8).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

EPOCH_HEADER: Final = "epoch"
"""Header of an entry: the epoch of its writer, eight bytes, big-endian."""

_FURTHEST: Final = 1 << 24
"""An epoch grows by one or so with each takeover. What claims to be further ahead is hostile, and
believing it would shut out everything that follows."""


class FencedChangelog(msgspec.Struct):
    """The entries of one partition.

    Attributes:
        entries: Values by key.
        epoch: Newest that was seen.
        offset: Of the last entry that was read or written; -1 before the first.
        outdated: How many entries were left out because their epoch had passed.
        foreign: How many because they bore none that could be believed.
        size: Bytes of all values.
    """

    entries: dict[bytes, bytes] = {}
    epoch: int = 0
    offset: int = -1
    outdated: int = 0
    foreign: int = 0
    size: int = 0

    def apply(self, offset: int, key: bytes | None, value: bytes | None, epoch: int | None) -> None:
        """Take an entry, in order of offset; one that was taken before changes nothing.

        Faust may hand over late, before a rebalance, what it read while we wrote on.

        Args:
            offset: Its offset.
            key, value: Its own; no value deletes.
            epoch: Of its writer, None where it bears none.
        """
        if offset <= self.offset:
            return
        self.offset = offset
        if key is None or epoch is None or epoch > self.epoch + _FURTHEST:
            self.foreign += 1
            return
        if epoch < self.epoch:
            self.outdated += 1
            return
        self.epoch = epoch
        former = self.entries.pop(key, None)
        self.size -= len(former or b"")
        if value is not None:
            self.entries[key] = value
            self.size += len(value)

    def takeover(self, generation: int) -> int:
        """Return the epoch of a worker that takes over now, having read all of it.

        It exceeds the generation's own number where the group has begun to count anew.
        """
        return max(generation, self.epoch + 1)


def epoch_of(headers: Iterable[tuple[str, bytes | None]] | None) -> int | None:
    """Return the epoch in the headers of an entry, None where there is none."""
    for name, value in headers or ():
        if name == EPOCH_HEADER and value is not None and len(value) == 8:
            return int.from_bytes(value, "big")
    return None


def epoch_header(epoch: int) -> list[tuple[str, bytes]]:
    """Return the headers of an entry."""
    return [(EPOCH_HEADER, epoch.to_bytes(8, "big"))]
