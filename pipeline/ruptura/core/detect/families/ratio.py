"""Ratios: one rate with its denominators, forgotten over days."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec
from river import stats

from ruptura.core.contracts.tuning import Amount, DetectionTuning, are_finite
from ruptura.core.detect import tails
from ruptura.core.detect.expectation import Expectation
from ruptura.core.detect.likelihood import (
    LEAST_VARIANCE,
    Reference,
    Window,
    event_share,
    least_relative,
)
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.registry import SeriesSpec

VERSION: Final = 1

MEMORY_SECONDS: Final = 2 * 86_400.0


class RatioState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `SteadyRatio` remembers.

    Attributes:
        buckets: How many were learned, by their weights.
        hits, trials: The faded means of numerators and denominators.
    """

    buckets: Amount
    hits: Amount
    trials: Amount


class SteadyRatio:
    """Expected rate of a ratio, a beta posterior on Jeffreys' prior.

    Numerators and denominators are kept apart (River's exponentially weighted means), so a
    bucket counts by its size and a rate seen on few trials is expected with a large standard error.

    Args:
        bucket_seconds: Length of a bucket.
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = RatioState

    __slots__ = ("_buckets", "_hits", "_memory", "_trials")

    def __init__(self, bucket_seconds: float) -> None:
        self._memory = max(MEMORY_SECONDS / bucket_seconds, 2.0)
        self._hits = stats.EWMean(1.0 / self._memory)
        self._trials = stats.EWMean(1.0 / self._memory)
        self._buckets = 0.0

    def expect_one(self, phase: Phase) -> Expectation:
        """Return the rate; the phase of the week does not matter to it."""
        del phase
        buckets = min(self._buckets, self._memory)
        trials = self._trials.get() * buckets + 1.0
        rate = min((self._hits.get() * buckets + 0.5) / trials, 1.0)
        standard_error = ((1.0 - rate) / max(rate * trials, 0.5)) ** 0.5
        return Expectation(rate, rate, rate, 0.0, standard_error, 0.0)

    def learn_one(self, value: float, size: float, expected: Expectation, weight: float) -> None:
        """Learn a numerator `value` over a denominator `size`."""
        del expected
        if self._buckets == 0.0:
            self._hits.update(value)
            self._trials.update(size)
        else:
            # While young, every bucket counts alike: a plain mean, then a fading one.
            step = weight * max(1.0, self._memory / (self._buckets + 1.0))
            for mean, x in ((self._hits, value), (self._trials, size)):
                now = mean.get()
                mean.update(now + min(step, self._memory) * (x - now))
        self._buckets += weight

    def dump(self) -> RatioState:
        """Return the state."""
        return RatioState(self._buckets, self._hits.get(), self._trials.get())

    def load(self, state: RatioState) -> None:
        """Take the state back; ValueError if it could not be this model's."""
        buckets, hits, trials = state.buckets, state.hits, state.trials
        if not are_finite((buckets, hits, trials)):
            raise ValueError("a ratio: not finite")
        if min(buckets, hits, trials) < 0.0 or hits > trials * (1.0 + 1e-9):
            raise ValueError("a ratio: under 0, or over 1")
        self._buckets = buckets
        if buckets > 0.0:
            self._hits.update(hits)
            self._trials.update(trials)


class RatioLikelihood:
    """Events among trials: binomial, or with more variance than that.

    Variance: D n p (1 - p) + (s n p)^2, with n trials, the rate p, the dispersion D and the
    relative standard error s of the rate.
    """

    PRIOR_DISPERSION: ClassVar[float] = 1.5
    WINSOR_MARGIN: ClassVar[float] = 3.0
    IS_STANDARDISED: ClassVar[bool] = False
    SCANS_FIRST_BUCKET: ClassVar[bool] = False

    __slots__ = ("_band_probability", "_least", "_least_relative")

    def __init__(self, spec: SeriesSpec, tuning: DetectionTuning) -> None:
        self._band_probability = tuning.band_probability
        self._least = spec.least or tuning.minimum_count_effect
        self._least_relative = least_relative(spec, tuning)

    def level(self, value: float) -> float:
        """Return the value."""
        return value

    def natural(self, level: float) -> float:
        """Return the level."""
        return level

    def published(self, value: float, size: float) -> float:
        """Return the rate."""
        return value / size

    def deviation(self, level: float, expected: Expectation) -> float:
        """Return the events."""
        del expected
        return level

    def reference(self, expected: Expectation, size: float) -> Reference:
        """Return what one bucket is compared with, in events."""
        mean = expected.mean * size
        variance = max(mean * (1.0 - expected.mean), LEAST_VARIANCE)
        low, high = expected.low * size, expected.high * size
        return mean, low, high, variance, size, expected.standard_error

    def exposure(self, expected: Expectation, size: float) -> float:
        """Return the denominator."""
        del expected
        return size

    def variance(self, expected: Expectation, size: float, dispersion: float) -> float:
        """Return the variance of one bucket's numerator."""
        mean = expected.mean * size
        error = expected.standard_error * mean
        return dispersion * max(mean * (1.0 - expected.mean), LEAST_VARIANCE) + error * error

    def band(self, expected: Expectation, size: float, variance: float) -> tuple[float, float]:
        """Return the ends of the published band, as rates."""
        lower, upper = tails.gamma_band(
            expected.low * size, expected.high * size, variance, self._band_probability
        )
        return max(lower / size, 0.0), min(upper / size, 1.0)

    def rarity(
        self,
        level: float,
        size: float,
        expected: Expectation,
        variance: float,
        degrees_of_freedom: float,
    ) -> float:
        """Return the one-sided tail of one bucket."""
        del degrees_of_freedom
        low, high = expected.low * size, expected.high * size
        if low <= level <= high:
            return 1.0
        mean = expected.mean
        dispersion = variance / max(mean * (1.0 - mean) * size, LEAST_VARIANCE)
        if level > high:
            return tails.ratio_above(level, size, expected.high, dispersion)
        return tails.ratio_below(level, size, expected.low, dispersion)

    def extent(self, size: float, base: float) -> float:
        """Return the events expected."""
        del size
        return base

    def window_tail(
        self, window: Window, expected: Expectation, degrees_of_freedom: float
    ) -> float:
        """Return the tail of a faded sum, counted in units in which it varies as a binomial."""
        del expected, degrees_of_freedom
        base, unit = max(window.base, LEAST_VARIANCE), window.unit
        rate = min(base / window.size, 1.0 - 1e-9)
        dispersion = window.variance / (base * (1.0 - rate) * unit)
        tail = tails.ratio_above if window.excess > 0.0 else tails.ratio_below
        return tail(window.seen / unit, window.size / unit, rate, dispersion)

    def variance_growth(self, relative: float) -> float:
        """Return the growth of the mean: of small rates the variance goes with it."""
        return 1.0 + relative

    def share(self, excess: float, relative: float, expected: Expectation) -> float:
        """Return a deviation over the least one that matters."""
        del expected
        return event_share(excess, relative, self._least, self._least_relative)

    def effect(self, size: float, expected: Expectation) -> float:
        """Return the least deviation of a bucket that matters, in events."""
        return self._least_relative * expected.mean * size

    def on_trade(self, expected: Expectation) -> Expectation:
        """Return what is expected: errors have no such excuse."""
        return expected
