"""Effects added up: what a run saw and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from ruptura.core.contracts.effects import Effects
from ruptura.outputs.sink import ImmediateSink


class Summary(ImmediateSink, msgspec.Struct):
    """What a replay saw and said.

    Attributes:
        records: Records read, refused ones included.
        rejected: Refused records by reason.
        late, duplicates, misrouted, evicted: As in `Effects`.
        buckets: Closed buckets, one per service and bucket.
        alerts: Alerts opened, by kind.
        documents: Alert documents, by status.
        last: Newest event time, in seconds since the Unix epoch; 0 where there was none.
    """

    records: int = 0
    rejected: dict[str, int] = {}
    late: int = 0
    duplicates: int = 0
    misrouted: int = 0
    evicted: int = 0
    buckets: int = 0
    alerts: dict[str, int] = {}
    documents: dict[str, int] = {}
    last: float = 0.0

    def apply(self, effects: Effects) -> None:
        """Count what a step led to."""
        self.records += sum(effects.consumed.values())
        self.late += sum(effects.late.values())
        self.duplicates += sum(effects.duplicates.values())
        self.misrouted += sum(effects.misrouted.values())
        self.evicted += effects.evicted
        self.buckets += effects.buckets
        self.rejected = _plus(self.rejected, (r.reason.value for r in effects.rejections))
        opened = (a.kind for a in effects.alerts if a.reason == "opened")
        self.alerts = _plus(self.alerts, opened)
        self.documents = _plus(self.documents, (a.status for a in effects.alerts))
        self.last = max((self.last, *effects.event_times.values()))


def _plus(counts: dict[str, int], names: Iterator[str]) -> dict[str, int]:
    return dict(Counter(counts) + Counter(names))
