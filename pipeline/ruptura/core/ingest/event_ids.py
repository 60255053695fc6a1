"""Which events were seen before: a producer that tries again must not count twice."""

from __future__ import annotations

from typing import Final

import msgspec
import xxhash

from ruptura.core.contracts.tuning import Finite

VERSION: Final = 1

digest: Final = xxhash.xxh3_64_intdigest
"""64 bits that stand for bytes (XXH3)."""


def identity(text: str) -> int:
    """Return 64 bits that stand for an identifier (XXH3; two of a million clash once in 10^7)."""
    return digest(text.encode())


class EventIds(msgspec.Struct, array_like=True):
    """The event_ids of one source: a set that grows, and the one before it.

    It rotates by the clock of its own source, so that what is known does not depend on how far
    other sources have been read.

    Attributes:
        recent, older: Identities.
        rotated_at: Event time of the last rotation, in seconds since the Unix epoch.
    """

    recent: set[int]
    older: set[int]
    rotated_at: Finite

    def is_repeated(self, event_id: str, clock: float, seconds: float, most: int) -> bool:
        """Return whether an event was seen before, and remember it.

        Args:
            event_id: Its identifier; what is remembered is its identity.
            clock: Of the source, in seconds since the Unix epoch.
            seconds: How long an event is remembered, at least.
            most: How many are remembered, at most.
        """
        if not most or not seconds:
            return False
        if clock - self.rotated_at >= seconds:
            self.older, self.recent, self.rotated_at = self.recent, set(), clock
        event = digest(event_id.encode())  # its identity, without a call
        if event in self.older:
            return True
        recent = self.recent
        known = len(recent)
        recent.add(event)  # one look at a large set where asking first would be two
        count = len(recent)
        if count == known:
            return True
        if count * 2 > most:
            self.older, self.recent = recent, set()
        return False
