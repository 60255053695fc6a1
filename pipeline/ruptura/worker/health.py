"""Whether the worker lives: what has to happen again and again, and when it last did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Beat = Literal["step", "poll", "commit", "checkpoint", "assignment"]

LIMITS: Final[dict[Beat, tuple[float, str]]] = {
    "step": (30.0, "the loop that feeds the engine has not run"),
    "poll": (60.0, "no fetch was answered, though Kafka can be reached"),
    "commit": (60.0, "no offsets were committed"),
    "checkpoint": (60.0, "no checkpoint was taken"),
    "assignment": (300.0, "the group has not settled"),
}
"""Longest silence in seconds, and what it means. A loop that stands still for half a minute will
not recover; brokers fail over, and large states restore, in less than their limits."""

UNANSWERED_SECONDS: Final = 10.0
"""After so long without an answer of Kafka we are not ready, and ask whether it is there at all."""


class Health(Collector):
    """When each of the beats last came.

    Args:
        clock: Monotonic time in seconds.

    Attributes:
        partitions: How many topic partitions are held and restored.
        state_bytes: Bytes of saved state that are held, those of others that we stand by for too.
        is_away: Whether no broker can be reached. Then nothing is held against us: what waits for
            brokers stands still, and another worker would fare no better.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[Beat, float] = dict.fromkeys(LIMITS, clock())
        self.partitions = 0
        self.state_bytes = 0
        self.is_away = False

    def heartbeat(self, *beats: Beat) -> None:
        """Note that something has happened, or has no cause to."""
        self._last.update(dict.fromkeys(beats, self._clock()))

    def age(self, beat: Beat) -> float:
        """Return how long ago a beat came, in seconds."""
        return self._clock() - self._last[beat]

    @property
    def is_answered(self) -> bool:
        """Whether Kafka has answered lately."""
        return not self.is_away and self.age("poll") < UNANSWERED_SECONDS

    def faults(self) -> list[str]:
        """Return what is wrong, empty if nothing is."""
        if self.is_away:
            return []
        return [
            f"{text} for {self.age(beat):.0f} s"
            for beat, (limit, text) in LIMITS.items()
            if self.age(beat) > limit
        ]

    def collect(self) -> Iterator[Metric]:
        """Yield the ages, as a gauge by beat, and what is held."""
        ages = GaugeMetricFamily(
            "ruptura_worker_beat_age_seconds",
            "Time since the worker last stepped, heard of Kafka (poll), committed, took a "
            "checkpoint, was assigned.",
            labels=["beat"],
        )
        for beat in self._last:
            ages.add_metric([beat], self.age(beat))
        yield ages
        yield GaugeMetricFamily(
            "ruptura_worker_partitions",
            "Partitions of input topics that this worker holds, their state restored.",
            value=self.partitions,
        )
        yield GaugeMetricFamily(
            "ruptura_worker_state_bytes",
            "Bytes of saved state that this worker holds: its own, and what it stands by for.",
            value=self.state_bytes,
        )
        yield GaugeMetricFamily(
            "ruptura_worker_kafka_reachable",
            "Whether a broker could be reached when it was last tried (1) or not (0).",
            value=0 if self.is_away else 1,
        )
