"""Nothing at all, where something was expected: how strange is that?

Events may come in bursts: one contact makes a dozen requests within some minutes. Then gaps are
far more usual than the mean tells, at night above all, and a variance learned by day does not say
so. How long gaps usually last is learned itself, in events that were expected meanwhile: their
excess over one is exponential where events come as they like, and its mean is that of the bursts
(Hill, Ann. Statist. 3, 1975).
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

import msgspec

from ruptura.core.contracts.tuning import Amount
from ruptura.core.detect import tails

VERSION: Final = 1

_BUSY: Final = 4.0
"""Events expected in a bucket from which on the dispersion tells all: few buckets are empty by
then, and what an ordinary day shows of bursts is not what a night does."""

_PRIOR_GAPS: Final = 10.0
_REMEMBERED: Final = 300.0
"""Gaps: what the belief in single events weighs, and after how many a gap has faded to 1/e."""

_STEADY: Final = 10.0
"""Shape of the tail of gaps between large bursts, whose size and frequency vary as well."""

_FARTHEST: Final = 4.0
"""A gap teaches at most so many times what is usual: it may have been a rupture."""

_LARGEST_BURST: Final = 1e6


class GapState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `GapModel` remembers; as its attributes."""

    expected_count: Amount
    burst: Amount
    gaps: Amount


class GapModel:
    """How long a count has been silent, and how usual that is.

    Attributes:
        expected_count: Events that were expected since the last one.
        burst: Mean excess of gaps over one expected event, at least 1.
        gaps: How many have taught it, faded.

    >>> model = GapModel()
    >>> model.score(0.0, 2.0, dispersion=1.0, standard_error=0.0)  # exp(-(2 - 1)), not exp(-2)
    0.36787944117144233
    >>> model.learn(0.0, 2.0)
    >>> model.expected_count
    2.0
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = GapState

    __slots__ = ("burst", "expected_count", "gaps")

    def __init__(self) -> None:
        self.expected_count = 0.0
        self.burst = 1.0
        self.gaps = 0.0

    def score(
        self, value: float, expected_count: float, dispersion: float, standard_error: float
    ) -> float:
        """Return the probability that all since the last event, this bucket included, is chance.

        Args:
            value: Events in the bucket.
            expected_count: Events that were expected in it, at least.
            dispersion: Variance over mean, of long sums.
            standard_error: Of what is expected, relative to it.
        """
        if value > 0.0:
            return 1.0
        since = self.expected_count + expected_count
        spread = tails.nothing(since, dispersion + standard_error * standard_error * since)
        if expected_count >= _BUSY:
            return spread
        return max(spread, self._gap(max(since - 1.0, 0.0) / self.burst))

    def _gap(self, excess: float) -> float:
        """Return how usual a gap is: exponential, or Lomax's heavier tail the larger bursts are."""
        heavy = (1.0 - 1.0 / self.burst) / _STEADY
        if heavy > 0.0:
            return math.exp(-math.log1p(excess * heavy) / heavy)
        return math.exp(-min(excess, 600.0))

    def learn(self, value: float, expected_count: float) -> None:
        """Let a bucket pass, as in `score`; an event ends the gap, and the model learns of it."""
        if value <= 0.0:
            self.expected_count += expected_count
            return
        excess, self.expected_count = self.expected_count - 1.0, 0.0
        if excess <= 0.0 or expected_count >= _BUSY:
            return
        self.gaps = min(self.gaps + 1.0, _REMEMBERED)
        step = 1.0 / (self.gaps + _PRIOR_GAPS)
        burst = self.burst + step * (min(excess, _FARTHEST * self.burst) - self.burst)
        self.burst = min(max(burst, 1.0), _LARGEST_BURST)

    def forget(self) -> None:
        """Forget the present gap."""
        self.expected_count = 0.0

    def dump(self) -> GapState:
        """Return the state."""
        return GapState(self.expected_count, self.burst, self.gaps)

    def load(self, state: GapState) -> None:
        """Take a state back; ValueError if it could not be one."""
        if not math.isfinite(state.expected_count):
            raise ValueError("gaps: not finite")
        if (
            state.expected_count < 0.0
            or not 1.0 <= state.burst <= _LARGEST_BURST
            or not 0.0 <= state.gaps <= _REMEMBERED
        ):
            raise ValueError("gaps out of range")
        self.expected_count, self.burst, self.gaps = state.expected_count, state.burst, state.gaps
