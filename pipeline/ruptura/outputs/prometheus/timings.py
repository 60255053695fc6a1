"""How long batches take, and how far event time lies behind."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric

_SECONDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_RECORDS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)

_Source = tuple[str, int]


class BatchTimings:
    """Histograms of processed batches."""

    def __init__(self) -> None:
        self._seconds = _Histogram(_SECONDS)
        self._records = _Histogram(_RECORDS)

    def observe(self, seconds: float, records: int) -> None:
        """Count a processed batch."""
        self._seconds.observe(seconds)
        self._records.observe(records)

    def families(self) -> Iterator[Metric]:
        """Make the samples."""
        yield self._seconds.family(
            "ruptura_batch_processing_seconds", "Time that the engine took over a batch of records."
        )
        yield self._records.family("ruptura_batch_records", "Records in a batch.")


class EventTimes:
    """The newest event time of each topic partition.

    Args:
        max_sources: How many topic partitions are shown.
    """

    def __init__(self, max_sources: int) -> None:
        self._max_sources = max_sources
        self._newest: dict[_Source, float] = {}
        self._lags: dict[_Source, float] = {}

    def apply(self, event_times: Mapping[_Source, float]) -> None:
        """Take in newest event times, in seconds since the Unix epoch."""
        for source, event_time in event_times.items():
            if source in self._newest or len(self._newest) < self._max_sources:
                self._newest[source] = max(event_time, self._newest.get(source, event_time))

    def observe_lag(self, now: float) -> None:
        """Tell the time, in seconds since the Unix epoch, from which lags are taken."""
        self._lags = {source: now - newest for source, newest in self._newest.items()}

    def forget(self, topic: str, partition: int) -> None:
        """Stop showing a topic partition."""
        self._newest.pop((topic, partition), None)
        self._lags.pop((topic, partition), None)

    def families(self) -> Iterator[Metric]:
        """Make the samples."""
        newest = GaugeMetricFamily(
            "ruptura_newest_event_timestamp_seconds",
            "Newest event time, as a Unix time; time() minus it is the lag.",
            labels=["topic", "partition"],
        )
        lag = GaugeMetricFamily(
            "ruptura_event_time_lag_seconds",
            "Clock minus newest event time, as of the latest step. It stands still "
            "with the worker: alert on ruptura_newest_event_timestamp_seconds.",
            labels=["topic", "partition"],
        )
        for family, by_source in ((newest, self._newest), (lag, self._lags)):
            for (topic, partition), value in list(by_source.items()):
                family.add_metric((topic, str(partition)), value)
            yield family


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
