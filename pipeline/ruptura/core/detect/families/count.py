"""Counts: a weekly profile of rates times a level that follows the last day or two."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec
from river import stats

from ruptura.core.contracts.tuning import Amount, DetectionTuning, are_finite
from ruptura.core.detect import tails
from ruptura.core.detect.expectation import Expectation
from ruptura.core.detect.likelihood import (
    LEAST_VARIANCE,
    TRADE,
    Reference,
    Window,
    event_share,
    least_relative,
)
from ruptura.core.detect.profile import VISITS_TRUSTED, Grid, Weekly, position
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.registry import SeriesSpec

VERSION: Final = 1

LEVEL_SECONDS: Final = 2 * 86_400.0
"""Time in which the level forgets to 1/e: a permanent change is normal after a few days."""

_LEVEL_PRIOR: Final = 20.0
"""Events' worth of belief that the level is the profile's own."""

_LEVEL_MOVED: Final = 1.25
"""Level, or one over it, from which on it is the profile's."""

_PROFILE_PRIOR: Final = 20.0
"""Events' worth of belief, at most a visit's, that an hour is like the others."""

_DAYS_DIFFER: Final = 0.1
"""How much one visit of an hour differs from the next beside chance, relative to it."""

_STEP: Final = 4.0
"""Within three hours; beyond it the rate is taken to jump at some moment in between."""

_SHAPE_ERROR: Final = 0.02
"""What straight lines between hours miss of a day's shape, relative to it."""


class CountState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `SeasonalCount` remembers.

    Attributes:
        weight, overall: Of the mean over all: its weight in buckets, and the mean in events.
        seen, expected: The faded means of what was seen and of what the profile expected.
        profile: As `Weekly.dump`.
    """

    weight: Amount
    overall: Amount
    seen: Amount
    expected: Amount
    profile: bytes


class SeasonalCount:
    """Expected events per bucket, by hour and kind of day.

    The rate of an hour has a gamma posterior (its events over its exposure), so an hour that was
    seen little has a large standard error: Gelman et al., Bayesian Data Analysis, 3rd ed., 2.6.
    The level is the ratio of two of River's exponentially weighted means.

    Args:
        bucket_seconds: Length of a bucket.
        grid: Shared by all models.
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = CountState

    __slots__ = ("_expected", "_memory", "_overall", "_seen", "_week")

    def __init__(self, bucket_seconds: float, grid: Grid) -> None:
        self._week = Weekly(grid)
        self._overall = stats.Mean()
        self._memory = max(LEVEL_SECONDS / bucket_seconds, 2.0)
        self._seen = stats.EWMean(1.0 / self._memory)
        self._expected = stats.EWMean(1.0 / self._memory)

    def _level(self) -> float:
        events = self._memory
        return float(
            (self._seen.get() * events + _LEVEL_PRIOR)
            / (self._expected.get() * events + _LEVEL_PRIOR)
        )

    def _prior(self) -> tuple[float, float]:
        """The prior rate, where nothing is known, and its weight in visits."""
        overall = self._overall.get()
        events = max(overall * self._week.visit, 1e-9)  # in a visit of an ordinary hour
        return overall, min(_PROFILE_PRIOR / events, 1.0)

    def expect_one(self, phase: Phase) -> Expectation:
        """Return how many events a bucket at this phase should hold."""
        at = position(phase.day_type, phase.hour)
        rate, pooled, known, exposure, least, most = self._week.surroundings(at, *self._prior())
        level = self._level()
        mean = rate * level
        # Nothing is promised of an hour that this kind of day has never had.
        visits = exposure / self._week.visit - 1.0
        trust = min(1.0, visits / VISITS_TRUSTED[phase.day_type])
        low = mean if trust >= 1.0 else mean * trust
        high = mean if trust >= 1.0 else mean + (1.0 - trust) * max(pooled * level - mean, 0.0)
        if most > _STEP * least:
            # A desk opens or closes here, and straight lines between hours do not tell when.
            low, high = min(low, least * level), max(high, most * level)
        if not phase.open:
            low = 0.0
        standard_error = (
            1.0 / max(rate * exposure, 1.0)
            + _DAYS_DIFFER * _DAYS_DIFFER * self._week.visit / exposure
            + _SHAPE_ERROR * _SHAPE_ERROR
        ) ** 0.5
        return Expectation(mean, low, high, 0.0, standard_error, 0.0, at, rate, known)

    def learn_one(self, value: float, size: float, expected: Expectation, weight: float) -> None:
        """Learn the events of one bucket; `size` is 1."""
        at = expected.position
        if at is None:
            raise TypeError("an expectation of another family")
        if self._overall.n == 0.0:
            self._seen.update(value)
            self._expected.update(value)
        else:
            # River's mean moves by fading * (x - mean): shortening the step is a lower weight.
            step = min(weight * expected.known, self._memory)
            for mean, x in ((self._seen, value), (self._expected, expected.rate)):
                now = mean.get()
                mean.update(now + step * (x - now))
        level = self._level()
        # What the level explains must not change the shape of the week as well.
        value /= level
        weight = min(weight, 1.0)
        self._overall.update(value, weight)
        self._week.learn(at, value, size, weight)
        if not 1.0 / _LEVEL_MOVED < level < _LEVEL_MOVED:
            self._rebase(level)

    def _rebase(self, level: float) -> None:
        """Let the profile take over the level, so that belief in the profile is not in the old."""
        self._week.scale(level)
        overall = stats.Mean()
        overall.update(self._overall.get() * level, self._overall.n)
        self._overall = overall
        self._expected.update(
            self._expected.get() + self._memory * (self._seen.get() - self._expected.get())
        )

    def dump(self) -> CountState:
        """Return the state."""
        return CountState(
            self._overall.n,
            self._overall.get(),
            self._seen.get(),
            self._expected.get(),
            self._week.dump(),
        )

    def load(self, state: CountState) -> None:
        """Take the state back; ValueError if it could not be this model's."""
        head = (state.weight, state.overall, state.seen, state.expected)
        if not are_finite(head):
            raise ValueError("counts: not finite")
        if min(head) < 0.0:
            raise ValueError("counts: under 0")
        self._week.load(state.profile)
        if state.weight > 0.0:
            self._overall.update(state.overall, state.weight)
            self._seen.update(state.seen)
            self._expected.update(state.expected)


