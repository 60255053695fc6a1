"""How single buckets vary around their mean: dispersion, heavy tails, autocorrelation.

The variance is what the family gives times a + b x, where x is the mean of a count (b = 0 is the
quasi-Poisson, a = 1 the negative binomial of constant shape: Ver Hoef & Boveng, Ecology 88, 2007)
or the denominator of a ratio (beta-binomial). Both are learned at once by weighted least squares
on the squared residuals.
"""

from __future__ import annotations

import math
from array import array
from typing import ClassVar, Final

import msgspec

from ruptura.core.contracts.tuning import Amount, Finite, are_finite

VERSION: Final = 1

_PRIOR_BUCKETS: Final = 20.0
"""What the belief from before anything was seen weighs, in lessons."""

_OUTLIER: Final = 36.0
"""A squared deviation teaches at most so many times what is usual."""

_WINSOR_DEVIATIONS: Final = 4.0
"""To which a bucket is winsorised before it is compared with its neighbour."""

_LEVEL_SPREAD: Final = 0.01
"""Variance of x, relative to its square, up to which a and b cannot be told apart."""

_LEAST_X: Final = 1e-6
"""Mean of x under which there is nothing to tell a and b apart by."""

_FARTHEST_X: Final = 20.0
"""Times its mean beyond which x counts no less: the mean itself may be off at first."""

_MOST_CORRELATED: Final = 0.999

_WEIGHT, _X, _XX, _SQUARES, _SQUARES_X, _CROSS, _POWER, _LAST, _LAG1 = range(9)
_MOMENTS: Final = 9


