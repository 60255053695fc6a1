"""A profile of the week: sums and exposures per hour and kind of day, forgotten slowly.

Each bucket falls between the centres of two hours and is shared between them, so the profile is
continuous (linear B-splines; de Boor, A Practical Guide to Splines). What an hour of one kind of
day has not taught yet is borrowed from the same hour of the other days, and that from the mean.
"""

from __future__ import annotations

from array import array
from typing import Final

from ruptura.core.contracts.tuning import are_finite
from ruptura.core.ingest.calendar import Phase

HOURS: Final = 24
KINDS_OF_DAY: Final = 4

VISITS_REMEMBERED: Final = (15.0, 6.0, 6.0, 6.0)
"""Days of each kind after which a visit has faded to 1/e: three working weeks, six weekends."""

_SPAN: Final = 2 * HOURS
"""A row of a profile: the sums of the hours, then their exposures."""

_EMPTY: Final = bytes(8 * HOURS)

VISITS_TRUSTED: Final = (2.0, 2.0, 2.0, 4.0)
"""Days of each kind after which an hour is known; one holiday tells little of the next."""


class Grid:
    """What all profiles share, for buckets of one length; of one engine, so of one thread.

    Args:
        buckets_per_hour: Buckets in an hour, at least 1/24.

    Attributes:
        visit: Buckets in which an hour is passed through once, at least 1.
        fades: Share forgotten with each bucket, by kind of day; the last is of all days together.
        phase: What was looked at last; what follows is of it.
        row: Where the row of its kind of day begins.
        left, right: The hours between whose centres it lies.
        share: How much of it is the right one's, in [0, 1).
    """

    __slots__ = ("fades", "left", "phase", "right", "row", "share", "visit")

    def __init__(self, buckets_per_hour: float) -> None:
        visit = max(buckets_per_hour, 1.0)
        self.visit = visit
        self.fades = tuple(1.0 / (visits * visit) for visits in (*VISITS_REMEMBERED, 21.0))
        self.turn(Phase(0, 0.5, True))

    def turn(self, phase: Phase) -> None:
        """Look at a phase; all series of a service have the same one in a bucket."""
        at = phase.hour - 0.5
        left = int(at // 1.0)
        self.share = at - left
        self.left, self.right = left % HOURS, (left + 1) % HOURS
        self.row = _SPAN * (phase.day_type + 1)
        self.phase = phase


class Weekly:
    """Sums and exposures by hour and kind of day.

    The first row is of all days together. Rows of the kinds of day follow, as far as such days
    have come: most series have not seen a holiday yet, and there may be many series.

    Args:
        grid: Shared by all profiles.
    """

    __slots__ = ("_cells", "_grid")

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._cells = array("d", bytes(8 * _SPAN))

    @property
    def visit(self) -> float:
        """Buckets in which an hour is passed through once, at least 1."""
        return self._grid.visit

    def rate(
        self, phase: Phase, overall: float, belief: float
    ) -> tuple[float, float, float, float]:
        """Return what the profile says of a phase.

        Args:
            phase: Where in the week.
            overall: The mean to start from where nothing is known.
            belief: How much that counts against what an hour has taught itself, as a share of
                one visit.

        Returns:
            rate, the rate of the same hour on any day, the share of it that this kind of day
            has taught itself in [0, 1), and the exposure behind it in buckets.
        """
        grid = self._grid
        if grid.phase is not phase:
            grid.turn(phase)
        share = grid.share
        rate, pooled, known, exposure = self._hour(grid.left, overall, belief)
        if share:
            r, p, k, e = self._hour(grid.right, overall, belief)
            keep = 1.0 - share
            rate = keep * rate + share * r
            pooled = keep * pooled + share * p
            known = keep * known + share * k
            exposure = keep * exposure + share * e
        return rate, pooled, known, exposure

    def range(self, phase: Phase, overall: float, belief: float) -> tuple[float, float]:
        """Return the least and the greatest rate of the four hours around a phase; as `rate`."""
        grid = self._grid
        if grid.phase is not phase:
            grid.turn(phase)
        rates = [
            self._hour(hour % HOURS, overall, belief)[0]
            for hour in (grid.left - 1, grid.left, grid.right, grid.right + 1)
        ]
        return min(rates), max(rates)

    def _hour(self, hour: int, overall: float, belief: float) -> tuple[float, float, float, float]:
        grid, cells = self._grid, self._cells
        visit = grid.visit
        prior = belief * visit
        pooled = (cells[hour] + prior * overall) / (cells[hour + HOURS] + prior)
        cell = grid.row + hour
        if cell >= len(cells):
            return prior * pooled / prior, pooled, 0.0, visit
        exposure = cells[cell + HOURS]
        rate = (cells[cell] + prior * pooled) / (exposure + prior)
        return rate, pooled, exposure / (exposure + visit), exposure + visit

    def learn(self, phase: Phase, value: float, size: float, weight: float) -> None:
        """Add a value over an exposure (1 bucket, or a denominator) with a weight in (0, 1]."""
        grid = self._grid
        if grid.phase is not phase:
            grid.turn(phase)
        missing = grid.row + _SPAN - len(self._cells)
        if missing > 0:
            self._cells = array("d", self._cells.tobytes() + bytes(8 * missing))
        share = grid.share
        self._add(phase.day_type, grid.left, value, size, weight * (1.0 - share))
        if share:
            self._add(phase.day_type, grid.right, value, size, weight * share)

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

    def _add(self, kind: int, hour: int, value: float, size: float, weight: float) -> None:
        grid, cells = self._grid, self._cells
        amount, exposure = weight * value, weight * size
        keep = 1.0 - grid.fades[KINDS_OF_DAY] * weight
        cells[hour] = cells[hour] * keep + amount
        cells[hour + HOURS] = cells[hour + HOURS] * keep + exposure
        cell = grid.row + hour
        keep = 1.0 - grid.fades[kind] * weight
        cells[cell] = cells[cell] * keep + amount
        cells[cell + HOURS] = cells[cell + HOURS] * keep + exposure

    def dump(self) -> bytes:
        """Return the state as native doubles: sums of all rows, then exposures.

        Rows are in the order of the kinds of day; the one of all days together is the last.
        """
        cells = self._cells
        rows = [
            cells[at : at + HOURS].tobytes() if at < len(cells) else _EMPTY
            for part in (0, HOURS)
            for at in range(part, part + _SPAN * (KINDS_OF_DAY + 1), _SPAN)
        ]
        half = KINDS_OF_DAY + 1
        return b"".join((*rows[1:half], rows[0], *rows[half + 1 :], rows[half]))

    @staticmethod
    def dumped_bytes() -> int:
        """Return the length of a dump."""
        return 8 * _SPAN * (KINDS_OF_DAY + 1)

    def load(self, state: bytes) -> None:
        """Take a state back; ValueError if it could not be one."""
        if len(state) != self.dumped_bytes():
            raise ValueError("not the profile of a week")
        half = len(state) // 2
        rows: list[bytes] = []
        held = 0
        for row in (KINDS_OF_DAY, *range(KINDS_OF_DAY)):
            at = row * len(_EMPTY)
            sums = state[at : at + len(_EMPTY)]
            exposures = state[half + at : half + at + len(_EMPTY)]
            rows += (sums, exposures)
            if row == KINDS_OF_DAY or sums != _EMPTY or exposures != _EMPTY:
                held = len(rows)
        cells = array("d", b"".join(rows[:held]))
        if not are_finite(cells) or any(
            min(cells[at : at + HOURS]) < 0.0 for at in range(HOURS, len(cells), _SPAN)
        ):
            raise ValueError("a profile with numbers that are none")
        self._cells = cells
