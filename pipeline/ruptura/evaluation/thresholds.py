"""Static thresholds, as a site reliability engineer would write them: a table with reasons."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from ruptura.assembly.registry import series_registry
from ruptura.core.series.registry import Measure
from ruptura.evaluation.bucket import Bucket


class Rule(msgspec.Struct, frozen=True):
    """What is measured over, or under, a threshold for five minutes.

    Attributes:
        measures: What; each series that measures it is held to the limit.
        limit: In the unit of the series, where the service states no objective for it.
        above: Whether values above the limit are bad; else those below.
        reason: Where the figure comes from.
    """

    measures: Measure
    limit: float
    above: bool
    reason: str


RULES: Final = (
    Rule(
        "errors",
        0.05,
        above=True,
        reason="The usual first page on errors: it burns a monthly budget of 0.1 % in 15 hours.",
    ),
    Rule("latency", 2.0, above=True, reason="The objective of the latency."),
    Rule("wait", 60.0, above=True, reason="The target time of the service level."),
    Rule(
        "oldest_wait",
        300.0,
        above=True,
        reason="Five minutes: longer than most callers' patience (Gans, Koole & Mandelbaum 2003).",
    ),
    Rule("service_level", 0.8, above=False, reason="The trade's 80 % in the target time."),
    Rule("abandonment", 0.1, above=True, reason="The objective; the trade's is 5 to 10 %."),
    Rule(
        "bot_fallback",
        0.4,
        above=True,
        reason="A sound bot falls back in a tenth to a fifth of its turns; twice that.",
    ),
    Rule(
        "delivery",
        0.9,
        above=False,
        reason="Channels deliver well over 95 %; a tenth lost is felt.",
    ),
)
"""Nobody tunes thresholds by hour of day; where a service states objectives, those are taken."""

SILENT_SECONDS: Final = 900.0
SILENT: Final[tuple[Measure, ...]] = ("opened_contacts", "platform_requests", "signs_of_life")
BUSY_EVENTS: Final = 60.0
"""No events for 15 minutes pages where the hour before had more than 60 of them (15 in as long a
time, by chance nothing once in three million): where fewer come, a gap means nothing."""

_HOUR: Final = 3600.0


class StaticThresholds:
    """The rules of `RULES`, and silence, over one channel.

    Args:
        bucket_seconds: Length of a bucket.
        objectives: Thresholds by what is measured, of the channel.
    """

    def __init__(self, bucket_seconds: float, objectives: Mapping[Measure, float]) -> None:
        measuring = series_registry().measuring
        self._rules = [
            (series, objectives.get(rule.measures, rule.limit), rule.above)
            for rule in RULES
            for series in measuring(rule.measures)
        ]
        silent = [series for measure in SILENT for series in measuring(measure)]
        self._silences = {series: _Silence(bucket_seconds) for series in silent}
        self.patience: Mapping[str, float] = dict.fromkeys(
            (f"{series} silent" for series in silent), bucket_seconds
        )

    def observe(self, bucket: Bucket) -> Mapping[str, bool]:
        """Compare the values with the table."""
        values = bucket.values
        conditions = {
            series: (value > limit) if above else (value < limit)
            for series, limit, above in self._rules
            if (value := values.get(series)) is not None
        }
        for series, silence in self._silences.items():
            conditions[f"{series} silent"] = silence.observe(values.get(series, 0.0))
        return conditions


class _Silence:
    """`increase(x[15m]) == 0 and increase(x[1h] offset 15m) > BUSY_EVENTS`."""

    def __init__(self, bucket_seconds: float) -> None:
        self._recent: deque[float] = deque(maxlen=max(round(SILENT_SECONDS / bucket_seconds), 1))
        self._before: deque[float] = deque(maxlen=max(round(_HOUR / bucket_seconds), 1))
        self._sum = 0.0

    def observe(self, events: float) -> bool:
        recent, before = self._recent, self._before
        if len(recent) == recent.maxlen:
            if len(before) == before.maxlen:
                self._sum -= before[0]
            before.append(recent[0])
            self._sum += recent[0]
        recent.append(events)
        return events == 0.0 and self._sum > BUSY_EVENTS and not any(recent)
