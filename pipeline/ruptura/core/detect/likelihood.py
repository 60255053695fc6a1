"""How the numbers of a family are distributed: its scale, its tails, and what is large enough."""

from __future__ import annotations

from typing import ClassVar, Final, Protocol

import msgspec

from ruptura.core.contracts.tuning import DetectionTuning
from ruptura.core.detect.expectation import Expectation
from ruptura.core.series.registry import SeriesSpec

TRADE: Final = 3.0
"""On a commemorative date demand may be so many times what the day would have without it. A
prior: surveys of retail put Black Friday at two to four times an ordinary day."""

_MOST_LOST: Final = 0.6
"""A share of events that is missed always matters: nothing can fall by more than all of it."""

LEAST_VARIANCE: Final = 1e-9
"""Variances, means and denominators count as no less: they are divided by."""

Reference = tuple[float, float, float, float, float, float]
"""Of one bucket, in the units that are summed: mean, low and high end of the normal, the variance
that the family gives it, exposure, and the standard error of the mean. A plain tuple: one is made
for every bucket."""


class Window(msgspec.Struct, frozen=True, gc=False):
    """An exponentially faded sum that deviates.

    Attributes:
        seen: The sum.
        base: What was expected of it, at the end of the normal that it lies beyond.
        excess: The one less the other.
        variance: Of the sum, all included.
        size: Sum of the sizes (buckets; denominators of a ratio).
        unit: What a bucket adds to its variance over what it adds to its mean.
        decay: Share of it that is left after one bucket; 0 of a single bucket.
        variance_inflation: How much more such sums vary than those of independent buckets.
    """

    seen: float
    base: float
    excess: float
    variance: float
    size: float
    unit: float
    decay: float
    variance_inflation: float


class Likelihood(Protocol):
    """What the numbers of one series mean, by its family; knows nothing of the past.

    Attributes:
        PRIOR_DISPERSION: Of single buckets, before anything was seen.
        WINSOR_MARGIN: What a bucket may lie beyond its deviations before it is winsorised.
        IS_STANDARDISED: Whether sums are of standard deviations, not of events.
        SCANS_FIRST_BUCKET: Whether the first bucket is summed, though nothing was known to expect.
    """

    PRIOR_DISPERSION: ClassVar[float]
    WINSOR_MARGIN: ClassVar[float]
    IS_STANDARDISED: ClassVar[bool]
    SCANS_FIRST_BUCKET: ClassVar[bool]

    def level(self, value: float) -> float:
        """Return a value in the scale in which it is judged."""

    def natural(self, level: float) -> float:
        """Return a value from the scale in which it is judged."""

    def published(self, value: float, size: float) -> float:
        """Return a value as it is shown: of a ratio the rate."""

    def deviation(self, level: float, expected: Expectation) -> float:
        """Return what is summed: deviations of a gauge, else the events themselves."""

    def reference(self, expected: Expectation, size: float) -> Reference:
        """Return what one bucket is compared with."""

    def exposure(self, expected: Expectation, size: float) -> float:
        """Return what the dispersion goes with: the mean of a count, a ratio's denominator."""

    def variance(self, expected: Expectation, size: float, dispersion: float) -> float:
        """Return the variance of one bucket, dispersion and standard error included."""

    def band(self, expected: Expectation, size: float, variance: float) -> tuple[float, float]:
        """Return the ends of the published band, in base units."""

    def rarity(
        self,
        level: float,
        size: float,
        expected: Expectation,
        variance: float,
        degrees_of_freedom: float,
    ) -> float:
        """Return the one-sided tail of one bucket; between the ends of the normal it is 1."""

    def extent(self, size: float, base: float) -> float:
        """Return what a relative deviation of a sum is relative to."""

    def window_tail(
        self, window: Window, expected: Expectation, degrees_of_freedom: float
    ) -> float:
        """Return the one-sided tail of a sum."""

    def variance_growth(self, relative: float) -> float:
        """Return by how much the variance grows where the mean grows by such a share."""

    def share(self, excess: float, relative: float, expected: Expectation) -> float:
        """Return a deviation over the least one that is worth an alert by itself.

        Args:
            excess: Of the sums, in events; its sign counts for all families.
            relative: Over the expectation; for gauges the mean deviation per bucket.
            expected: Of the last bucket.
        """

    def effect(self, size: float, expected: Expectation) -> float:
        """Return the least deviation of a bucket that matters, in the units that are summed."""

    def on_trade(self, expected: Expectation) -> Expectation:
        """Return what is normal on a commemorative date: more demand may be, less may not.

        Supply has no such excuse: errors and latency stay as expected.
        """


def least_relative(spec: SeriesSpec, tuning: DetectionTuning) -> float:
    """Return the least relative deviation that matters."""
    return max(spec.least_relative, tuning.minimum_relative_effect)


def event_share(
    excess: float, relative: float, least_events: float, least_relative: float
) -> float:
    """Return `Likelihood.share` of events: they must be many, and many of those expected."""
    enough = least_relative
    if excess < 0.0:
        enough = min(enough, _MOST_LOST)
    return min(abs(excess) / max(least_events, 1e-12), abs(relative) / max(enough, 1e-12))
