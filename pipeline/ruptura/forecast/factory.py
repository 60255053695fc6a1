"""Which channel has a forecast, and for what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ruptura.core.detect.forecast import Forecaster, ForecasterFactory, Objectives
from ruptura.forecast.channel_forecaster import STEPS, ChannelForecaster
from ruptura.forecast.trend import Ahead

WINDOW_SECONDS: Final = 1800.0
"""Memory of the window over which shares and means are held to their objectives. Half an hour is
what contact centres report service levels by: shorter, a few contacts decide; longer, a breach
within the default horizon of 15 min is forecast late."""


def forecaster_factory(
    bucket_seconds: float,
    horizon_seconds: float,
    window_seconds: float,
    objectives: Callable[[str, str], Objectives],
) -> ForecasterFactory:
    """Return the maker of forecasts.

    Args:
        bucket_seconds: Length of a bucket.
        horizon_seconds: How far forecasts look.
        window_seconds: Memory of the fading window over which shares and means are taken.
        objectives: Those of a service and channel.
    """
    times = tuple(horizon_seconds * (step + 1) / STEPS for step in range(STEPS))
    ahead = Ahead(bucket_seconds, times, window_seconds)

    def make(service: str, channel: str) -> Forecaster | None:
        found = objectives(service, channel)
        if found == Objectives():
            return None
        return ChannelForecaster(found, bucket_seconds, ahead)

    return make
