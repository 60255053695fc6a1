"""How a series is measured: the scale of its family, its tails, and what is large enough."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from ruptura.core.contracts.tuning import DetectionTuning
from ruptura.core.detect import tails
from ruptura.core.detect.protocol import Expectation
from ruptura.core.series.registry import SeriesSpec

_TRADE: Final = 3.0
"""On a commemorative date demand may be so many times what the day would have without it. A
prior: surveys of retail put Black Friday at two to four times an ordinary day."""

_MOST_LOST: Final = 0.6
"""A share of events that is missed always matters: nothing can fall by more than all of it."""


class Yardstick:
    """What the numbers of one series mean, by its family; knows nothing of the past.

    Args:
        spec: How the series is judged.
    """

    __slots__ = ("_family", "_is_log", "_spec")

    def __init__(self, spec: SeriesSpec) -> None:
        self._spec = spec
        self._family = spec.family
        self._is_log = spec.family == "gauge" and spec.scale == "log"

    def level(self, value: float) -> float:
        """Return a value in the scale in which it is judged."""
        return math.log(max(value, 0.0) + 1.0) if self._is_log else value

    def natural(self, level: float) -> float:
        """Return a value from the scale in which it is judged."""
        return max(math.exp(min(level, 300.0)) - 1.0, 0.0) if self._is_log else level

    def deviation(self, level: float, expected: Expectation) -> float:
        """Return what is added up: deviations of a gauge, else the events themselves."""
        if self._family == "gauge":
            return (level - expected.mean) / expected.deviation
        return level

    def trials(self, size: float, expected: Expectation) -> float:
        """Return what the dispersion goes with: the mean of a count, a ratio's denominator."""
        if self._family == "gauge":
            return 0.0
        return size if self._family == "ratio" else expected.mean

    def variance(self, expected: Expectation, size: float, dispersion: float) -> float:
        """Return the variance of one bucket, dispersion and doubt included."""
        if self._family == "gauge":
            own = expected.deviation * expected.deviation
            return dispersion * own + expected.doubt * expected.doubt
        mean = expected.mean * size
        own = mean * (1.0 - expected.mean) if self._family == "ratio" else mean
        doubt = expected.doubt * mean
        return dispersion * max(own, 1e-9) + doubt * doubt

    def band(
        self, expected: Expectation, size: float, variance: float, tuning: DetectionTuning
    ) -> tuple[float, float]:
        """Return the ends of the published band, in base units."""
        low, high = expected.low, expected.high
        if self._family == "gauge":
            reach = tails.deviations(tuning.band_probability) * variance**0.5
            return self.natural(low - reach), self.natural(high + reach)
        lower, upper = tails.gamma_band(low * size, high * size, variance, tuning.band_probability)
        if self._family == "ratio":
            return max(lower / size, 0.0), min(upper / size, 1.0)
        return lower, upper

    def rarity(
        self, level: float, size: float, expected: Expectation, variance: float, freedom: float
    ) -> float:
        """Return the one-sided tail of one bucket; between the ends of the normal it is 1."""
        low, high = expected.low * size, expected.high * size
        if low <= level <= high:
            return 1.0
        if self._family == "gauge":
            beyond = max(level - high, low - level)
            return tails.level_beyond(beyond / variance**0.5, min(freedom, expected.freedom))
        if self._family == "count":
            dispersion = variance / max(expected.mean, 1e-9)
            if level > high:
                return tails.count_above(level, high, dispersion)
            return tails.count_below(level, low, dispersion)
        dispersion = variance / max(expected.mean * (1.0 - expected.mean) * size, 1e-9)
        if level > high:
            return tails.ratio_above(level, size, expected.high, dispersion)
        return tails.ratio_below(level, size, expected.low, dispersion)

    def share(
        self, excess: float, relative: float, expected: Expectation, tuning: DetectionTuning
    ) -> float:
        """Return a deviation over the least one that is worth an alert by itself.

        Args:
            excess: Of the sums, in events; its sign counts for all families.
            relative: Over the expectation; for gauges the mean deviation per bucket.
            expected: Of the last bucket.
            tuning: The least effects.
        """
        relative = abs(relative)
        if self._family == "gauge":
            moved = expected.mean + math.copysign(relative * expected.deviation, excess)
            usual = self.natural(expected.mean)
            return abs(self.natural(moved) - usual) / max(self._least_shift(usual, tuning), 1e-12)
        least = self._spec.least or tuning.minimum_count_effect
        enough = self._least_relative(tuning)
        if excess < 0.0:
            enough = min(enough, _MOST_LOST)
        return min(abs(excess) / max(least, 1e-12), relative / max(enough, 1e-12))

    def _least_shift(self, usual: float, tuning: DetectionTuning) -> float:
        """Least deviation of a gauge that matters, in its unit."""
        if self._is_log:
            return max(self._least_relative(tuning) * usual, self._spec.least)
        return max(tuning.minimum_level_effect * abs(usual), self._spec.least)

    def _least_relative(self, tuning: DetectionTuning) -> float:
        return max(self._spec.least_relative, tuning.minimum_relative_effect)

    def effect(self, size: float, expected: Expectation, tuning: DetectionTuning) -> float:
        """Return the least deviation of a bucket that matters; for gauges in deviations."""
        if self._family != "gauge":
            return self._least_relative(tuning) * expected.mean * size
        usual = self.natural(expected.mean)
        least = self._least_shift(usual, tuning)
        return (self.level(usual + least) - self.level(usual)) / expected.deviation

    def on_trade(self, expected: Expectation) -> Expectation:
        """Return what is normal on a commemorative date: more demand may be, less may not.

        Supply has no such excuse: errors and latency stay as expected.
        """
        if self._family == "count":
            return msgspec.structs.replace(expected, high=expected.high * _TRADE)
        if self._family == "gauge" and self._spec.above == "surge":
            more = math.log(_TRADE) if self._is_log else (_TRADE - 1.0) * abs(expected.mean)
            return msgspec.structs.replace(expected, high=expected.high + more)
        return expected
