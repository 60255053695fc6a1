"""Records that were delivered and wait for the engine, in order of arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from ruptura.core.contracts.record import Input


class Parcel(msgspec.Struct):
    """Records of one topic partition, and ticks where it holds those too.

    Attributes:
        partition: Its number.
        records: In order of offset.
        size: Bytes that they occupy, roughly.
        done: Is called when the last of them was taken.
        taken: How many were taken so far.
    """

    partition: int
    records: Sequence[Input]
    size: int
    done: Callable[[], None]
    taken: int = 0


class Inbox:
    """A queue of parcels, from which portions of one source each are taken."""

    def __init__(self) -> None:
        self._parcels: deque[Parcel] = deque()

    def __bool__(self) -> bool:
        return bool(self._parcels)

    def put(self, parcel: Parcel) -> None:
        """Add a parcel; an empty one is done with in its turn."""
        self._parcels.append(parcel)

    def take(self, most: int) -> list[Input]:
        """Return the next records, at most so many."""
        taken: list[Input] = []
        while self._parcels and len(taken) < most:
            parcel = self._parcels[0]
            until = parcel.taken + most - len(taken)
            taken += parcel.records[parcel.taken : until]
            parcel.taken = until
            if until >= len(parcel.records):
                self._parcels.popleft()
                parcel.done()
        return taken

    def drop(self, partition: int) -> None:
        """Drop what waits of a partition."""
        kept: deque[Parcel] = deque()
        for parcel in self._parcels:
            if parcel.partition == partition:
                parcel.done()
            else:
                kept.append(parcel)
        self._parcels = kept
