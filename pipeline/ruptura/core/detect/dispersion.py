"""How single buckets vary around their mean: dispersion, how heavy the tails, how tied neighbours.

The variance is what the family gives times a + b x, where x is the mean of a count (b = 0 is the
quasi-Poisson, a = 1 the negative binomial of constant shape: Ver Hoef & Boveng, Ecology 88, 2007)
or the denominator of a ratio (beta-binomial). Both are learned at once by weighted least squares
on the squared residuals.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

from ruptura.core.contracts.tuning import are_finite

_BELIEVED: Final = 20.0
"""What the belief from before anything was seen weighs, in lessons."""

_OUTLIER: Final = 36.0
"""A squared deviation teaches at most so many times what is usual."""

_CUT: Final = 4.0
"""Deviations to which a bucket is cut before it is compared with its neighbour."""

_LEVEL_SPREAD: Final = 0.01
"""Variance of x, relative to its square, up to which a and b cannot be told apart."""

_LEAST_X: Final = 1e-6
"""Mean of x under which there is nothing to tell a and b apart by."""

_FARTHEST_X: Final = 20.0
"""Times its mean beyond which x counts no less: the mean itself may be off at first."""

_MOST_TIED: Final = 0.999

(
    _WEIGHT,
    _X,
    _XX,
    _SQUARES,
    _SQUARES_X,
    _CROSS,
    _POWER,
    _LAST,
    _TIES,
) = range(9)
_NUMBERS: Final = 9


class Dispersion:
    """What single buckets of one series have taught.

    Args:
        memory: Lessons after which one has faded to 1/e.
        believed: Dispersion from before anything was seen, at least 1.

    Attributes:
        freedom: Degrees of freedom of a gauge's tails, over 2.
        ties: Correlation of neighbouring buckets, in [0, 1).
    """

    __slots__ = ("_before", "_keep", "_numbers", "_slope", "_start", "freedom", "ties")

    def __init__(self, memory: float, believed: float) -> None:
        self._before = believed
        self._keep = 1.0 - 1.0 / max(memory, 2.0)
        self._numbers = array("d", bytes(8 * _NUMBERS))
        self._start, self._slope = believed, 0.0
        self.ties = 0.0
        self.freedom = 30.0
        self._solve()

    def at(self, trials: float) -> float:
        """Return variance over what the family gives, at least 1.

        Args:
            trials: The mean of a count, the denominator of a ratio; 0 for a gauge.
        """
        return self._start + self._slope * trials

    def learn(
        self,
        deviation: float,
        own: float,
        trials: float,
        weight: float,
        *,
        is_vague: bool,
        is_due: bool,
    ) -> None:
        """Learn one bucket.

        Args:
            deviation: From the mean.
            own: Variance that the family gives, over 0.
            trials: As `at`.
            weight: How much to believe it, in (0, 1].
            is_vague: Whether the mean is hardly known. Then only the difference to the bucket
                before is looked at, which a wrong mean does not change much (Rice, Bandwidth
                Choice for Nonparametric Regression, Ann. Statist. 12, 1984).
            is_due: Whether it teaches dispersion; every bucket is compared with its neighbour.
        """
        numbers = self._numbers
        usual = self._start + self._slope * trials
        z = deviation / (own * usual) ** 0.5
        z = min(max(z, -_CUT), _CUT)
        last = numbers[_LAST]
        numbers[_LAST] = z
        if not is_vague:
            keep = 1.0 - (1.0 - self._keep) * 0.25 * weight
            numbers[_CROSS] = numbers[_CROSS] * keep + weight * z * last
            numbers[_POWER] = numbers[_POWER] * keep + weight * z * z
        if not is_due:
            return
        if is_vague:
            squared = 0.5 * (z - last) * (z - last) * usual
        else:
            squared = min(deviation * deviation / own, _OUTLIER * usual)
        # A squared residual varies by twice its square, and that of a rare event by more.
        middle = numbers[_X] / numbers[_WEIGHT] if numbers[_X] and numbers[_WEIGHT] else trials
        share = 2.0 / (1.0 + trials / max(middle, trials / _FARTHEST_X)) if trials > 0.0 else 1.0
        believed = weight * share * share * own / (own + 0.5)
        keep = 1.0 - (1.0 - self._keep) * weight
        numbers[_WEIGHT] = numbers[_WEIGHT] * keep + believed
        numbers[_X] = numbers[_X] * keep + believed * trials
        numbers[_XX] = numbers[_XX] * keep + believed * trials * trials
        numbers[_SQUARES] = numbers[_SQUARES] * keep + believed * squared
        numbers[_SQUARES_X] = numbers[_SQUARES_X] * keep + believed * squared * trials
        # Kept, because a state that comes back between two lessons must be solved alike.
        ties = numbers[_CROSS] / (numbers[_POWER] + _BELIEVED)
        numbers[_TIES] = min(max(ties, 0.0), _MOST_TIED)
        self._solve()

    def _solve(self) -> None:
        weight, x, xx, squares, squares_x, _, _, _, ties = self._numbers
        middle = x / weight if weight > 0.0 else 0.0
        # Buckets that are tied tell less: squares of a chain are, as its ties squared.
        prior = _BELIEVED * (1.0 + ties * ties) / (1.0 - ties * ties)
        total = weight + prior
        mean = (squares + prior * self._before) / total
        slope = 0.0
        if middle > _LEAST_X:
            spread = max(xx / weight - middle * middle, 0.0) + _LEVEL_SPREAD * middle * middle
            slope = (squares_x - squares * middle) / (total * spread)
        start = mean - slope * middle
        if slope <= 0.0:
            start, slope = mean, 0.0
        elif start < 1.0:
            # Then all of the excess goes with x.
            start = 1.0
            before = prior * middle
            slope = max(squares_x - x + before * (self._before - 1.0), 0.0) / (xx + before * middle)
        self._start, self._slope = max(start, 1.0), slope
        self.ties = ties
        # Mean square over the square of what the mean absolute deviation makes the deviation is
        # 1 for the normal and 1 + 0.53 / (v - 2) for Student's t, within 4 % from v = 3 on
        # (Geary, Moments of the Ratio of the Mean Deviation to the Standard Deviation,
        # Biometrika 28, 1936).
        self.freedom = min(max(2.0 + 0.53 / max(self._start - 1.0, 1e-9), 3.0), 30.0)

    def dump(self) -> bytes:
        """Return the state as native doubles."""
        return self._numbers.tobytes()

    @staticmethod
    def dumped_bytes() -> int:
        """Return the length of a dump."""
        return 8 * _NUMBERS

    def load(self, state: bytes) -> None:
        """Take a state back; ValueError if it could not be one."""
        if len(state) != self.dumped_bytes():
            raise ValueError("not the dispersion of a series")
        found = array("d", state)
        if (
            not are_finite(found)
            or min(found[:_CROSS]) < 0.0
            or found[_POWER] < 0.0
            or not 0.0 <= found[_TIES] <= _MOST_TIED
        ):
            raise ValueError("a dispersion with numbers that are none")
        self._numbers = found
        self._solve()
        if not (math.isfinite(self._start) and math.isfinite(self._slope)):
            raise ValueError("a dispersion with numbers that are none")
