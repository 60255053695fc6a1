"""Which records may reach the engine: each once, in order, of partitions that are ours.

Faust may skip records when it clears its queues (at the first start, after a rebalance), and
redelivers those that were fetched before. Offsets tell both.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["take", "skip", "seek"]

STALL_SECONDS = 5.0
"""A partition that has records, and yields none for so long, is read again."""

AGAIN_SECONDS = 60.0
"""So often, if that led to nothing."""


_MEETINGS = 4  # with one jump, before it is believed: Faust may clear its queues several times


class Intake(msgspec.Struct):
    """The offsets of one topic partition.

    Attributes:
        following: Offset of the next record to take.
        sought: Offset at which a jump was met that was sought back from, -1 if none is open.
        met: How often that jump was met.
        has_gaps: Whether the broker leaves offsets out (transactions, compaction); then a jump
            is nothing strange.
        jumps: How many jumps were met that had to be sought back from.
        hollow: End up to which the broker was seen to have nothing more.
        stalled_at: Monotonic time at which `following` was first seen to stand still before the
            end, infinity while it moves.
        stalled_on: That offset.
        asked: Whether the stall was sought back from.
    """

    following: int
    sought: int = -1
    met: int = 0
    has_gaps: bool = False
    jumps: int = 0
    hollow: int = -1
    stalled_at: float = float("inf")
    stalled_on: int = -1
    asked: bool = False

    def judge(self, offset: int) -> Verdict:
        """Say what to do with a record.

        A jump is sought back from. If the record after the jump comes again and again as the
        next one, the broker has nothing in between.
        """
        if offset < self.following:
            return "skip"
        if offset != self.following and not self.has_gaps:
            if self.sought < 0 or offset < self.sought:
                self.sought, self.met = offset, 1
                self.jumps += 1
                return "seek"
            if offset > self.sought:
                return "skip"  # fetched before the seek
            self.met += 1
            if self.met < _MEETINGS:
                return "seek"  # what was sought may have been cleared once more
            self.has_gaps = True
        self.following = offset + 1
        self.sought = -1
        return "take"

    def is_at(self, end: int) -> bool:
        """Whether everything before an end was taken."""
        return self.following >= end or self.hollow >= end

    def look(self, end: int, position: int, now: float) -> Literal["wait", "seek"]:
        """Look after a partition that has not come to its end: are its last records lost?

        They are, if Faust cleared them from its queues and no record follows that would show the
        jump; or the broker has none there (the end of a transaction, say).

        Args:
            end: Offset after its last record.
            position: Offset of the next fetch.
            now: Monotonic time in seconds.
        """
        if position < end or self.stalled_on != self.following:
            self.stalled_on, self.stalled_at, self.asked = self.following, now, False
        elif now - self.stalled_at >= STALL_SECONDS:
            if self.asked:
                self.hollow = end
            if not self.asked or now - self.stalled_at >= AGAIN_SECONDS:
                self.asked, self.stalled_at = True, now
                return "seek"
        return "wait"
