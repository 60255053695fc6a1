"""The numbers that the core is told; `ruptura.settings` documents and checks each of them."""

from __future__ import annotations

import msgspec


class WindowTuning(msgspec.Struct, frozen=True, kw_only=True):
    """Time and the bounds of memory."""

    bucket_seconds: int
    lateness_seconds: float
    max_future_seconds: float
    idle_seconds: float
    duplicate_seconds: float
    duplicate_ids: int
    expire_seconds: int
    max_channels: int
    max_metrics: int
    max_open_tickets: int


class DetectionTuning(msgspec.Struct, frozen=True, kw_only=True):
    """What matters."""

    warm_up_seconds: int
    band_probability: float
    minimum_relative_effect: float
    minimum_count_effect: float
    minimum_level_effect: float = 0.1
    signal_probability: float


class AlertTuning(msgspec.Struct, frozen=True, kw_only=True):
    """When risk becomes an alert."""

    prior: float
    warning_risk: float
    critical_risk: float
    resolve_risk: float
    open_buckets: int
    resolve_buckets: int
    update_seconds: int
