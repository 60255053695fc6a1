"""Gauges of channels and their series: risk, state, forecast, newest closed bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, get_args

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from ruptura.core.contracts.effects import ChannelPoint, Effects, SeriesPoint, State
from ruptura.outputs.prometheus.open_alerts import alert_gauges

_STATES: Final[tuple[State, ...]] = get_args(State)
_ACTIVE: Final[tuple[State, ...]] = ("warning", "critical")
_SERIES_GAUGES: Final = {
    "observed": "Value of the series in its newest closed bucket, in base units.",
    "expected": "Expected value of the series, from before the bucket was seen.",
    "lower": "Lower end of the expected band of the series.",
    "upper": "Upper end of the expected band of the series.",
    "score": "Tail probability of the value, in (0, 1]; small values are anomalous.",
    "evidence": "Tail probability of sums over buckets, in (0, 1]; small values are anomalous.",
}

_Channel = tuple[str, str]


class Channels:
    """Where channels stand after their newest closed bucket.

    Args:
        max_channels: How many of them have gauges of their own.
        overflowed: Is called for each observation of another one.
    """

    def __init__(self, max_channels: int, overflowed: Callable[[], None]) -> None:
        self._max_channels = max_channels
        self._overflowed = overflowed
        self._series: dict[_Channel, dict[str, SeriesPoint]] = {}
        self._channels: dict[_Channel, ChannelPoint] = {}
        self._active: dict[_Channel, ChannelPoint] = {}  # all of them: who is open must be told

    def apply(self, effects: Effects) -> None:
        """Take in the outcome of a step."""
        self._apply_points(effects.points)
        for point in effects.channels:
            self._apply_channel(point)
        # Last: a channel that comes back in the same step shows again after its next bucket,
        # while the other order would show one that is gone for ever.
        self.forget(effects.gone)

    def forget(self, channels: Iterable[_Channel]) -> None:
        """Stop showing channels."""
        for channel in channels:
            self._series.pop(channel, None)
            self._channels.pop(channel, None)
            self._active.pop(channel, None)

    def _apply_points(self, points: list[SeriesPoint]) -> None:
        series = self._series
        for point in points:
            channel = (point.service, point.channel)
            try:
                series[channel][point.series] = point
            except KeyError:
                if self._track(channel):
                    series[channel] = {point.series: point}

    def _apply_channel(self, point: ChannelPoint) -> None:
        channel = (point.service, point.channel)
        if point.state in _ACTIVE:
            self._active[channel] = point
        else:
            self._active.pop(channel, None)
        if self._track(channel):
            self._channels[channel] = point

    def _track(self, channel: _Channel) -> bool:
        """Return whether a channel is exported by itself; new ones are up to the cap."""
        if channel in self._series:
            return True
        if len(self._series) < self._max_channels:
            self._series[channel] = {}
            return True
        self._overflowed()
        return False

    def families(self) -> Iterator[Metric]:
        """Make the samples."""
        active = GaugeMetricFamily(
            "ruptura_active_alerts", "Channels in alert, by severity.", labels=["severity"]
        )
        states = [point.state for point in list(self._active.values())]
        for state in _ACTIVE:
            active.add_metric((state,), states.count(state))
        yield active
        yield from self._channel_gauges()
        yield from self._series_gauges()

    def _channel_gauges(self) -> Iterator[Metric]:
        labels = ["service", "channel"]
        risk = GaugeMetricFamily(
            "ruptura_channel_risk", "Probability of a rupture, in [0, 1].", labels=labels
        )
        state = GaugeMetricFamily(
            "ruptura_channel_state",
            "1 for the state that the channel is in, 0 for the others.",
            labels=[*labels, "state"],
        )
        probability = GaugeMetricFamily(
            "ruptura_breach_probability",
            "Probability that a service level objective is broken within the horizon, in [0, 1]; "
            "absent where nothing is forecast.",
            labels=labels,
        )
        expected = GaugeMetricFamily(
            "ruptura_expected_breach_seconds",
            "Time until a breach is as likely as not; 0 if the objective is broken; absent beyond "
            "the horizon.",
            labels=labels,
        )
        for channel, point in list(self._channels.items()):
            risk.add_metric(channel, point.risk)
            if point.breach_probability is not None:
                probability.add_metric(channel, point.breach_probability)
            if point.breach_seconds is not None:
                expected.add_metric(channel, point.breach_seconds)
            for name in _STATES:
                state.add_metric((*channel, name), float(point.state == name))
        yield risk
        yield state
        yield probability
        yield expected
        active = list(self._active.items())
        yield from alert_gauges((name, p.alert) for name, p in active if p.alert is not None)

    def _series_gauges(self) -> Iterator[Metric]:
        points = [
            point for series in list(self._series.values()) for point in list(series.values())
        ]
        for name, text in _SERIES_GAUGES.items():
            gauge = GaugeMetricFamily(
                f"ruptura_series_{name}", text, labels=["service", "channel", "series"]
            )
            for point in points:
                value = getattr(point, name)
                if value is not None:
                    gauge.add_metric((point.service, point.channel, point.series), value)
            yield gauge
