"""What a baseline sees of one channel: the closed buckets that Ruptura itself has judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import msgspec

from ruptura.assembly.registry import series_registry
from ruptura.core.series.registry import UNKNOWN_GAUGE, Measure, SeriesSpec


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """One closed bucket of one channel.

    Attributes:
        start: In seconds since the Unix epoch.
        values: By series, what was measured.
    """

    start: float
    values: Mapping[str, float]


class Baseline(Protocol):
    """Rules or models for one channel.

    Attributes:
        patience: Seconds for which a condition must hold, where it is not the usual five minutes.
    """

    patience: Mapping[str, float]

    def observe(self, bucket: Bucket) -> Mapping[str, bool]:
        """Return whether each condition holds; those not known in this bucket are left out."""


def spec_of(series: str) -> SeriesSpec:
    """Return how a series is read; of an unknown one both directions are bad."""
    return series_registry().get(series) or UNKNOWN_GAUGE


def is_bad(series: str, *, above: bool) -> bool:
    """Return whether too high (or too low) a value of a series speaks for a rupture."""
    spec = spec_of(series)
    return (spec.above if above else spec.below) is not None


LEAST_MEAN: Final = 1.0
"""Events a bucket below which nobody draws a band or fits a Gaussian: one reopened ticket a day
would lie beyond it each time."""

STEADY: Final[frozenset[Measure]] = frozenset(("signs_of_life",))
"""Watched for absence alone: they vary so little that every delay lies beyond three sigma."""


class Selection:
    """Which series of a channel a person would give to a general recipe; grows with what is seen.

    All baselines but the static thresholds, which name what they are about, look at these alone.
    """

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}  # values, and their sum

    def of(self, bucket: Bucket) -> Iterator[tuple[str, float]]:
        """Yield series and value: ratios and levels, and counts that come often enough."""
        for series, value in bucket.values.items():
            if spec_of(series).measures in STEADY:
                continue
            if spec_of(series).family == "count":
                values, total = self._seen.get(series, (0.0, 0.0))
                self._seen[series] = values + 1.0, total + value
                if total + value < LEAST_MEAN * (values + 1.0):
                    continue
            yield series, value
