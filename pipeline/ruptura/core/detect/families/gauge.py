"""Gauges: a weekly profile of levels, an offset that follows, and a robust spread."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import msgspec
from river import stats

from ruptura.core.contracts.tuning import Amount, DetectionTuning, Finite, are_finite
from ruptura.core.detect import tails
from ruptura.core.detect.expectation import Expectation
from ruptura.core.detect.likelihood import TRADE, Reference, Window, least_relative
from ruptura.core.detect.profile import VISITS_TRUSTED, Grid, Weekly, position
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.registry import SeriesSpec

VERSION: Final = 1

OFFSET_SECONDS: Final = 86_400.0
SPREAD_SECONDS: Final = 3 * 86_400.0

_DEVIATIONS_PER_MEAN_ABSOLUTE: Final = 1.2533
"""sqrt(pi / 2): standard deviation over mean absolute deviation of a normal distribution."""

_CLIP: Final = 6.0
"""A residual is learned as at most so many deviations: one outlier must not widen the band."""

_BELIEF: Final = 0.1
"""Share of a visit for which an hour is assumed to be like the others."""

_DAYS_DIFFER: Final = 0.5
"""How much one visit of an hour differs from the next, in deviations of single buckets."""

_RELATIVE_FLOOR: Final = 0.005
"""A constant series still has a deviation: half a percent of its level."""


class GaugeState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `RobustLevel` remembers.

    Attributes:
        weight, overall: Of the mean over all: its weight in buckets, and the mean.
        offset: From the profile, faded.
        spread: Mean absolute residual, faded.
        profile: As `Weekly.dump`.
    """

    weight: Amount
    overall: Finite
    offset: Finite
    spread: Amount
    profile: bytes


class RobustLevel:
    """Expected level of a gauge, in the scale of its series.

    The spread is River's exponentially weighted mean of the absolute residuals, which one wild
    value moves little (Huber & Ronchetti, Robust Statistics, 2nd ed., 5.1).

    Args:
        bucket_seconds: Length of a bucket.
        grid: Shared by all models.
        logarithmic: Whether levels come as natural logarithms.
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = GaugeState

    __slots__ = ("_logarithmic", "_memory", "_offset", "_overall", "_spread", "_week")

    def __init__(self, bucket_seconds: float, grid: Grid, *, logarithmic: bool) -> None:
        self._week = Weekly(grid)
        self._overall = stats.Mean()
        self._memory = max(SPREAD_SECONDS / bucket_seconds, 2.0)
        self._offset = stats.EWMean(1.0 / max(OFFSET_SECONDS / bucket_seconds, 2.0))
        self._spread = stats.EWMean(1.0 / self._memory)
        self._logarithmic = logarithmic

    def expect_one(self, phase: Phase) -> Expectation:
        """Return the level that a bucket at this phase should have."""
        at = position(phase.day_type, phase.hour)
        rate, pooled, known, exposure = self._week.rate(at, self._overall.get(), _BELIEF)
        mean = rate + self._offset.get()
        floor = _RELATIVE_FLOOR * (1.0 if self._logarithmic else abs(mean)) + 1e-9
        deviation = max(self._spread.get() * _DEVIATIONS_PER_MEAN_ABSOLUTE, floor)
        visits = exposure / self._week.visit - 1.0
        trust = min(1.0, visits / VISITS_TRUSTED[phase.day_type])
        apart = (1.0 - trust) * (abs(pooled - rate) + deviation) if trust < 1.0 else 0.0
        degrees_of_freedom = min(4.0 + self._overall.n / self._week.visit, 30.0)
        return Expectation(
            mean,
            mean - apart,
            mean + apart,
            deviation,
            _DAYS_DIFFER * deviation / math.sqrt(visits + 1.0),
            degrees_of_freedom,
            at,
            rate,
            known,
        )

    def learn_one(self, value: float, size: float, expected: Expectation, weight: float) -> None:
        """Learn the level of one bucket; `size` is 1."""
        at = expected.position
        if at is None:
            raise TypeError("an expectation of another family")
        n = self._overall.n
        if n == 0.0:
            self._offset.update(0.0)
            self._spread.update(0.0)
        else:
            offset = self._offset.get()
            residual = value - expected.rate - offset
            spread = self._spread.get()
            if spread > 0.0:
                limit = _CLIP * spread * _DEVIATIONS_PER_MEAN_ABSOLUTE
                residual = min(max(residual, -limit), limit)
            step = min(weight * expected.known, 1.0 / self._offset.fading_factor)
            self._offset.update(offset + step * residual)
            # While young, a plain mean; the first residuals come from a level not yet known.
            step = min(weight, 1.0) * max(1.0, self._memory / (n + 1.0))
            self._spread.update(spread + min(step, self._memory) * (abs(residual) - spread))
        offset = self._offset.get()
        # What the offset explains must not change the shape of the week as well.
        value -= offset
        weight = min(weight, 1.0)
        self._overall.update(value, weight)
        self._week.learn(at, value, size, weight)
        if abs(offset) > self._spread.get() > 0.0:
            # The profile takes it over, so that hours not yet known are expected there too.
            self._week.shift(offset)
            overall = stats.Mean()
            overall.update(self._overall.get() + offset, self._overall.n)
            self._overall = overall
            self._offset = stats.EWMean(self._offset.fading_factor)
            self._offset.update(0.0)

    def dump(self) -> GaugeState:
        """Return the state."""
        return GaugeState(
            self._overall.n,
            self._overall.get(),
            self._offset.get(),
            self._spread.get(),
            self._week.dump(),
        )

    def load(self, state: GaugeState) -> None:
        """Take the state back; ValueError if it could not be this model's."""
        weight, spread = state.weight, state.spread
        if not are_finite((weight, state.overall, state.offset, spread)):
            raise ValueError("a gauge: not finite")
        if weight < 0.0 or spread < 0.0:
            raise ValueError("a gauge: a weight or a spread under 0")
        self._week.load(state.profile)
        if weight > 0.0:
            self._overall.update(state.overall, weight)
            self._offset.update(state.offset)
            self._spread.update(spread)


