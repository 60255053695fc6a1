"""Nothing at all, where something was due: how strange is that?

Events may come in bursts: one contact makes a dozen requests within some minutes. Then gaps are
far more usual than the mean tells, at night above all, and a variance learned by day does not say
so. How long gaps usually last is learned itself, in events that were due meanwhile: their excess
over one is exponential where events come as they like, and its mean is that of the bursts (Hill,
Ann. Statist. 3, 1975).
"""

from __future__ import annotations

import math
from typing import Final

from ruptura.core.contracts.tuning import Amount
from ruptura.core.detect import tails

_BUSY: Final = 4.0
"""Events due in a bucket from which on the dispersion tells all: few buckets are empty by then, and
what an ordinary day shows of bursts is not what a night does."""

_BELIEVED: Final = 10.0
_REMEMBERED: Final = 300.0
"""Gaps: what the belief in single events weighs, and after how many a gap has faded to 1/e."""

_STEADY: Final = 10.0
"""Shape of the tail of gaps between large bursts, whose size and frequency vary as well."""

_FARTHEST: Final = 4.0
"""A gap teaches at most so many times what is usual: it may have been a rupture."""

_LARGEST_BURST: Final = 1e6


class Quiet:
    """How long a count has been silent, and how usual that is.

    Attributes:
        due: Events that were due since the last one.
        burst: Mean excess of gaps over one event due, at least 1.
        gaps: How many have taught it, faded.
    """

    __slots__ = ("burst", "due", "gaps")

    def __init__(self) -> None:
        self.due = 0.0
        self.burst = 1.0
        self.gaps = 0.0

    def add(self, value: float, due: float, dispersion: float, doubt: float) -> float:
        """Add a bucket; return the probability that all since the last event is chance.

        Args:
            value: Events in it.
            due: Events that were expected at least.
            dispersion: Variance over mean, of long sums.
            doubt: Standard error of what is due, relative to it.
        """
        if value > 0.0:
            self.end(due)
            return 1.0
        self.due += due
        spread = tails.nothing(self.due, dispersion + doubt * doubt * self.due)
        if due >= _BUSY:
            return spread
        return max(spread, self._gap(max(self.due - 1.0, 0.0) / self.burst))

    def _gap(self, excess: float) -> float:
        """Return how usual a gap is: exponential, or Lomax's heavier tail the larger bursts are."""
        heavy = (1.0 - 1.0 / self.burst) / _STEADY
        if heavy > 0.0:
            return math.exp(-math.log1p(excess * heavy) / heavy)
        return math.exp(-min(excess, 600.0))

    def end(self, due: float) -> None:
        """Learn from a gap that has ended, in a bucket in which so much was due."""
        excess, self.due = self.due - 1.0, 0.0
        if excess <= 0.0 or due >= _BUSY:
            return
        self.gaps = min(self.gaps + 1.0, _REMEMBERED)
        step = 1.0 / (self.gaps + _BELIEVED)
        burst = self.burst + step * (min(excess, _FARTHEST * self.burst) - self.burst)
        self.burst = min(max(burst, 1.0), _LARGEST_BURST)

    def load(self, due: Amount, burst: Amount, gaps: Amount) -> None:
        """Take a state back; ValueError if it could not be one."""
        if not 1.0 <= burst <= _LARGEST_BURST or gaps > _REMEMBERED:
            raise ValueError("gaps that could not have been")
        self.due, self.burst, self.gaps = due, burst, gaps
