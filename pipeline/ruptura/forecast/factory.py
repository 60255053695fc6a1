"""Which channel has a forecast, and for what."""

from __future__ import annotations

from collections.abc import Callable

from ruptura.core.detect.forecast import Objectives, Outlook, OutlookFactory
from ruptura.forecast.channel_outlook import STEPS, ChannelOutlook
from ruptura.forecast.trend import Ahead


def outlook_factory(
    bucket_seconds: float,
    horizon_seconds: float,
    window_seconds: float,
    objectives: Callable[[str, str], Objectives],
) -> OutlookFactory:
    """Return the maker of forecasts.

    Args:
        bucket_seconds: Length of a bucket.
        horizon_seconds: How far forecasts look.
        window_seconds: Memory of the fading window over which shares and means are taken.
        objectives: Those of a service and channel.
    """
    times = tuple(horizon_seconds * (step + 1) / STEPS for step in range(STEPS))
    ahead = Ahead(bucket_seconds, times, window_seconds)

    def make(service: str, channel: str) -> Outlook | None:
        found = objectives(service, channel)
        if found == Objectives():
            return None
        return ChannelOutlook(found, bucket_seconds, ahead)

    return make