class GaugeLikelihood:
    """A level: Student's t around its mean, in its own scale or in that of its logarithm.

    Sums are of deviations in units of the standard deviation d. Variance of one bucket, in the
    scale of the series: D d^2 + s^2, with the dispersion D and the standard error s of the mean.
    """

    PRIOR_DISPERSION: ClassVar[float] = 1.04
    WINSOR_MARGIN: ClassVar[float] = 0.0
    IS_STANDARDISED: ClassVar[bool] = True
    SCANS_FIRST_BUCKET: ClassVar[bool] = False

    __slots__ = (
        "_band_probability",
        "_is_demand",
        "_is_log",
        "_least",
        "_least_level",
        "_least_relative",
    )

    def __init__(self, spec: SeriesSpec, tuning: DetectionTuning) -> None:
        self._band_probability = tuning.band_probability
        self._is_log = spec.scale == "log"
        self._is_demand = spec.above == "surge"
        self._least = spec.least
        self._least_level = tuning.minimum_level_effect
        self._least_relative = least_relative(spec, tuning)

    def level(self, value: float) -> float:
        """Return ln(value + 1), or the value where the scale is linear."""
        return math.log(max(value, 0.0) + 1.0) if self._is_log else value

    def natural(self, level: float) -> float:
        """Return the value of a level."""
        return max(math.exp(min(level, 300.0)) - 1.0, 0.0) if self._is_log else level

    def published(self, value: float, size: float) -> float:
        """Return the value."""
        del size
        return value

    def deviation(self, level: float, expected: Expectation) -> float:
        """Return how many standard deviations a level lies from its mean."""
        return (level - expected.mean) / expected.deviation

    def reference(self, expected: Expectation, size: float) -> Reference:
        """Return what one bucket is compared with, in standard deviations."""
        del size
        mean, deviation = expected.mean, expected.deviation
        low, high = (expected.low - mean) / deviation, (expected.high - mean) / deviation
        return 0.0, low, high, 1.0, 0.0, expected.standard_error / deviation

    def exposure(self, expected: Expectation, size: float) -> float:
        """Return 0: the dispersion is the same everywhere."""
        del expected, size
        return 0.0

    def variance(self, expected: Expectation, size: float, dispersion: float) -> float:
        """Return the variance of one bucket, in the scale of the series."""
        del size
        deviation, error = expected.deviation, expected.standard_error
        return dispersion * (deviation * deviation) + error * error

    def band(self, expected: Expectation, size: float, variance: float) -> tuple[float, float]:
        """Return the ends of the published band, in base units."""
        del size
        reach = tails.deviations(self._band_probability) * variance**0.5
        return self.natural(expected.low - reach), self.natural(expected.high + reach)

    def rarity(
        self,
        level: float,
        size: float,
        expected: Expectation,
        variance: float,
        degrees_of_freedom: float,
    ) -> float:
        """Return the one-sided tail of one bucket."""
        del size
        low, high = expected.low, expected.high
        if low <= level <= high:
            return 1.0
        beyond = max(level - high, low - level)
        degrees_of_freedom = min(degrees_of_freedom, expected.degrees_of_freedom)
        return tails.level_beyond(beyond / variance**0.5, degrees_of_freedom)

    def extent(self, size: float, base: float) -> float:
        """Return the buckets."""
        del base
        return size

    def window_tail(
        self, window: Window, expected: Expectation, degrees_of_freedom: float
    ) -> float:
        """Return the tail of a faded sum.

        A sum of n is as much nearer to the normal as it is long: its excess kurtosis is that of
        one over n.
        """
        decay = window.decay
        square = decay * decay
        many = max((1.0 + square) / ((1.0 - square) * window.variance_inflation), 1.0)
        degrees_of_freedom = min(
            2.0 + (degrees_of_freedom - 2.0) * many, expected.degrees_of_freedom
        )
        return tails.level_beyond(window.excess / window.variance**0.5, degrees_of_freedom)

    def variance_growth(self, relative: float) -> float:
        """Return 1: a gauge varies alike at all levels."""
        del relative
        return 1.0

    def share(self, excess: float, relative: float, expected: Expectation) -> float:
        """Return a deviation over the least one that matters."""
        moved = expected.mean + math.copysign(abs(relative) * expected.deviation, excess)
        usual = self.natural(expected.mean)
        return abs(self.natural(moved) - usual) / max(self._least_shift(usual), 1e-12)

    def _least_shift(self, usual: float) -> float:
        """Least deviation that matters, in base units."""
        if self._is_log:
            return max(self._least_relative * usual, self._least)
        return max(self._least_level * abs(usual), self._least)

    def effect(self, size: float, expected: Expectation) -> float:
        """Return the least deviation of a bucket that matters, in standard deviations."""
        del size
        usual = self.natural(expected.mean)
        least = self._least_shift(usual)
        return (self.level(usual + least) - self.level(usual)) / expected.deviation

    def on_trade(self, expected: Expectation) -> Expectation:
        """Return what is normal on a commemorative date."""
        if not self._is_demand:
            return expected
        more = math.log(TRADE) if self._is_log else (TRADE - 1.0) * abs(expected.mean)
        return msgspec.structs.replace(expected, high=expected.high + more)
