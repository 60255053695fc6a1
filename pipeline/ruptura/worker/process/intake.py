"""Which records may reach the engine: each once, in order, of partitions that are ours.

Faust may clear what it has fetched (at the first start, after a rebalance), and redelivers what
was fetched before a seek. A batch says from where to where it reaches, which tells both.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Decision = Literal["take", "skip", "seek"]

STALL_SECONDS: float = 5.0
"""A partition whose reader is at the end, and that yields nothing for so long, is read again."""

PATIENCE_SECONDS: float = 2.0
"""So long may batches that were fetched before a seek come after it."""


class Intake(msgspec.Struct):
    """How far one topic partition was taken.

    Attributes:
        next_offset: Offset of the next record to take.
        sought_at: Monotonic time of the latest seek to `next_offset`, until a batch that lies there
            has come; infinity when none is awaited.
        jumps: How many jumps were met.
        stalled_at: Monotonic time at which `next_offset` was first seen to stand still before the
            end, infinity while it moves.
        stalled_on: That offset.
    """

    next_offset: int
    sought_at: float = float("inf")
    jumps: int = 0
    stalled_at: float = float("inf")
    stalled_on: int = -1

    def decide(self, start: int, next_offset: int, now: float) -> Decision:
        """Say what to do with a batch: take it, from our next offset on; or read again.

        Args:
            start: Offset from which it was read.
            next_offset: Offset after it.
            now: Monotonic time in seconds.
        """
        if next_offset <= self.next_offset:
            return "skip"
        if start > self.next_offset:
            if 0.0 <= now - self.sought_at < PATIENCE_SECONDS:
                return "skip"  # fetched before the seek
            return self._seek(now)
        self.sought_at = float("inf")
        return "take"

    def _seek(self, now: float) -> Decision:
        self.sought_at = now
        self.jumps += 1
        return "seek"

    def is_at(self, end: int) -> bool:
        """Whether everything before an end was taken."""
        return self.next_offset >= end

    def check_progress(self, end: int, position: int, now: float) -> Decision:
        """Look after a partition that has not come to its end: was its last batch lost?

        Args:
            end: Offset after its last record.
            position: Offset of the next fetch.
            now: Monotonic time in seconds.
        """
        if position < end or self.stalled_on != self.next_offset:
            self.stalled_on, self.stalled_at = self.next_offset, now
        elif now - self.stalled_at >= STALL_SECONDS:
            self.stalled_at = now
            return self._seek(now)
        return "skip"