class DispersionState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `Dispersion` remembers: faded sums, weighted by belief.

    Attributes:
        weight: Of the weights.
        x, xx: Of the exposure and of its square.
        squares, squares_x: Of the squared residuals over what the family gives, and of those
            times the exposure.
        cross, power: Of the products of neighbours, and of their squares.
        last: The last bucket, in standard deviations.
        lag1_autocorrelation: Of neighbouring buckets, as of the last lesson.
    """

    weight: Amount
    x: Amount
    xx: Amount
    squares: Amount
    squares_x: Amount
    cross: Finite
    power: Amount
    last: Finite
    lag1_autocorrelation: Amount


class Dispersion:
    """What single buckets of one series have taught.

    Args:
        memory: Lessons after which one has faded to 1/e.
        prior: Dispersion from before anything was seen, at least 1.

    Attributes:
        degrees_of_freedom: Of a gauge's tails, over 2.
        lag1_autocorrelation: Correlation of neighbouring buckets, in [0, 1).
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = DispersionState

    __slots__ = (
        "_decay",
        "_intercept",
        "_moments",
        "_prior",
        "_slope",
        "degrees_of_freedom",
        "lag1_autocorrelation",
    )

    def __init__(self, memory: float, prior: float) -> None:
        self._prior = prior
        self._decay = 1.0 - 1.0 / max(memory, 2.0)
        self._moments = array("d", bytes(8 * _MOMENTS))
        self._intercept, self._slope = prior, 0.0
        self.lag1_autocorrelation = 0.0
        self.degrees_of_freedom = 30.0
        self._solve()

    def at(self, exposure: float) -> float:
        """Return variance over what the family gives, at least 1.

        Args:
            exposure: The mean of a count, the denominator of a ratio; 0 for a gauge.
        """
        return self._intercept + self._slope * exposure

    def learn(
        self,
        deviation: float,
        variance: float,
        exposure: float,
        weight: float,
        *,
        is_vague: bool,
        is_lesson: bool,
    ) -> None:
        """Learn one bucket.

        Args:
            deviation: From the mean.
            variance: Variance that the family gives, over 0.
            exposure: As `at`.
            weight: How much to trust it, in (0, 1].
            is_vague: Whether the mean is hardly known. Then only the difference to the bucket
                before is looked at, which a wrong mean does not change much (Rice, Bandwidth
                Choice for Nonparametric Regression, Ann. Statist. 12, 1984).
            is_lesson: Whether it teaches dispersion; every bucket is compared with its neighbour.
        """
        moments = self._moments
        usual = self._intercept + self._slope * exposure
        z = deviation / (variance * usual) ** 0.5
        if not -_WINSOR_DEVIATIONS <= z <= _WINSOR_DEVIATIONS:
            z = math.copysign(_WINSOR_DEVIATIONS, z)
        last = moments[_LAST]
        moments[_LAST] = z
        if not is_vague:
            decay = 1.0 - (1.0 - self._decay) * 0.25 * weight
            moments[_CROSS] = moments[_CROSS] * decay + weight * z * last
            moments[_POWER] = moments[_POWER] * decay + weight * z * z
        if not is_lesson:
            return
        if is_vague:
            squared = 0.5 * (z - last) * (z - last) * usual
        else:
            squared = min(deviation * deviation / variance, _OUTLIER * usual)
        # A squared residual varies by twice its square, and that of a rare event by more.
        middle = moments[_X] / moments[_WEIGHT] if moments[_X] and moments[_WEIGHT] else exposure
        share = 1.0
        if exposure > 0.0:
            share = 2.0 / (1.0 + exposure / max(middle, exposure / _FARTHEST_X))
        information = weight * share * share * variance / (variance + 0.5)
        decay = 1.0 - (1.0 - self._decay) * weight
        moments[_WEIGHT] = moments[_WEIGHT] * decay + information
        moments[_X] = moments[_X] * decay + information * exposure
        moments[_XX] = moments[_XX] * decay + information * exposure * exposure
        moments[_SQUARES] = moments[_SQUARES] * decay + information * squared
        moments[_SQUARES_X] = moments[_SQUARES_X] * decay + information * squared * exposure
        # Kept, because a state that comes back between two lessons must be solved alike.
        lag1 = moments[_CROSS] / (moments[_POWER] + _PRIOR_BUCKETS)
        moments[_LAG1] = min(max(lag1, 0.0), _MOST_CORRELATED)
        self._solve()

    def _solve(self) -> None:
        weight, x, xx, squares, squares_x, _, _, _, lag1 = self._moments
        middle = x / weight if weight > 0.0 else 0.0
        # Correlated buckets tell less: their squares correlate as the square of what they do.
        prior = _PRIOR_BUCKETS * (1.0 + lag1 * lag1) / (1.0 - lag1 * lag1)
        total = weight + prior
        mean = (squares + prior * self._prior) / total
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
            slope = max(squares_x - x + before * (self._prior - 1.0), 0.0) / (xx + before * middle)
        self._intercept, self._slope = max(start, 1.0), slope
        self.lag1_autocorrelation = lag1
        # Mean square over the square of what the mean absolute deviation makes the deviation is
        # 1 for the normal and 1 + 0.53 / (v - 2) for Student's t, within 4 % from v = 3 on
        # (Geary, Moments of the Ratio of the Mean Deviation to the Standard Deviation,
        # Biometrika 28, 1936).
        self.degrees_of_freedom = min(max(2.0 + 0.53 / max(self._intercept - 1.0, 1e-9), 3.0), 30.0)

    def dump(self) -> DispersionState:
        """Return the state."""
        return DispersionState(*self._moments)

    def load(self, state: DispersionState) -> None:
        """Take a state back; ValueError if it could not be one."""
        found = array("d", msgspec.structs.astuple(state))
        if not are_finite(found):
            raise ValueError("dispersion: not finite")
        if (
            min(found[:_CROSS]) < 0.0
            or found[_POWER] < 0.0
            or not 0.0 <= found[_LAG1] <= _MOST_CORRELATED
        ):
            raise ValueError("dispersion: moments out of range")
        before, self._moments = self._moments, found
        self._solve()
        if not (math.isfinite(self._intercept) and math.isfinite(self._slope)):
            self._moments = before
            self._solve()
            raise ValueError("dispersion: not finite")
