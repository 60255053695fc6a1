"""What is usual in a series, seen in several ways; each tells by how much a point leaves it."""

from __future__ import annotations

import math
from array import array
from collections import deque
from typing import Final, Protocol

from river import stats

_DAY_SECONDS: Final = 86_400
_HOUR_SECONDS: Final = 3_600
_MONDAY: Final = 3
"""The epoch was a Thursday: days since it plus 3 count from a Monday."""
_SATURDAY: Final = 5

_SEASON_STEP: Final = 0.1
"""An hour's mean forgets to 1/e in ten points: a day of it, or two, are believed soon."""

_SHORT_POINTS: Final = 10.0
_LONG_POINTS: Final = 300.0

_SLOPE_POINTS: Final = 12

_BLOCKS: Final = 8
_CATEGORIES: Final = 12
_VIGILANCE: Final = 1.5
"""A shape this many times further from the nearest category than usual begins one of its own."""
_SHAPE_STEP: Final = 0.1
_SHAPE_MEMORY: Final = 2_000.0
"""Points in which the use of a category, and the usual distance, are forgotten to 1/e."""


class View(Protocol):
    """A way to look at a series; `sides` is how many rises it tells of a point, all 0 or more."""

    sides: int

    def rises(self, seconds: float, value: float) -> tuple[float, ...]:
        """Tell by how much a point leaves what is usual, on each side; nothing changes."""

    def learn(self, seconds: float, value: float) -> None:
        """Learn a point."""


class Season:
    """Fading means by hour of the day, by hour of the week, and by hour of workdays or weekends."""

    sides = 6

    __slots__ = ("_means", "_origin")

    def __init__(self) -> None:
        # From the first value on, so that small numbers keep the digits of large ones.
        self._origin = math.nan
        self._means = array("f", [math.nan] * (24 + 168 + 48))

    @staticmethod
    def _cells(seconds: float) -> tuple[int, int, int]:
        day, rest = divmod(int(seconds), _DAY_SECONDS)
        hour = rest // _HOUR_SECONDS
        weekday = (day + _MONDAY) % 7
        return hour, 24 + weekday * 24 + hour, 192 + (24 if weekday >= _SATURDAY else 0) + hour

    def rises(self, seconds: float, value: float) -> tuple[float, ...]:
        """Tell the distance above and below each mean; 0 where there is none yet."""
        found = []
        value -= self._origin
        for cell in self._cells(seconds):
            # What is not known yet is no number, and no number is over 0.
            distance = value - self._means[cell]
            found.append(max(0.0, distance))
            found.append(max(0.0, -distance))
        return tuple(found)

    def learn(self, seconds: float, value: float) -> None:
        """Move the means of this hour."""
        if math.isnan(self._origin):
            self._origin = value
        value -= self._origin
        for cell in self._cells(seconds):
            mean = self._means[cell]
            self._means[cell] = value if math.isnan(mean) else mean + _SEASON_STEP * (value - mean)


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


class Level:
    """A short fading mean against a long one: the level has shifted."""

    sides = 2

    __slots__ = ("_long", "_short")

    def __init__(self) -> None:
        self._short = Fading(_SHORT_POINTS)
        self._long = Fading(_LONG_POINTS)

    def rises(self, seconds: float, value: float) -> tuple[float, ...]:
        """Tell how far the short mean goes above and below the long one."""
        del seconds
        distance = self._short.after(value) - self._long.get()
        return max(distance, 0.0), max(-distance, 0.0)

    def learn(self, seconds: float, value: float) -> None:
        """Move both means."""
        del seconds
        self._short.learn(value)
        self._long.learn(value)


class Slope:
    """What changed within a dozen points, smoothed: no level is remembered, none can be wrong."""

    sides = 2

    __slots__ = ("_past", "_smooth")

    def __init__(self) -> None:
        self._smooth = Fading(_SLOPE_POINTS / 2.0)
        self._past: deque[float] = deque(maxlen=_SLOPE_POINTS)

    def rises(self, seconds: float, value: float) -> tuple[float, ...]:
        """Tell the change upward and downward."""
        del seconds
        if len(self._past) < _SLOPE_POINTS:
            return 0.0, 0.0
        change = self._smooth.after(value) - self._past[0]
        return max(change, 0.0), max(-change, 0.0)

    def learn(self, seconds: float, value: float) -> None:
        """Remember the smoothed value."""
        del seconds
        self._smooth.learn(value)
        self._past.append(self._smooth.get())


class Shape:
    """The course of the last eight blocks of points, among the courses that are known.

    Courses are put into categories as in adaptive resonance theory (Carpenter, Grossberg & Rosen,
    "Fuzzy ART", Neural Networks 4, 1991): the nearest category takes a course in and moves towards
    it if it is near enough, else the course begins a category, in place of the least used one.

    Args:
        points: In a block, which is told by its mean.
    """

    sides = 1

    __slots__ = ("_blocks", "_categories", "_in_block", "_points", "_sum", "_use", "_usual")

    def __init__(self, points: int) -> None:
        self._points = points
        self._sum = 0.0
        self._in_block = 0
        self._blocks: deque[float] = deque(maxlen=_BLOCKS)
        self._categories = array("f")
        self._use = array("f")
        self._usual = Fading(_SHAPE_MEMORY / points)

    def _course(self, last: float) -> list[float]:
        blocks = [*self._blocks, last][-_BLOCKS:]
        mean = sum(blocks) / _BLOCKS
        return [block - mean for block in blocks]

    def _nearest(self, course: list[float]) -> tuple[int, float]:
        distances = []
        for at in range(0, len(self._categories), _BLOCKS):
            category = self._categories[at : at + _BLOCKS]
            distances.append(sum([abs(a - b) for a, b in zip(course, category, strict=True)]))
        nearest = min(distances)
        return distances.index(nearest), nearest / _BLOCKS

    def rises(self, seconds: float, value: float) -> tuple[float, ...]:
        """Tell the distance to the nearest category when a block is complete, else 0."""
        del seconds
        full = self._in_block == self._points - 1 and len(self._blocks) >= _BLOCKS - 1
        if not full or not self._categories:
            return (0.0,)
        return (self._nearest(self._course((self._sum + value) / self._points))[1],)

    def learn(self, seconds: float, value: float) -> None:
        """Add a point; at the end of a block, put the course into a category."""
        del seconds
        self._sum += value
        self._in_block += 1
        if self._in_block < self._points:
            return
        last = self._sum / self._points
        self._sum, self._in_block = 0.0, 0
        complete = len(self._blocks) >= _BLOCKS - 1
        if complete:
            self._categorise(self._course(last))
        self._blocks.append(last)

    def _categorise(self, course: list[float]) -> None:
        keep = 1.0 - self._points / _SHAPE_MEMORY
        self._use = array("f", [use * keep for use in self._use])
        if self._use:
            at, distance = self._nearest(course)
            self._usual.learn(distance)
            if distance <= _VIGILANCE * self._usual.get():
                for i, block in enumerate(course, at * _BLOCKS):
                    now = self._categories[i]
                    self._categories[i] = now + _SHAPE_STEP * (block - now)
                self._use[at] += 1.0
                return
        if len(self._use) < _CATEGORIES:
            self._categories.extend(course)
            self._use.append(1.0)
        else:
            at = self._use.index(min(self._use))
            self._categories[at * _BLOCKS : (at + 1) * _BLOCKS] = array("f", course)
            self._use[at] = 1.0
