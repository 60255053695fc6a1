"""What a bucket should hold, from before it was seen."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Position(NamedTuple):
    """Where a moment lies in the profile of a week: between the centres of two hours.

    Attributes:
        day_type: As in `Phase`.
        left, right: The hours, in [0, 24).
        share: How much of it is the right one's, in [0, 1).
    """

    day_type: int
    left: int
    right: int
    share: float


class Expectation(msgspec.Struct, frozen=True, gc=False):
    """What a bucket should hold, from before it was seen.

    Counts: events per bucket. Ratios: the rate in [0, 1]. Gauges: the level in the scale of its
    series (natural logarithm where `log`).

    Attributes:
        mean: Most likely value.
        low, high: Ends of what may be normal: equal to the mean where the regime is well known,
            apart where it is not (the first holiday lies between a Sunday and a working day).
        deviation: Standard deviation of a gauge; 0 for counts and ratios, whose spread follows
            from the mean.
        standard_error: Of the mean, relative to it (counts, ratios) or absolute (gauges).
        degrees_of_freedom: Of the tail of a gauge.
        position: Where in the week it is of; None where the week does not matter.
        rate: What the profile of the week says there, before the level.
        known: Share of it that this kind of day has taught itself, in [0, 1).
    """

    mean: float
    low: float
    high: float
    deviation: float
    standard_error: float
    degrees_of_freedom: float
    position: Position | None = None
    rate: float = 0.0
    known: float = 0.0
