"""When something that drifts and wanders first passes a barrier."""

from __future__ import annotations

import math
from typing import Final

_ROOT_HALF: Final = math.sqrt(0.5)
_DISCRETE: Final = 0.5826
"""-zeta(1/2) / sqrt(2 pi): how far a barrier moves that is only looked at in steps."""


def normal(z: float) -> float:
    """Return P(Z <= z) of a standard normal variable."""
    return 0.5 * math.erfc(-z * _ROOT_HALF)


def passage(distance: float, drift: float, variance: float, steps: float) -> float:
    """Return the probability that a Brownian motion passes a barrier by the end of a span.

    The inverse Gaussian distribution (Chhikara & Folks, The Inverse Gaussian Distribution, 1989,
    section 1.2), with the barrier moved for a path that is seen in steps only (Siegmund 1985;
    Broadie, Glasserman & Kou, A continuity correction for discrete barrier options, Mathematical
    Finance 7, 1997).

    Args:
        distance: From where it stands to the barrier; 0 or less is past it.
        drift: How far its mean goes over the span.
        variance: Of its place at the end of the span.
        steps: How often it is seen within the span, 1 or more.
    """
    if distance <= 0.0:
        return 1.0
    if variance <= 0.0:
        return 1.0 if drift >= distance else 0.0
    deviation = math.sqrt(variance)
    distance += _DISCRETE * deviation / math.sqrt(steps)
    ended = normal((drift - distance) / deviation)
    exponent = 2.0 * drift * distance / variance
    if exponent > 600.0:
        return 1.0 if drift >= distance else ended
    returned = math.exp(exponent) * normal((-distance - drift) / deviation)
    return min(ended + returned, 1.0)
