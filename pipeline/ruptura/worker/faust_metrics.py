"""Faust's own sensors (its Monitor) as Prometheus metrics in base units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class FaustCollector:
    """Reads a `faust.Monitor` at each scrape.

    What Faust counts by acknowledged messages is left out: we commit positions instead.

    Args:
        monitor: The app's monitor.
    """

    def __init__(self, monitor: Any) -> None:
        self._monitor = monitor

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they stand."""
        monitor = self._monitor
        for name, text, value in (
            ("messages_sent", "Messages that Faust sent.", monitor.messages_sent),
            ("send_errors", "Messages that Faust could not send.", monitor.send_errors),
            ("batches", "Batches that Faust handed to the agents.", monitor.events_total),
            ("rebalances", "Rebalances of the consumer group.", monitor.rebalances or 0),
            (
                "assignments_completed",
                "Partition assignments that Faust completed.",
                monitor.assignments_completed,
            ),
            (
                "assignments_failed",
                "Partition assignments that Faust failed to complete.",
                monitor.assignments_failed,
            ),
        ):
            yield CounterMetricFamily(f"ruptura_faust_{name}", text, value=float(value))
        for name, text, value in (
            (
                "commit_latency_seconds",
                "Latency of the latest commit of offsets.",
                _latest(monitor.commit_latency),
            ),
            (
                "send_latency_seconds",
                "Latency of the latest send, up to the broker's acknowledgement.",
                _latest(monitor.send_latency),
            ),
            (
                "assignment_latency_seconds",
                "Time that the latest partition assignment took.",
                _latest(monitor.assignment_latency),
            ),
        ):
            yield GaugeMetricFamily(f"ruptura_faust_{name}", text, value=value)
        yield _offsets(
            "committed_offset", "Committed offset of a partition.", monitor.tp_committed_offsets
        )
        yield _offsets("end_offset", "End of a partition as last fetched.", monitor.tp_end_offsets)


def _latest(latencies: Any) -> float:
    return float(latencies[-1]) if latencies else 0.0


def _offsets(name: str, text: str, offsets: Mapping[Any, int | None]) -> Metric:
    family = GaugeMetricFamily(f"ruptura_faust_{name}", text, labels=["topic", "partition"])
    for tp, offset in sorted(offsets.items()):
        if offset is not None:
            family.add_metric([tp.topic, str(tp.partition)], float(offset))
    return family