class CountLikelihood:
    """Events in a bucket: Poisson, or negative binomial where they vary more than their mean.

    Variance: D m + (s m)^2, with the mean m in events, the dispersion D and the relative standard
    error s of the mean.
    """

    PRIOR_DISPERSION: ClassVar[float] = 1.5
    WINSOR_MARGIN: ClassVar[float] = 3.0
    IS_STANDARDISED: ClassVar[bool] = False
    SCANS_FIRST_BUCKET: ClassVar[bool] = True

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
        """Return the value."""
        del size
        return value

    def deviation(self, level: float, expected: Expectation) -> float:
        """Return the events."""
        del expected
        return level

    def reference(self, expected: Expectation, size: float) -> Reference:
        """Return what one bucket is compared with, in events."""
        mean = expected.mean * size
        variance = max(mean, LEAST_VARIANCE)
        low, high = expected.low * size, expected.high * size
        return mean, low, high, variance, mean, expected.standard_error

    def exposure(self, expected: Expectation, size: float) -> float:
        """Return the mean."""
        del size
        return expected.mean

    def variance(self, expected: Expectation, size: float, dispersion: float) -> float:
        """Return the variance of one bucket."""
        mean = expected.mean * size
        error = expected.standard_error * mean
        return dispersion * max(mean, LEAST_VARIANCE) + error * error

    def band(self, expected: Expectation, size: float, variance: float) -> tuple[float, float]:
        """Return the ends of the published band, in events."""
        return tails.gamma_band(
            expected.low * size, expected.high * size, variance, self._band_probability
        )

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
        dispersion = variance / max(expected.mean, LEAST_VARIANCE)
        if level > high:
            return tails.count_above(level, high, dispersion)
        return tails.count_below(level, low, dispersion)

    def extent(self, size: float, base: float) -> float:
        """Return the events expected."""
        del size
        return base

    def window_tail(
        self, window: Window, expected: Expectation, degrees_of_freedom: float
    ) -> float:
        """Return the tail of a faded sum, counted in units in which variance is mean again."""
        del expected, degrees_of_freedom
        base, unit = max(window.base, LEAST_VARIANCE), window.unit
        dispersion = window.variance / (base * unit)
        tail = tails.count_above if window.excess > 0.0 else tails.count_below
        return tail(window.seen / unit, base / unit, dispersion)

    def variance_growth(self, relative: float) -> float:
        """Return the growth of the mean: the variance goes with it."""
        return 1.0 + relative

    def share(self, excess: float, relative: float, expected: Expectation) -> float:
        """Return a deviation over the least one that matters."""
        del expected
        return event_share(excess, relative, self._least, self._least_relative)

    def effect(self, size: float, expected: Expectation) -> float:
        """Return the least deviation of a bucket that matters, in events."""
        return self._least_relative * expected.mean * size

    def on_trade(self, expected: Expectation) -> Expectation:
        """Return what is normal on a commemorative date."""
        return msgspec.structs.replace(expected, high=expected.high * TRADE)
