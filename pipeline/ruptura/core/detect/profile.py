"""A profile of the week: sums and exposures per hour and kind of day, forgotten slowly.

Each bucket falls between the centres of two hours and is shared between them, so the profile is
continuous (linear B-splines; de Boor, A Practical Guide to Splines). What an hour of one kind of
day has not taught yet is borrowed from the same hour of the other days, and that from the mean.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import Final

import msgspec

from ruptura.core.detect.expectation import Position
from ruptura.core.detect.state import vector, vector_bytes

HOURS: Final = 24
KINDS_OF_DAY: Final = 4

VISITS_REMEMBERED: Final = (15.0, 6.0, 6.0, 6.0)
"""Days of each kind after which a visit has faded to 1/e: three working weeks, six weekends."""

_SPAN: Final = 2 * HOURS
"""A row of a profile: the sums of the hours, then their exposures."""

VISITS_TRUSTED: Final = (2.0, 2.0, 2.0, 4.0)
"""Days of each kind after which an hour is known; one holiday tells little of the next."""


_DAYS_REMEMBERED: Final = 21.0
"""The same of all days together."""


class Grid(msgspec.Struct, frozen=True):
    """What all profiles of buckets of one length have in common.

    Attributes:
        visit: Buckets in which an hour is passed through once, at least 1.
        fades: Share forgotten with each bucket, by kind of day; the last is of all days together.
    """

    visit: float
    fades: tuple[float, ...]

    @classmethod
    def of(cls, buckets_per_hour: float) -> Grid:
        """Return the grid for so many buckets in an hour, at least 1/24."""
        visit = max(buckets_per_hour, 1.0)
        remembered = (*VISITS_REMEMBERED, _DAYS_REMEMBERED)
        return cls(visit, tuple(1.0 / (visits * visit) for visits in remembered))


@lru_cache(maxsize=256)  # all series of a service ask for the same one in a bucket
def position(day_type: int, hour: float) -> Position:
    """Return where in a profile a moment lies.

    Args:
        day_type: As in `Phase`.
        hour: Of the day, in [0, 24).

    >>> position(0, 9.75)
    Position(day_type=0, left=9, right=10, share=0.25)
    """
    at = hour - 0.5
    left = int(at // 1.0)
    return Position(day_type, left % HOURS, (left + 1) % HOURS, at - left)


Rate = tuple[float, float, float, float]
"""A rate, that of the same hour on any day, the share of it that this kind of day has taught itself
in [0, 1), and the exposure behind it in buckets."""


class Weekly:
    """Sums and exposures by hour and kind of day.

    The first row is of all days together. Rows of the kinds of day follow, as far as such days
    have come: most series have not seen a holiday yet, and there may be many series.

    Args:
        grid: Of its buckets.
    """

    __slots__ = ("_cells", "_grid")

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._cells = array("d", bytes(8 * _SPAN))

    @property
    def visit(self) -> float:
        """Buckets in which an hour is passed through once, at least 1."""
        return self._grid.visit

    def rate(self, at: Position, overall: float, belief: float) -> Rate:
        """Return what the profile says of a moment.

        Args:
            at: Where in the week.
            overall: The mean to start from where nothing is known.
            belief: How much that counts against what an hour has taught itself, as a share of
                one visit.
        """
        day_type, left, right, share = at
        found = self._hour(day_type, left, overall, belief)
        if share:
            found = _between(found, self._hour(day_type, right, overall, belief), share)
        return found

    def surroundings(
        self, at: Position, overall: float, belief: float
    ) -> tuple[float, float, float, float, float, float]:
        """Return `rate`, then the least and the greatest rate of the four hours around."""
        day_type, left, right, share = at
        one = self._hour(day_type, left, overall, belief)
        other = self._hour(day_type, right, overall, belief)
        before = self._hour(day_type, (left - 1) % HOURS, overall, belief)[0]
        after = self._hour(day_type, (right + 1) % HOURS, overall, belief)[0]
        least = min(before, one[0], other[0], after)
        most = max(before, one[0], other[0], after)
        return (*(_between(one, other, share) if share else one), least, most)

    def _hour(self, day_type: int, hour: int, overall: float, belief: float) -> Rate:
        cells = self._cells
        visit = self._grid.visit
        prior = belief * visit
        pooled = (cells[hour] + prior * overall) / (cells[hour + HOURS] + prior)
        cell = _SPAN * (day_type + 1) + hour
        if cell >= len(cells):
            return prior * pooled / prior, pooled, 0.0, visit
        exposure = cells[cell + HOURS]
        rate = (cells[cell] + prior * pooled) / (exposure + prior)
        return rate, pooled, exposure / (exposure + visit), exposure + visit

    def learn(self, at: Position, value: float, size: float, weight: float) -> None:
        """Add a value over an exposure (1 bucket, or a denominator) with a weight in (0, 1]."""
        day_type, left, right, share = at
        missing = _SPAN * (day_type + 2) - len(self._cells)
        if missing > 0:
            self._cells = array("d", self._cells.tobytes() + bytes(8 * missing))
        self._add(day_type, left, value, size, weight * (1.0 - share))
        if share:
            self._add(day_type, right, value, size, weight * share)

    def scale(self, factor: float) -> None:
        """Multiply all rates, at least 0: the level of the whole profile has moved."""
        cells = self._cells
        for at in range(0, len(cells), _SPAN):
            for hour in range(at, at + HOURS):
                cells[hour] *= factor

    def shift(self, change: float) -> None:
        """Add to all rates: the level of the whole profile has moved."""
        cells = self._cells
        for at in range(0, len(cells), _SPAN):
            for hour in range(at, at + HOURS):
                cells[hour] += change * cells[hour + HOURS]

    def _add(self, day_type: int, hour: int, value: float, size: float, weight: float) -> None:
        cells, fades = self._cells, self._grid.fades
        amount, exposure = weight * value, weight * size
        decay = 1.0 - fades[KINDS_OF_DAY] * weight
        cells[hour] = cells[hour] * decay + amount
        cells[hour + HOURS] = cells[hour + HOURS] * decay + exposure
        cell = _SPAN * (day_type + 1) + hour
        decay = 1.0 - fades[day_type] * weight
        cells[cell] = cells[cell] * decay + amount
        cells[cell + HOURS] = cells[cell + HOURS] * decay + exposure

    def dump(self) -> bytes:
        """Return the state: rows of 24 sums and 24 exposures, little-endian doubles.

        The first row is of all days together; those of the kinds of day follow in their order, as
        far as such days have come.
        """
        return vector_bytes(self._cells)

    def load(self, state: bytes) -> None:
        """Take a state back; ValueError if it could not be one."""
        cells = vector(state, "profile")
        rows = len(cells) // _SPAN
        if len(cells) % _SPAN or not 1 <= rows <= KINDS_OF_DAY + 1:
            raise ValueError("not the profile of a week")
        if any(min(cells[at : at + HOURS]) < 0.0 for at in range(HOURS, len(cells), _SPAN)):
            raise ValueError("profile: exposures under 0")
        self._cells = cells


def _between(one: Rate, other: Rate, share: float) -> Rate:
    """Return what lies so far between two hours: linear B-splines."""
    rest = 1.0 - share
    return (
        rest * one[0] + share * other[0],
        rest * one[1] + share * other[1],
        rest * one[2] + share * other[2],
        rest * one[3] + share * other[3],
    )
