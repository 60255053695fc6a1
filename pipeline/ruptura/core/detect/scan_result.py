"""What the evidence of one bucket says, over all time scales."""

from __future__ import annotations

from typing import Final

_ENOUGH: Final = 0.00025
"""Tail probability of a sum that says enough by itself."""


class Finding:
    """What the evidence says: tails on both sides, and how large the deviation is.

    Attributes:
        above, below: Tail probabilities, corrected for the number of scales looked at.
        rise, drop: Deviation in the units of the sums: at the scale that says most for its side,
            or at a shorter one (not of single buckets) that says enough by itself and is larger.
            What creeps is clear on a long scale before it is large there.
        rise_relative, drop_relative: The same over the expectation, less a standard error, for
            it was chosen for being large; for gauges the mean deviation per bucket.
    """

    __slots__ = (
        "_drop_lasts",
        "_drop_sure",
        "_rise_lasts",
        "_rise_sure",
        "above",
        "below",
        "drop",
        "drop_relative",
        "rise",
        "rise_relative",
    )

    def __init__(self) -> None:
        self.above = 1.0
        self.below = 1.0
        self._rise_lasts = self._drop_lasts = False
        self._rise_sure = self._drop_sure = 0.0
        self.rise = self.rise_relative = 0.0
        self.drop = self.drop_relative = 0.0

    def note(
        self, tail: float, excess: float, relative: float, sure: float, *, lasting: bool
    ) -> None:
        """Take in one scale; from shorter to longer ones.

        Args:
            tail: Probability of the sum.
            excess, relative: Its deviation, of one sign.
            sure: What the relative one surely is: chance alone makes it large on a short scale.
            lasting: Whether the scale is longer than a bucket.
        """
        if excess > 0.0:
            enough = self.above < _ENOUGH and self._rise_lasts
            if tail < self.above and enough and relative < self._rise_sure:
                self.rise_relative = self._rise_sure
            elif tail < self.above:
                self.rise, self.rise_relative, self._rise_lasts = excess, relative, lasting
                self._rise_sure = sure
            self.above = min(self.above, tail)
        else:
            enough = self.below < _ENOUGH and self._drop_lasts
            if tail < self.below and enough and relative > self._drop_sure:
                self.drop_relative = self._drop_sure
            elif tail < self.below:
                self.drop, self.drop_relative, self._drop_lasts = excess, relative, lasting
                self._drop_sure = sure
            self.below = min(self.below, tail)


NOTHING: Final = Finding()
"""What is found nearly always; nobody changes it."""
