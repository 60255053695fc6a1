"""Which records may reach the engine: each once, in order, of partitions that are ours.

Faust may skip records when it clears its queues (at the first start, after a rebalance), and
redelivers those that were fetched before. Offsets tell both.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["take", "skip", "seek"]


class Intake(msgspec.Struct):
    """The offsets of one topic partition.

    Attributes:
        following: Offset of the next record to take.
        sought: Offset at which a jump was met that was sought back from, -1 if none is open.
        jumps: How many jumps were met.
    """

    following: int
    sought: int = -1
    jumps: int = 0

    def judge(self, offset: int) -> Verdict:
        """Say what to do with a record.

        A jump is first sought back from. If the record after the jump then comes again as the
        next one, the broker has nothing in between (retention, compaction, transaction markers).
        """
        if offset < self.following:
            return "skip"
        if offset == self.following or offset == self.sought:
            self.following = offset + 1
            self.sought = -1
            return "take"
        if self.sought >= 0 and offset > self.sought:
            return "skip"  # fetched before the seek
        self.sought = offset
        self.jumps += 1
        return "seek"
