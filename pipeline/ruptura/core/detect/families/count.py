"""Counts: a weekly profile of rates times a level that follows the last day or two."""

from __future__ import annotations

import struct
from typing import Final

from river import stats

from ruptura.core.contracts.tuning import are_finite
from ruptura.core.detect.profile import VISITS_TRUSTED, Grid, Weekly
from ruptura.core.detect.protocol import Expectation
from ruptura.core.ingest.calendar import Phase

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

_SHAPE_DOUBT: Final = 0.02
"""What straight lines between hours miss of a day's shape, relative to it."""

_HEAD = struct.Struct("<4d")


class SeasonalCount:
    """Expected events per bucket, by hour and kind of day.

    The rate of an hour has a gamma posterior (its events over its exposure), so an hour that was
    seen little is expected with much doubt: Gelman et al., Bayesian Data Analysis, 3rd ed., 2.6.
    The level is the ratio of two of River's exponentially weighted means.

    Args:
        bucket_seconds: Length of a bucket.
        grid: Shared by all models.
    """

    __slots__ = ("_due", "_known", "_memory", "_overall", "_phase", "_rated", "_seen", "_week")

    def __init__(self, bucket_seconds: float, grid: Grid) -> None:
        self._week = Weekly(grid)
        self._overall = stats.Mean()
        self._phase: Phase | None = None
        self._rated = self._known = 0.0  # what the profile said of that phase
        self._memory = max(LEVEL_SECONDS / bucket_seconds, 2.0)
        self._seen = stats.EWMean(1.0 / self._memory)
        self._due = stats.EWMean(1.0 / self._memory)

    def _level(self) -> float:
        events = self._memory
        return float(
            (self._seen.get() * events + _LEVEL_PRIOR) / (self._due.get() * events + _LEVEL_PRIOR)
        )

    def _rate(self, phase: Phase) -> tuple[float, float, float, float]:
        return self._week.rate(phase, *self._prior())

    def _prior(self) -> tuple[float, float]:
        """The rate that is believed where nothing is known, and how much, in visits."""
        overall = self._overall.get()
        events = max(overall * self._week.visit, 1e-9)  # in a visit of an ordinary hour
        return overall, min(_PROFILE_PRIOR / events, 1.0)

    def expect_one(self, phase: Phase) -> Expectation:
        """Tell how many events a bucket at this phase should hold."""
        rate, pooled, known, exposure = self._rate(phase)
        self._phase, self._rated, self._known = phase, rate, known
        level = self._level()
        mean = rate * level
        # Nothing is promised of an hour that this kind of day has never had.
        visits = exposure / self._week.visit - 1.0
        trust = min(1.0, visits / VISITS_TRUSTED[phase.day_type])
        low = mean if trust >= 1.0 else mean * trust
        high = mean if trust >= 1.0 else mean + (1.0 - trust) * max(pooled * level - mean, 0.0)
        least, most = self._week.range(phase, *self._prior())
        if most > _STEP * least:
            # A desk opens or closes here, and straight lines between hours do not tell when.
            low, high = min(low, least * level), max(high, most * level)
        if not phase.open:
            low = 0.0
        doubt = (
            1.0 / max(rate * exposure, 1.0)
            + _DAYS_DIFFER * _DAYS_DIFFER * self._week.visit / exposure
            + _SHAPE_DOUBT * _SHAPE_DOUBT
        ) ** 0.5
        return Expectation(mean, low, high, 0.0, doubt, 0.0)

    def learn_one(self, value: float, size: float, phase: Phase, weight: float) -> None:
        """Learn the events of one bucket; `size` is 1."""
        rate, known = self._rated, self._known
        if self._phase is not phase:
            rate, _, known, _ = self._rate(phase)
        if self._overall.n == 0.0:
            self._seen.update(value)
            self._due.update(value)
        else:
            # River's mean moves by fading * (x - mean): shortening the step is a lower weight.
            step = min(weight * known, self._memory)
            for mean, x in ((self._seen, value), (self._due, rate)):
                now = mean.get()
                mean.update(now + step * (x - now))
        level = self._level()
        # What the level explains must not change the shape of the week as well.
        value /= level
        weight = min(weight, 1.0)
        self._overall.update(value, weight)
        self._week.learn(phase, value, size, weight)
        if not 1.0 / _LEVEL_MOVED < level < _LEVEL_MOVED:
            self._rebase(level)

    def _rebase(self, level: float) -> None:
        """Let the profile take over the level, so that belief in the profile is not in the old."""
        self._week.scale(level)
        overall = stats.Mean()
        overall.update(self._overall.get() * level, self._overall.n)
        self._overall = overall
        self._due.update(self._due.get() + self._memory * (self._seen.get() - self._due.get()))

    def dump(self) -> bytes:
        """Return the state."""
        head = _HEAD.pack(self._overall.n, self._overall.get(), self._seen.get(), self._due.get())
        return head + self._week.dump()

    def load(self, state: bytes) -> None:
        """Take the state back; ValueError if it could not be this model's."""
        if len(state) != _HEAD.size + Weekly.dumped_bytes():
            raise ValueError("not the state of a SeasonalCount")
        head = _HEAD.unpack_from(state)
        if not are_finite(head) or min(head) < 0.0:
            raise ValueError("a SeasonalCount with numbers that are none")
        n, overall, seen, due = head
        self._week.load(state[_HEAD.size :])
        if n > 0.0:
            self._overall.update(overall, n)
            self._seen.update(seen)
            self._due.update(due)
