"""What the windows that end with one bucket say, over all time scales."""

from __future__ import annotations

import math
from typing import Final

import msgspec

_ENOUGH: Final = 0.00025
"""Tail probability of a window that says enough by itself."""


class Deviation(msgspec.Struct, frozen=True, gc=False):
    """A deviation to one side.

    Attributes:
        probability: Tail probability, the smallest over the scales.
        excess: Deviation in the units of the sums (events; standard deviations of a gauge), with
            its sign: at the scale that says most, or at a shorter one (not of single buckets)
            that says enough by itself and is larger. What creeps is clear on a long scale before
            it is large there.
        relative: The same over the expectation, less a standard error, for it was chosen for
            being large; for gauges the mean deviation per bucket.
        sure: What `relative` surely is: chance alone makes it large on a short scale.
        lasts: Whether it is of a scale longer than a bucket.
    """

    probability: float = 1.0
    excess: float = 0.0
    relative: float = 0.0
    sure: float = 0.0
    lasts: bool = False

    def with_scale(self, other: Deviation) -> Deviation:
        """Take in the deviation of a longer scale, to the same side."""
        if other.probability >= self.probability:
            return self
        sign = math.copysign(1.0, other.excess)
        if self.probability < _ENOUGH and self.lasts and sign * other.relative < sign * self.sure:
            return msgspec.structs.replace(self, probability=other.probability, relative=self.sure)
        return other

    def corrected(self, comparisons: float) -> Deviation:
        """Return it with its probability corrected for so many scales looked at (Bonferroni)."""
        return msgspec.structs.replace(self, probability=min(1.0, self.probability * comparisons))


NO_DEVIATION: Final = Deviation()
"""No deviation: what is found nearly always."""


class ScanResult(msgspec.Struct, frozen=True, gc=False):
    """Deviations to both sides, and the sums as they are once the bucket has passed.

    Attributes:
        above, below: The deviations; probabilities corrected for the number of scales.
        sums: As `ScanStatistic` keeps them.
        winsorised: Buckets in a row that were winsorised, negative on the lower side.
        deviation: Of the bucket from its mean, winsorised.
        variance: That the family gives it, over 0.
        exposure: What the dispersion goes with.
        is_vague: Whether what is normal for the bucket has ends apart.
    """

    above: Deviation
    below: Deviation
    sums: bytes
    winsorised: float
    deviation: float
    variance: float
    exposure: float
    is_vague: bool
