"""The Prometheus sink: all metrics that are made of effects.

A collector of its own: a step of the engine only updates dictionaries (about 0.1 µs a series),
and the samples are made when somebody scrapes. That also lets the samples of a channel that is
gone, or of a series that warms up again, simply not be there.

A label value that comes from events is bounded: channels, services and topics beyond the cap
share the value `other` in counters, have no gauges but those of an open alert, and are counted in
`ruptura_label_overflow_total`.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ruptura import __version__
from ruptura.core.contracts.effects import Effects
from ruptura.outputs.prometheus.channels import Channels
from ruptura.outputs.prometheus.counters import Counters
from ruptura.outputs.prometheus.timings import BatchTimings, EventTimes
from ruptura.outputs.sink import ImmediateSink

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of `Metrics.render`."""


class Metrics(ImmediateSink, Collector):
    """The state behind `/metrics`: what the engine did since the start, and where things stand.

    Counters do not depend on how the effects were split into steps; gauges show the newest.

    Args:
        registry: Where the metrics are registered.
        max_channels: How many channels have gauges of their own, and how many services have a
            count of misrouted events of their own; at least 1.
    """

    def __init__(self, registry: CollectorRegistry, max_channels: int) -> None:
        self._registry = registry
        self._counters = Counters(max_channels)
        self._batches = BatchTimings()
        self._event_times = EventTimes(max_channels)
        self._channels = Channels(max_channels, lambda: self._counters.overflowed("channel"))
        registry.register(self)

    def apply(self, effects: Effects) -> None:
        """Take in the outcome of a step."""
        self._counters.apply(effects)
        self._event_times.apply(effects.event_times)
        self._channels.apply(effects)

    def forget(self, channels: Iterable[tuple[str, str]]) -> None:
        """Stop showing channels: they are gone, or another worker owns them now."""
        self._channels.forget(channels)

    def forget_source(self, topic: str, partition: int) -> None:
        """Stop showing the event time of a partition that another worker owns now."""
        self._event_times.forget(topic, partition)

    def dead_lettered(self, count: int) -> None:
        """Count records whose dead letters the broker has acknowledged."""
        self._counters.dead_lettered(count)

    def jumped(self, topic: str) -> None:
        """Count a jump of offsets that was read again."""
        self._counters.jumped(topic)

    def state_refused(self, reason: str, count: int) -> None:
        """Count entries of the changelog that were refused.

        Args:
            reason: `unfit` (damaged, or of another version or shape), `outdated` (of a worker
                that had been replaced), `foreign` (not written by a worker).
            count: How many.
        """
        self._counters.state_refused(reason, count)

    def observe_processing(self, seconds: float, records: int) -> None:
        """Count a processed batch.

        Args:
            seconds: How long the engine took over it.
            records: How many records it held.
        """
        self._batches.observe(seconds, records)

    def observe_lag(self, now: float) -> None:
        """Tell the time, from which lags are taken; without it no lag is shown (in a replay).

        Args:
            now: Seconds since the Unix epoch.
        """
        self._event_times.observe_lag(now)

    def render(self) -> bytes:
        """Everything in the registry, in the Prometheus text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Make the samples; called by the registry, perhaps from another thread."""
        yield from self._counters.families()
        info = GaugeMetricFamily(
            "ruptura_build_info", "Version of Ruptura and of Python.", labels=["version", "python"]
        )
        info.add_metric((__version__, platform.python_version()), 1)
        yield info
        yield from self._batches.families()
        yield from self._event_times.families()
        yield from self._channels.families()
