"""A profile of the week: sums and exposures per hour and kind of day, forgotten slowly.

Each bucket falls between the centres of two hours and is shared between them, so the profile is
continuous (linear B-splines; de Boor, A Practical Guide to Splines). What an hour of one kind of
day has not taught yet is borrowed from the same hour of the other days, and that from the mean.
"""

from __future__ import annotations

from array import array
from typing import Final

from ruptura.core.calendar import Phase
from ruptura.core.tuning import are_finite

HOURS: Final = 24
KINDS_OF_DAY: Final = 4

VISITS_REMEMBERED: Final = (15.0, 6.0, 6.0, 6.0)
"""Days of each kind after which a visit has faded to 1/e: three working weeks, six weekends."""

VISITS_TRUSTED: Final = (2.0, 2.0, 2.0, 4.0)
"""Days of each kind after which an hour is known; one holiday tells little of the next."""


class Weekly:
    """Sums and exposures by hour and kind of day.

    Args:
        buckets_per_hour: Buckets in an hour, at least 1/24.
    """

    __slots__ = ("_exposures", "_fade", "_prior", "_sums")

    def __init__(self, buckets_per_hour: float) -> None:
        size = HOURS * (KINDS_OF_DAY + 1)  # the last row is all days together
        self._sums = array("d", bytes(8 * size))
        self._exposures = array("d", bytes(8 * size))
        visit = max(buckets_per_hour, 1.0)
        self._prior = visit
        self._fade = tuple(1.0 / (visits * visit) for visits in (*VISITS_REMEMBERED, 21.0))

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
        at = phase.hour - 0.5
        left = int(at // 1.0)
        share = at - left
        rate, pooled, known, exposure = self._hour(phase.day_type, left % HOURS, overall, belief)
        if share:
            r, p, k, e = self._hour(phase.day_type, (left + 1) % HOURS, overall, belief)
            keep = 1.0 - share
            rate = keep * rate + share * r
            pooled = keep * pooled + share * p
            known = keep * known + share * k
            exposure = keep * exposure + share * e
        return rate, pooled, known, exposure

    def _hour(
        self, kind: int, hour: int, overall: float, belief: float
    ) -> tuple[float, float, float, float]:
        visit = self._prior
        prior = belief * visit
        sums, exposures = self._sums, self._exposures
        cell = HOURS * KINDS_OF_DAY + hour
        pooled = (sums[cell] + prior * overall) / (exposures[cell] + prior)
        cell = HOURS * kind + hour
        exposure = exposures[cell]
        rate = (sums[cell] + prior * pooled) / (exposure + prior)
        return rate, pooled, exposure / (exposure + visit), exposure + visit

    def learn(self, phase: Phase, value: float, size: float, weight: float) -> None:
        """Add a value over an exposure (1 bucket, or a denominator) with a weight in (0, 1]."""
        at = phase.hour - 0.5
        left = int(at // 1.0)
        share = at - left
        self._add(phase.day_type, left % HOURS, value, size, weight * (1.0 - share))
        if share:
            self._add(phase.day_type, (left + 1) % HOURS, value, size, weight * share)

    def _add(self, kind: int, hour: int, value: float, size: float, weight: float) -> None:
        sums, exposures = self._sums, self._exposures
        for row in (kind, KINDS_OF_DAY):
            cell = HOURS * row + hour
            keep = 1.0 - self._fade[row] * weight
            sums[cell] = sums[cell] * keep + weight * value
            exposures[cell] = exposures[cell] * keep + weight * size

    def dump(self) -> bytes:
        """Return the state: sums, then exposures, as native doubles."""
        return self._sums.tobytes() + self._exposures.tobytes()

    @staticmethod
    def dumped_bytes() -> int:
        """Return the length of a dump."""
        return 2 * 8 * HOURS * (KINDS_OF_DAY + 1)

    def load(self, state: bytes) -> None:
        """Take a state back; ValueError if it could not be one."""
        if len(state) != self.dumped_bytes():
            raise ValueError("not the profile of a week")
        half = len(state) // 2
        sums, exposures = array("d", state[:half]), array("d", state[half:])
        if not are_finite(sums) or not are_finite(exposures) or min(exposures) < 0.0:
            raise ValueError("a profile with numbers that are none")
        self._sums, self._exposures = sums, exposures
