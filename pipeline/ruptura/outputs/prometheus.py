"""Effects to Prometheus metrics.

A collector of its own: a step of the engine only updates dictionaries (about 0.1 µs a series),
and the samples are made when somebody scrapes. That also lets the samples of a channel that is
gone, or of a series that warms up again, simply not be there.

A label value that comes from events is bounded: channels, services and topics beyond the cap
share the value `other` in counters, have no gauges but those of an open alert, and are counted in
`ruptura_label_overflow_total`.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ruptura import __version__
from ruptura.core.contracts.document import Kind
from ruptura.core.contracts.effects import ChannelPoint, Effects, SeriesPoint, State
from ruptura.core.contracts.event import Reason
from ruptura.outputs.open_alerts import alert_gauges

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of `Metrics.render`."""

OTHER = "other"
MAX_TOPICS = 64

_STATES: tuple[State, ...] = get_args(State)
_ACTIVE: tuple[State, ...] = ("warning", "critical")
_SECONDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_RECORDS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
# What an alert can say of itself, so that each starts at 0 and `rate` sees the first one.
_DOCUMENTS = (
    ("warning", "opened"),
    ("warning", "updated"),
    ("critical", "opened"),
    ("critical", "escalated"),
    ("critical", "updated"),
    ("resolved", "recovered"),
    ("resolved", "expired"),
)
_SERIES_GAUGES = {
    "observed": "Value of the series in its newest closed bucket, in base units.",
    "expected": "Expected value of the series, from before the bucket was seen.",
    "lower": "Lower end of the expected band of the series.",
    "upper": "Upper end of the expected band of the series.",
    "score": "Tail probability of the value, in (0, 1]; small is strange.",
    "evidence": "Tail probability of the evidence added up over buckets; small is strange.",
}

_Channel = tuple[str, str]
_Source = tuple[str, int]
_Totals = dict[tuple[str, ...], float]


