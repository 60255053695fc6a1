"""Tail probabilities of the three families, extended to real-valued (weighted) sums.

The incomplete beta and gamma functions (scipy.special) carry the discrete distributions over to
non-integer arguments: Johnson, Kemp & Kotz, Univariate Discrete Distributions, 3rd ed., 4.4, 5.5.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

from scipy.special import betainc, betaincc, gammainc, gammaincc, ndtri, stdtr

SMALLEST: Final = 1e-300
"""No tail is called impossible: logarithms of it must stay finite."""

_POISSON_DISPERSION: Final = 1.0 + 1e-6


def count_above(observed: float, mean: float, dispersion: float) -> float:
    """P(X >= observed): Poisson, or negative binomial where dispersion = variance/mean > 1.

    >>> round(count_above(3.0, 1.0, 1.0), 6)  # 1 - 2.5 / e
    0.080301
    >>> count_above(3.0, 1.0, 2.0)  # shape 1: geometric, 1 / 2 ** 3
    0.125
    """
    if observed <= 0.0:
        return 1.0
    mean = max(mean, 1e-9)
    if dispersion <= _POISSON_DISPERSION:
        return max(float(gammainc(observed, mean)), SMALLEST)
    size = mean / (dispersion - 1.0)
    return max(float(betainc(observed, size, 1.0 - 1.0 / dispersion)), SMALLEST)


def count_below(observed: float, mean: float, dispersion: float) -> float:
    """P(X <= observed), as `count_above`."""
    if observed <= 0.0:
        return nothing(mean, dispersion)
    mean = max(mean, 1e-9)
    if dispersion <= _POISSON_DISPERSION:
        return max(float(gammaincc(observed + 1.0, mean)), SMALLEST)
    size = mean / (dispersion - 1.0)
    return max(float(betaincc(observed + 1.0, size, 1.0 - 1.0 / dispersion)), SMALLEST)


def nothing(mean: float, dispersion: float) -> float:
    """P(X = 0) where `mean` events were expected; exp(-mean) for a Poisson count.

    >>> nothing(1.0, 2.0)
    0.5
    """
    if dispersion <= _POISSON_DISPERSION:
        return max(math.exp(-mean), SMALLEST)
    return max(math.exp(-mean * math.log(dispersion) / (dispersion - 1.0)), SMALLEST)


def ratio_above(numerator: float, denominator: float, rate: float, dispersion: float) -> float:
    """P(X >= numerator) of `denominator` trials at `rate`; counts shrink by the dispersion.

    The quasi-binomial: dividing both counts by the dispersion keeps the mean rate and gives
    the variance (McCullagh & Nelder, Generalized Linear Models, 2nd ed., 4.5).

    >>> round(ratio_above(2.0, 2.0, 0.5, 1.0), 6)
    0.25
    """
    if numerator <= 0.0 or denominator <= 0.0:
        return 1.0
    shrink = max(dispersion, 1.0)
    hits = numerator / shrink
    misses = max(denominator / shrink - hits, 0.0)
    return max(float(betainc(hits, misses + 1.0, min(max(rate, 1e-12), 1.0))), SMALLEST)


def ratio_below(numerator: float, denominator: float, rate: float, dispersion: float) -> float:
    """P(X <= numerator), as `ratio_above`."""
    return ratio_above(denominator - numerator, denominator, 1.0 - rate, dispersion)


def level_beyond(z: float, degrees_of_freedom: float) -> float:
    """P(T >= |z|) of Student's t in units of its own standard deviation.

    Args:
        z: Deviations from the mean.
        degrees_of_freedom: Over 0; up to 2 there is no standard deviation: z is in scales.

    >>> round(level_beyond(1.96, 1e9), 3)
    0.025
    """
    if degrees_of_freedom > 2.0:
        z /= math.sqrt((degrees_of_freedom - 2.0) / degrees_of_freedom)
    return max(float(stdtr(degrees_of_freedom, -abs(z))), SMALLEST)


@lru_cache(maxsize=16)
def deviations(probability: float) -> float:
    """Deviations beyond which a normal variable lies with this probability, on one side."""
    return float(-ndtri(probability))


def gamma_band(low: float, high: float, variance: float, probability: float) -> tuple[float, float]:
    """Quantiles on both sides of gamma variables with this variance, for bands of counts.

    Args:
        low, high: Means of the lower and the upper one; mostly the same.
        variance: Of both.
        probability: Of what lies beyond each quantile.

    The cube-root approximation of Wilson & Hilferty (1931), good to a few per cent; bands are
    drawn with it, nothing is decided by it.
    """
    z = deviations(probability)
    lower, upper = 0.0, 3.0 * math.sqrt(variance)
    spread = width = 0.0
    if low > 1e-9:
        spread = variance / (9.0 * low * low)
        width = math.sqrt(spread)
        root = max(1.0 - spread - z * width, 0.0)
        lower = low * root * root * root
    if high > 1e-9:
        if high != low:
            spread = variance / (9.0 * high * high)
            width = math.sqrt(spread)
        root = max(1.0 - spread + z * width, 0.0)
        upper = high * root * root * root
    return lower, upper
