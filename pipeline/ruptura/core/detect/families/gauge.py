"""Gauges: a weekly profile of levels, an offset that follows, and a robust spread."""

from __future__ import annotations

import math
import struct
from typing import Final

from river import stats

from ruptura.core.contracts.tuning import are_finite
from ruptura.core.detect.profile import VISITS_TRUSTED, Grid, Weekly
from ruptura.core.detect.protocol import Expectation
from ruptura.core.ingest.calendar import Phase

OFFSET_SECONDS: Final = 86_400.0
SPREAD_SECONDS: Final = 3 * 86_400.0

_DEVIATIONS_PER_MEAN_ABSOLUTE: Final = 1.2533
"""sqrt(pi / 2): standard deviation over mean absolute deviation of a normal distribution."""

_CLIP: Final = 6.0
"""A residual is learned as at most so many deviations: one freak must not widen the band."""

_BELIEF: Final = 0.1
"""Share of a visit for which an hour is believed to be like the others."""

_DAYS_DIFFER: Final = 0.5
"""How much one visit of an hour differs from the next, in deviations of single buckets."""

_RELATIVE_FLOOR: Final = 0.005
"""A constant series still has a deviation: half a percent of its level."""

_HEAD = struct.Struct("<4d")


class RobustLevel:
    """Expected level of a gauge, in the scale of its series.

    The spread is River's exponentially weighted mean of the absolute residuals, which one wild
    value moves little (Huber & Ronchetti, Robust Statistics, 2nd ed., 5.1).

    Args:
        bucket_seconds: Length of a bucket.
        grid: Shared by all models.
        logarithmic: Whether levels come as natural logarithms.
    """

    __slots__ = (
        "_known",
        "_logarithmic",
        "_memory",
        "_offset",
        "_overall",
        "_phase",
        "_rated",
        "_spread",
        "_week",
    )

    def __init__(self, bucket_seconds: float, grid: Grid, *, logarithmic: bool) -> None:
        self._week = Weekly(grid)
        self._overall = stats.Mean()
        self._phase: Phase | None = None
        self._rated = self._known = 0.0  # what the profile said of that phase
        self._memory = max(SPREAD_SECONDS / bucket_seconds, 2.0)
        self._offset = stats.EWMean(1.0 / max(OFFSET_SECONDS / bucket_seconds, 2.0))
        self._spread = stats.EWMean(1.0 / self._memory)
        self._logarithmic = logarithmic

    def expect_one(self, phase: Phase) -> Expectation:
        """Tell the level that a bucket at this phase should have."""
        overall = self._overall.get()
        rate, pooled, known, exposure = self._week.rate(phase, overall, _BELIEF)
        self._phase, self._rated, self._known = phase, rate, known
        mean = rate + self._offset.get()
        floor = _RELATIVE_FLOOR * (1.0 if self._logarithmic else abs(mean)) + 1e-9
        deviation = max(self._spread.get() * _DEVIATIONS_PER_MEAN_ABSOLUTE, floor)
        visits = exposure / self._week.visit - 1.0
        trust = min(1.0, visits / VISITS_TRUSTED[phase.day_type])
        apart = (1.0 - trust) * (abs(pooled - rate) + deviation) if trust < 1.0 else 0.0
        freedom = min(4.0 + self._overall.n / self._week.visit, 30.0)
        return Expectation(
            mean,
            mean - apart,
            mean + apart,
            deviation,
            _DAYS_DIFFER * deviation / math.sqrt(visits + 1.0),
            freedom,
        )

    def learn_one(self, value: float, size: float, phase: Phase, weight: float) -> None:
        """Learn the level of one bucket; `size` is 1."""
        rate, known = self._rated, self._known
        if self._phase is not phase:
            rate, _, known, _ = self._week.rate(phase, self._overall.get(), _BELIEF)
        n = self._overall.n
        if n == 0.0:
            self._offset.update(0.0)
            self._spread.update(0.0)
        else:
            offset = self._offset.get()
            residual = value - rate - offset
            spread = self._spread.get()
            if spread > 0.0:
                limit = _CLIP * spread * _DEVIATIONS_PER_MEAN_ABSOLUTE
                residual = min(max(residual, -limit), limit)
            step = min(weight * known, 1.0 / self._offset.fading_factor)
            self._offset.update(offset + step * residual)
            # While young, a plain mean; the first residuals come from a level not yet known.
            step = min(weight, 1.0) * max(1.0, self._memory / (n + 1.0))
            self._spread.update(spread + min(step, self._memory) * (abs(residual) - spread))
        offset = self._offset.get()
        # What the offset explains must not change the shape of the week as well.
        value -= offset
        weight = min(weight, 1.0)
        self._overall.update(value, weight)
        self._week.learn(phase, value, size, weight)
        if abs(offset) > self._spread.get() > 0.0:
            # The profile takes it over, so that hours not yet known are expected there too.
            self._week.shift(offset)
            overall = stats.Mean()
            overall.update(self._overall.get() + offset, self._overall.n)
            self._overall = overall
            self._offset = stats.EWMean(self._offset.fading_factor)
            self._offset.update(0.0)

    def dump(self) -> bytes:
        """Return the state."""
        head = _HEAD.pack(
            self._overall.n, self._overall.get(), self._offset.get(), self._spread.get()
        )
        return head + self._week.dump()

    def load(self, state: bytes) -> None:
        """Take the state back; ValueError if it could not be this model's."""
        if len(state) != _HEAD.size + Weekly.dumped_bytes():
            raise ValueError("not the state of a RobustLevel")
        head = _HEAD.unpack_from(state)
        n, overall, offset, spread = head
        if not are_finite(head) or n < 0.0 or spread < 0.0:
            raise ValueError("a RobustLevel with numbers that are none")
        self._week.load(state[_HEAD.size :])
        if n > 0.0:
            self._overall.update(overall, n)
            self._offset.update(offset)
            self._spread.update(spread)
