"""The numbers that the core is configured with.

Those without a default are settings, where each is documented and checked. The others nobody has
had a reason to change: tests alone give other values.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Annotated

import msgspec
from msgspec import Meta

Finite = Annotated[float, Meta(ge=-1e60, le=1e60)]
Amount = Annotated[float, Meta(ge=0, le=1e60)]
Moment = Annotated[float, Meta(ge=0, le=2.3e11)]
Tally = Annotated[int, Meta(ge=0, le=1 << 53)]
Index = Annotated[int, Meta(ge=-1, le=230_000_000_000)]
"""Ranges of what a state may hold when it comes back; NaN is in none of them."""


def are_finite(values: Collection[float]) -> bool:
    """Return whether numbers that come back as bytes are in the range of `Finite`."""
    # A NaN or an infinity stays one in the sum, whatever else there is; then ends can be trusted.
    return not values or (
        math.isfinite(sum(values)) and max(values) <= 1e60 and min(values) >= -1e60
    )


class WindowTuning(msgspec.Struct, frozen=True, kw_only=True):
    """Time and the bounds of memory.

    Attributes:
        duplicate_ids: Most event ids that a channel remembers; the bound of memory behind
            `duplicate_seconds`. 10,000 ids are 1 MB, and the repeats of a producer come within
            seconds.
    """

    bucket_seconds: int
    lateness_seconds: float
    max_future_seconds: float
    idle_seconds: float
    duplicate_seconds: float
    duplicate_ids: int = 10_000
    expire_seconds: int
    max_channels: int
    max_metrics: int
    max_open_tickets: int


class DetectionTuning(msgspec.Struct, frozen=True, kw_only=True):
    """What matters.

    Attributes:
        band_probability: Tail probability outside each end of the published band, which is drawn
            where a single window would be a signal.
        minimum_level_effect: Least deviation of a linear gauge, relative to its level.
        signal_probability: A tail probability below this one is a signal: one false one in a
            thousand windows. How quiet alerts are is set by the risks of `AlertTuning`.
    """

    warm_up_seconds: int
    band_probability: float = 0.001
    minimum_relative_effect: float
    minimum_count_effect: float
    minimum_level_effect: float = 0.1
    signal_probability: float = 0.001


class AlertTuning(msgspec.Struct, frozen=True, kw_only=True):
    """When risk becomes an alert."""

    prior: float
    warning_risk: float
    critical_risk: float
    resolve_risk: float
    open_buckets: int
    resolve_buckets: int
    update_seconds: int
