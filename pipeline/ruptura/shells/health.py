"""Whether the worker lives: what has to happen again and again, and when it last did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Beat = Literal["step", "fetch", "checkpoint", "assignment"]

LIMITS: Final[dict[Beat, tuple[float, str]]] = {
    "step": (30.0, "the loop that feeds the engine has not run"),
    "fetch": (60.0, "Kafka has not answered a fetch"),
    "checkpoint": (60.0, "no checkpoint was taken"),
    "assignment": (300.0, "the group has not settled"),
}
"""Longest silence in seconds, and what it means. A loop that stands still for half a minute will
not recover; brokers fail over, and large states restore, in less than their limits."""


class Pulse(Collector):
    """When each of the beats was last felt.

    Args:
        clock: Monotonic time in seconds.

    Attributes:
        partitions: How many topic partitions are held and restored.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._felt: dict[Beat, float] = dict.fromkeys(LIMITS, clock())
        self.partitions = 0

    def feel(self, *beats: Beat) -> None:
        """Note that something has happened, or has no cause to."""
        self._felt.update(dict.fromkeys(beats, self._clock()))

    def faults(self) -> list[str]:
        """Return what is wrong, empty if nothing is."""
        now = self._clock()
        return [
            f"{text} for {now - self._felt[beat]:.0f} s"
            for beat, (limit, text) in LIMITS.items()
            if now - self._felt[beat] > limit
        ]

    def collect(self) -> Iterator[Metric]:
        """Yield the ages, as a gauge by beat, and what is held."""
        ages = GaugeMetricFamily(
            "ruptura_worker_beat_age_seconds",
            "Time since the worker last stepped, heard of Kafka, took a checkpoint, was assigned.",
            labels=["beat"],
        )
        now = self._clock()
        for beat, felt in self._felt.items():
            ages.add_metric([beat], now - felt)
        yield ages
        yield GaugeMetricFamily(
            "ruptura_worker_partitions",
            "Partitions of input topics that this worker holds, their state restored.",
            value=self.partitions,
        )
