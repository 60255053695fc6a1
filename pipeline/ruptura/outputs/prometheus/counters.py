"""Counters of what the engine and the worker did since the start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

from prometheus_client.metrics_core import CounterMetricFamily, Metric

from ruptura.core.contracts.document import Kind
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import Reason

OTHER: Final = "other"
MAX_TOPICS: Final = 64

# What an alert can say of itself, so that each starts at 0 and `rate` sees the first one.
_DOCUMENTS: Final = (
    ("warning", "opened"),
    ("warning", "updated"),
    ("critical", "opened"),
    ("critical", "escalated"),
    ("critical", "updated"),
    ("resolved", "recovered"),
    ("resolved", "expired"),
)

_Totals = dict[tuple[str, ...], float]


class Counters:
    """Totals by labels; they do not depend on how the effects were split into steps.

    Args:
        max_services: How many services have a count of misrouted events of their own.
    """

    def __init__(self, max_services: int) -> None:
        self._max_services = max_services
        self._topics: set[str] = set()
        self._consumed: _Totals = {}
        self._late: _Totals = {}
        self._duplicates: _Totals = {}
        self._rejected: _Totals = {(reason.value,): 0 for reason in Reason}
        self._dead_lettered: _Totals = {(): 0}
        self._misrouted: _Totals = {}
        self._jumps: _Totals = {}
        self._refused: _Totals = {(reason,): 0 for reason in ("unfit", "outdated", "foreign")}
        self._evicted: _Totals = {(): 0}
        self._buckets: _Totals = {(): 0}
        self._alerts: _Totals = {
            (kind, status, reason): 0 for kind in get_args(Kind) for status, reason in _DOCUMENTS
        }
        self._overflow: _Totals = {("channel",): 0, ("service",): 0, ("topic",): 0}

    def apply(self, effects: Effects) -> None:
        """Take in the outcome of a step."""
        for totals, by_topic in (
            (self._consumed, effects.consumed),
            (self._late, effects.late),
            (self._duplicates, effects.duplicates),
        ):
            for topic, count in by_topic.items():
                self._count_by_topic(totals, topic, count)
        for service, count in effects.misrouted.items():
            self._count_misrouted(service, count)
        for rejection in effects.rejections:
            self._rejected[rejection.reason.value,] += 1
        for alert in effects.alerts:
            _add(self._alerts, (alert.kind, alert.status, alert.reason), 1)
        self._evicted[()] += effects.evicted
        self._buckets[()] += effects.buckets

    def dead_lettered(self, count: int) -> None:
        """Count records whose dead letters the broker has acknowledged."""
        self._dead_lettered[()] += count

    def jumped(self, topic: str) -> None:
        """Count a jump of offsets that was read again."""
        _add(self._jumps, (topic,), 1)

    def state_refused(self, reason: str, count: int) -> None:
        """Count entries of the changelog that were refused."""
        self._refused[(reason,)] += count

    def overflowed(self, label: str, count: int = 1) -> None:
        """Count observations filed under `other`."""
        self._overflow[label,] += count

    def _count_by_topic(self, totals: _Totals, topic: str, count: int) -> None:
        if topic not in self._topics:
            if len(self._topics) >= MAX_TOPICS:
                self.overflowed("topic", count)
                topic = OTHER
            else:
                self._topics.add(topic)
                for by_topic in (self._consumed, self._late, self._duplicates):
                    by_topic.setdefault((topic,), 0)
        _add(totals, (topic,), count)

    def _count_misrouted(self, service: str, count: int) -> None:
        if (service,) not in self._misrouted and len(self._misrouted) >= self._max_services:
            self.overflowed("service", count)
            service = OTHER
        _add(self._misrouted, (service,), count)

    def families(self) -> Iterator[Metric]:
        """Make the samples."""
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
                "Refused records that the dead-letter topic acknowledged.",
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
                "Jumps in the offsets of a partition, whose records were read again.",
                ["topic"],
                self._jumps,
            ),
            (
                "state_entries_refused",
                "Entries of the changelog refused, by reason.",
                ["reason"],
                self._refused,
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
                "Observations filed under `other`, because the label had too many values.",
                ["label"],
                self._overflow,
            ),
        ):
            counter = CounterMetricFamily(f"ruptura_{name}", text, labels=labels)
            for values, total in list(totals.items()):
                counter.add_metric(values, total)
            yield counter


def _add(totals: _Totals, labels: tuple[str, ...], count: float) -> None:
    totals[labels] = totals.get(labels, 0) + count