class Metrics(Collector):
    """The state behind `/metrics`: what the engine did since the start, and where things stand.

    Counters do not depend on how the effects were split into steps; gauges show the newest.

    Args:
        registry: Where the metrics are registered.
        max_channels: How many channels have gauges of their own, and how many services have a
            count of misrouted events of their own; at least 1.
    """

    def __init__(self, registry: CollectorRegistry, max_channels: int) -> None:
        self._registry = registry
        self._max_channels = max_channels
        self._topics: set[str] = set()
        self._consumed: _Totals = {}
        self._late: _Totals = {}
        self._duplicates: _Totals = {}
        self._rejected: _Totals = {(reason.value,): 0 for reason in Reason}
        self._dead_lettered: _Totals = {(): 0}
        self._misrouted: _Totals = {}
        self._jumps: _Totals = {}
        self._unfit: _Totals = {(reason,): 0 for reason in ("unfit", "outdated", "foreign")}
        self._evicted: _Totals = {(): 0}
        self._buckets: _Totals = {(): 0}
        self._alerts: _Totals = {
            (kind, status, reason): 0 for kind in get_args(Kind) for status, reason in _DOCUMENTS
        }
        self._overflow: _Totals = {("channel",): 0, ("service",): 0, ("topic",): 0}
        self._batch_seconds = _Histogram(_SECONDS)
        self._batch_records = _Histogram(_RECORDS)
        self._event_times: dict[_Source, float] = {}
        self._lags: dict[_Source, float] = {}
        self._series: dict[_Channel, dict[str, SeriesPoint]] = {}
        self._channels: dict[_Channel, ChannelPoint] = {}
        self._active: dict[_Channel, ChannelPoint] = {}  # all of them: who is open must be told
        registry.register(self)

    def apply(self, effects: Effects) -> None:
        """Take in the outcome of a step."""
        for topic, count in effects.consumed.items():
            self._count_by_topic(self._consumed, topic, count)
        for topic, count in effects.late.items():
            self._count_by_topic(self._late, topic, count)
        for topic, count in effects.duplicates.items():
            self._count_by_topic(self._duplicates, topic, count)
        for service, count in effects.misrouted.items():
            self._count_misrouted(service, count)
        for rejection in effects.rejections:
            self._rejected[rejection.reason.value,] += 1
        for alert in effects.alerts:
            _add(self._alerts, (alert.kind, alert.status, alert.reason), 1)
        self._evicted[()] += effects.evicted
        self._buckets[()] += effects.buckets
        for source, event_time in effects.event_times.items():
            self._see_event_time(source, event_time)
        self._apply_points(effects.points)
        for point in effects.channels:
            self._apply_channel(point)
        # Last: a channel that comes back in the same step shows again after its next bucket,
        # while the other order would show one that is gone for ever.
        self.forget(effects.gone)

    def forget(self, channels: Iterable[_Channel]) -> None:
        """Stop showing channels: they are gone, or another worker owns them now."""
        for channel in channels:
            self._series.pop(channel, None)
            self._channels.pop(channel, None)
            self._active.pop(channel, None)

    def forget_source(self, topic: str, partition: int) -> None:
        """Stop showing the event time of a partition that another worker owns now."""
        self._event_times.pop((topic, partition), None)
        self._lags.pop((topic, partition), None)

    def dead_lettered(self, count: int) -> None:
        """Count records whose dead letters the broker has acknowledged."""
        self._dead_lettered[()] += count

    def jumped(self, topic: str) -> None:
        """Count a jump of offsets that was read again."""
        _add(self._jumps, (topic,), 1)

    def state_refused(self, reason: str, count: int) -> None:
        """Count entries of the changelog that were not believed.

        Args:
            reason: `unfit` (damaged, or of another version or shape), `outdated` (of a worker
                that had been replaced), `foreign` (not written by a worker).
            count: How many.
        """
        self._unfit[(reason,)] += count

    def observe_processing(self, seconds: float, records: int) -> None:
        """Count a processed batch.

        Args:
            seconds: How long the engine took over it.
            records: How many records it held.
        """
        self._batch_seconds.observe(seconds)
        self._batch_records.observe(records)

    def observe_lag(self, now: float) -> None:
        """Tell the time, from which lags are taken; without it no lag is shown (in a replay).

        Args:
            now: Seconds since the Unix epoch.
        """
        self._lags = {source: now - newest for source, newest in self._event_times.items()}

    def render(self) -> bytes:
        """Everything in the registry, in the Prometheus text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Make the samples; called by the registry, perhaps from another thread."""
        yield from self._counters()
        yield from self._process_gauges()
        yield from self._channel_gauges()
        yield from self._series_gauges()

    def _apply_points(self, points: list[SeriesPoint]) -> None:
        series = self._series
        for point in points:
            channel = (point.service, point.channel)
            try:
                series[channel][point.series] = point
            except KeyError:
                if self._admit(channel):
                    series[channel] = {point.series: point}

    def _apply_channel(self, point: ChannelPoint) -> None:
        channel = (point.service, point.channel)
        if point.state in _ACTIVE:
            self._active[channel] = point
        else:
            self._active.pop(channel, None)
        if self._admit(channel):
            self._channels[channel] = point

    def _admit(self, channel: _Channel) -> bool:
        if channel in self._series:
            return True
        if len(self._series) < self._max_channels:
            self._series[channel] = {}
            return True
        self._overflow["channel",] += 1
        return False

    def _count_by_topic(self, totals: _Totals, topic: str, count: int) -> None:
        if topic not in self._topics:
            if len(self._topics) >= MAX_TOPICS:
                self._overflow["topic",] += count
                topic = OTHER
            else:
                self._topics.add(topic)
                for by_topic in (self._consumed, self._late, self._duplicates):
                    by_topic.setdefault((topic,), 0)
        _add(totals, (topic,), count)

    def _count_misrouted(self, service: str, count: int) -> None:
        if (service,) not in self._misrouted and len(self._misrouted) >= self._max_channels:
            self._overflow["service",] += count
            service = OTHER
        _add(self._misrouted, (service,), count)

    def _see_event_time(self, source: _Source, event_time: float) -> None:
        if source not in self._event_times and len(self._event_times) >= self._max_channels:
            return
        self._event_times[source] = max(event_time, self._event_times.get(source, event_time))

    def _counters(self) -> Iterator[Metric]:
        for name, text, labels, totals in (
            ("events_consumed", "Records read, refused ones too.", ["topic"], self._consumed),
            (
                "events_late",
                "Events that came after their bucket was closed; not applied.",
                ["topic"],
                self._late,
            ),
            (
                "events_duplicate",
                "Events whose event_id was seen before; not applied.",
                ["topic"],
                self._duplicates,
            ),
            ("events_rejected", "Records refused, by reason.", ["reason"], self._rejected),
            (
                "events_dead_lettered",
                "Refused records that the dead-letter topic has taken.",
                [],
                self._dead_lettered,
            ),
            (
                "events_misrouted",
                "Events whose record key is not their service.",
                ["service"],
                self._misrouted,
            ),
            (
                "offset_jumps",
                "Times that the offsets of a partition did not run on, and were read again.",
                ["topic"],
                self._jumps,
            ),
            (
                "state_entries_refused",
                "Entries of the changelog that were not believed, by reason.",
                ["reason"],
                self._unfit,
            ),
            (
                "tickets_evicted",
                "Open tickets forgotten because their channel had too many.",
                [],
                self._evicted,
            ),
            ("buckets_closed", "Buckets closed, one per service.", [], self._buckets),
            (
                "alerts",
                "Alert documents; all but those with reason updated are changes of severity.",
                ["kind", "severity", "reason"],
                self._alerts,
            ),
            (
                "label_overflow",
                "Observations that lost a label value of their own, because there were too many.",
                ["label"],
                self._overflow,
            ),
        ):
            counter = CounterMetricFamily(f"ruptura_{name}", text, labels=labels)
            for values, total in list(totals.items()):
                counter.add_metric(values, total)
            yield counter

    def _process_gauges(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "ruptura_build_info", "Version of Ruptura and of Python.", labels=["version", "python"]
        )
        info.add_metric((__version__, platform.python_version()), 1)
        yield info
        yield self._batch_seconds.family(
            "ruptura_batch_processing_seconds", "Time that the engine took over a batch of records."
        )
        yield self._batch_records.family("ruptura_batch_records", "Records in a batch.")
        newest = GaugeMetricFamily(
            "ruptura_newest_event_timestamp_seconds",
            "Newest event time, as a Unix time; time() minus it is the lag.",
            labels=["topic", "partition"],
        )
        lag = GaugeMetricFamily(
            "ruptura_event_time_lag_seconds",
            "Clock less newest event time when the source was last looked at. It stands still "
            "with the worker: alert on ruptura_newest_event_timestamp_seconds.",
            labels=["topic", "partition"],
        )
        for family, by_source in ((newest, self._event_times), (lag, self._lags)):
            for (topic, partition), value in list(by_source.items()):
                family.add_metric((topic, str(partition)), value)
            yield family
        active = GaugeMetricFamily(
            "ruptura_active_alerts", "Channels in alert, by severity.", labels=["severity"]
        )
        states = [point.state for point in list(self._active.values())]
        for state in _ACTIVE:
            active.add_metric((state,), states.count(state))
        yield active

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
            "Time until a breach is as likely as not, 0 where it is there; absent beyond the "
            "horizon.",
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


class _Histogram:
    """Counts of observations at or below each bound, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, name: str, text: str) -> HistogramMetricFamily:
        cumulative = 0
        buckets = []
        for bound, count in zip((*map(repr, self._bounds), "+Inf"), self._counts, strict=True):
            cumulative += count
            buckets.append((bound, float(cumulative)))
        return HistogramMetricFamily(name, text, buckets=buckets, sum_value=self._sum)


def _add(totals: _Totals, labels: tuple[str, ...], count: float) -> None:
    totals[labels] = totals.get(labels, 0) + count
