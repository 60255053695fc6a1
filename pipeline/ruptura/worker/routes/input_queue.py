"""Records that were delivered and wait for the engine, in order of arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from ruptura.core.contracts.record import Input


class QueuedBatch(msgspec.Struct):
    """Records of one topic partition, and ticks where it holds those too.

    Attributes:
        partition: Its number.
        inputs: In order of offset.
        size: Bytes that they occupy, roughly.
        done: Is called when the last of them was taken.
        taken: How many were taken so far.
    """

    partition: int
    inputs: Sequence[Input]
    size: int
    done: Callable[[], None]
    taken: int = 0


class InputQueue:
    """A queue of batches, from which portions of one source each are taken."""

    def __init__(self) -> None:
        self._batches: deque[QueuedBatch] = deque()

    def __bool__(self) -> bool:
        return bool(self._batches)

    def put(self, batch: QueuedBatch) -> None:
        """Add a batch; an empty one is done with in its turn."""
        self._batches.append(batch)

    def take(self, most: int) -> list[Input]:
        """Return the next inputs, at most so many."""
        taken: list[Input] = []
        while self._batches and len(taken) < most:
            batch = self._batches[0]
            until = batch.taken + most - len(taken)
            taken += batch.inputs[batch.taken : until]
            batch.taken = until
            if until >= len(batch.inputs):
                self._batches.popleft()
                batch.done()
        return taken

    def drop(self, partition: int) -> None:
        """Drop what waits of a partition."""
        kept: deque[QueuedBatch] = deque()
        for batch in self._batches:
            if batch.partition == partition:
                batch.done()
            else:
                kept.append(batch)
        self._batches = kept
