"""What is normal: the protocol that every detector's model keeps."""

from __future__ import annotations

from typing import Protocol

import msgspec

from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.registry import SeriesSpec


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
        doubt: Standard error of the mean, relative to it (counts, ratios) or absolute (gauges).
        freedom: Degrees of freedom of the tail.
    """

    mean: float
    low: float
    high: float
    deviation: float
    doubt: float
    freedom: float


class Baseline(Protocol):
    """An online model of one series: score first, then learn. No clock, no chance, O(1)."""

    def expect_one(self, phase: Phase) -> Expectation:
        """Tell what is normal at this phase of the week."""

    def learn_one(self, value: float, size: float, phase: Phase, weight: float) -> None:
        """Learn one bucket.

        Args:
            value: Events (count), numerator (ratio) or level in the series' scale (gauge).
            size: Denominator of a ratio; 1 otherwise.
            phase: Where in the week the bucket lies.
            weight: Over 0, how much to believe it: 1 for what is normal, little during an anomaly
                but never nothing, over 1 while a new level is becoming the normal one.
        """

    def dump(self) -> bytes:
        """Return the state, small and explicit."""

    def load(self, state: bytes) -> None:
        """Take the state back.

        Raises:
            ValueError: the bytes are not a state of this model.
        """


class BaselineFactory(Protocol):
    """Makes the model of a new series."""

    def __call__(self, spec: SeriesSpec) -> Baseline:
        """Return a fresh model for a series of this kind."""
