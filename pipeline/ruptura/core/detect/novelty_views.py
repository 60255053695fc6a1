"""What is usual in a series, seen in two ways; each measures by how much a point leaves it."""

from __future__ import annotations

import math
from array import array
from typing import Final, Protocol

from river import stats

_DAY_SECONDS: Final = 86_400
_HOUR_SECONDS: Final = 3_600
_MONDAY: Final = 3
"""The epoch was a Thursday: days since it plus 3 count from a Monday."""
_SATURDAY: Final = 5

STEP: Final = 0.1
"""An hour's mean forgets to 1/e in ten points: a day or two of it soon count."""

_USUAL_POINTS: Final = 300.0
"""About a day by five minutes: the level that no hour is needed for."""

_ROUGHNESS_POINTS: Final = (100.0, 5000.0)
"""That of hours, and that of weeks, so that after a quiet night not all is novel."""
_SMOOTHEST: Final = 1e-30
"""Less roughness counts as this: what is kept in single precision must hold the quotient."""

_SHIFTS: Final = ((10.0, 300.0), (30.0, 1000.0))
"""Memories of a short and a long mean, in points: shifts within an hour, and within some."""

_NEGLIGIBLE: Final = 1e-6
"""A distance of such a part of the value counts as 0: numbers are kept to no more digits."""


class View(Protocol):
    """A view of a series; of a point it gives `rises` figures, all 0 or more."""

    rises: int

    def measure(self, seconds: float, value: float) -> tuple[float, ...]:
        """Return by how much a point leaves what is usual, 0 if negligible; nothing changes."""

    def learn(self, seconds: float, value: float) -> None:
        """Learn a point."""


class Fading:
    """River's exponentially weighted mean, which begins as a plain one."""

    __slots__ = ("_mean", "_points", "_seen")

    def __init__(self, points: float) -> None:
        self._points = points
        self._mean = stats.EWMean(1.0 / points)
        self._seen = 0.0

    def __getstate__(self) -> tuple[float, float, float]:
        return self._points, self.get(), self._seen

    def __setstate__(self, state: tuple[float, float, float]) -> None:
        self._points, mean, self._seen = state
        self._mean = stats.EWMean(1.0 / self._points)
        if self._seen:
            self._mean.update(mean)

    def get(self) -> float:
        """Return the mean; 0 before there is any."""
        return float(self._mean.get())

    def after(self, value: float) -> float:
        """Return what the mean would be after this value."""
        mean = self.get() if self._seen else value
        return mean + (value - mean) / min(self._seen + 1.0, self._points)

    def learn(self, value: float) -> None:
        """Add a value."""
        mean = self.after(value)
        if self._seen:
            now = self.get()
            self._mean.update(now + (mean - now) * self._points)
        else:
            self._mean.update(value)
        self._seen = min(self._seen + 1.0, self._points)


class Departure:
    """How far a value lies outside of all that is usual: what any mean explains is not novel.

    The means are those of the hour of the day, of the hour on workdays or weekends, of the hour of
    the week, and of the last points whatever the hour. Three figures: the distance to all of them;
    the same in units of the usual step from point to point, for a rough stretch of a series
    explains more than a smooth one; the distance to all but the mean of the hour of the week. The
    first two are 0 until that hour is known, the third speaks in the first week too.

    Args:
        step: Share of a new value in the mean of its hour, in (0, 1].
    """

    rises = 3

    __slots__ = ("_last", "_means", "_origin", "_roughness", "_step", "_usual")

    def __init__(self, step: float = STEP) -> None:
        self._step = step
        # From the first value on, so that small numbers keep the digits of large ones.
        self._origin = math.nan
        self._last = math.nan
        self._means = array("f", [math.nan] * (24 + 168 + 48))
        self._usual = Fading(_USUAL_POINTS)
        self._roughness = tuple(Fading(points) for points in _ROUGHNESS_POINTS)

    @staticmethod
    def _cells(seconds: float) -> tuple[int, int, int]:
        day, rest = divmod(int(seconds), _DAY_SECONDS)
        hour = rest // _HOUR_SECONDS
        weekday = (day + _MONDAY) % 7
        return hour, 192 + (24 if weekday >= _SATURDAY else 0) + hour, 24 + weekday * 24 + hour

    def measure(self, seconds: float, value: float) -> tuple[float, ...]:
        """Return the distance outside all means, in both units, and outside those of any week."""
        means, (daily, kind, weekly) = self._means, self._cells(seconds)
        negligible = _NEGLIGIBLE * abs(value)
        value -= self._origin
        hour, kind_of_day, usual = means[daily], means[kind], self._usual.get()
        if math.isnan(hour + kind_of_day):
            return 0.0, 0.0, 0.0
        low, high = min(hour, kind_of_day, usual), max(hour, kind_of_day, usual)
        any_week = max(value - high, low - value)
        if any_week <= negligible:
            return 0.0, 0.0, 0.0
        week = means[weekly]
        outside = max(value - max(high, week), min(low, week) - value)
        if math.isnan(week) or outside <= negligible:
            return 0.0, 0.0, any_week
        return outside, self._in_steps(outside), any_week

    def _in_steps(self, distance: float) -> float:
        short, long = self._roughness
        roughness = (short.get() + long.get()) / 2.0
        # Where nothing ever moved, the distance itself is the only unit there is.
        return distance / max(roughness, _SMOOTHEST) if roughness > 0.0 else 1.0

    def learn(self, seconds: float, value: float) -> None:
        """Move the means of this hour, that of the last points, and the roughness."""
        if math.isnan(self._origin):
            self._origin = self._last = value
        for roughness in self._roughness:
            roughness.learn(abs(value - self._last))
        self._last = value
        value -= self._origin
        for cell in self._cells(seconds):
            mean = self._means[cell]
            self._means[cell] = value if math.isnan(mean) else mean + self._step * (value - mean)
        self._usual.learn(value)


class Shift:
    """Short fading means against long ones: the level has changed, upward or downward."""

    rises = len(_SHIFTS)

    __slots__ = ("_pairs",)

    def __init__(self) -> None:
        self._pairs = tuple((Fading(short), Fading(long)) for short, long in _SHIFTS)

    def measure(self, seconds: float, value: float) -> tuple[float, ...]:
        """Return the distance of each short mean, with this value, from its long one."""
        del seconds
        negligible = _NEGLIGIBLE * abs(value)
        distances = [abs(short.after(value) - long.get()) for short, long in self._pairs]
        return tuple([each if each > negligible else 0.0 for each in distances])

    def learn(self, seconds: float, value: float) -> None:
        """Move all means."""
        del seconds
        for short, long in self._pairs:
            short.learn(value)
            long.learn(value)
