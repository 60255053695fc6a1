"""What a step of the engine asks of the world: documents to publish, figures to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ruptura.core.contracts.document import AlertSignal, Kind, Status
from ruptura.core.contracts.event import ExceptionKind, Rejection
from ruptura.core.contracts.facts import AlertFacts, Term

State = Literal["warming_up", "normal", "warning", "critical"]


class SeriesPoint(msgspec.Struct, frozen=True, gc=False):
    """One closed bucket of one series, for plotting.

    Attributes:
        service, channel, series: Which series; `tickets.<name>` or the name of a metric.
        start: Start of the bucket, in seconds since the Unix epoch.
        observed: The value, in base units (counts per bucket); None where nothing was measured.
        expected: Expected value from before it was seen; None while warming up.
        lower, upper: The expected band; None while warming up.
        score: Tail probability of the value, in (0, 1]; None while warming up.
        evidence: Tail probability of the evidence added up over buckets; None while warming up.
    """

    service: str
    channel: str
    series: str
    start: float
    observed: float | None
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    score: float | None = None
    evidence: float | None = None


class OpenAlert(msgspec.Struct, frozen=True, gc=False):
    """The open alert of a channel, as it stands after a closed bucket.

    Attributes:
        alert_id, incident_id: As in the document.
        incident_role: `primary` for the alert that the incident began with, else `joined`.
        severity, kind, exception: As in the document; no exception: None.
        causes: The terms that add up to the logit of the risk when it was last over the warning
            threshold.
        signals: What they rest on, strongest first.
    """

    alert_id: str
    incident_id: str
    incident_role: str
    severity: Status
    kind: Kind
    exception: ExceptionKind | None
    causes: Sequence[Term]
    signals: Sequence[AlertSignal]


class ChannelPoint(msgspec.Struct, frozen=True, gc=False):
    """The risk of one channel after a closed bucket.

    Attributes:
        service, channel: Which channel.
        end: End of the bucket, in seconds since the Unix epoch.
        risk: Probability of a rupture, in [0, 1].
        state: The state of its alert; `warming_up` while no series can be judged.
        breach_probability: That a service level objective is broken within the horizon, in [0, 1];
            None where nothing is forecast.
        breach_seconds: From the end of the bucket until a breach is as likely as not, 0 or more;
            None beyond the horizon.
        alert: Its open alert; None without one.
    """

    service: str
    channel: str
    end: float
    risk: float
    state: State
    breach_probability: float | None = None
    breach_seconds: float | None = None
    alert: OpenAlert | None = None


class Effects(msgspec.Struct, gc=False):
    """The outcome of a step, in order of happening.

    Attributes:
        consumed: Records by topic (all of them, rejected ones too).
        late: Events by topic that came after their bucket had to close.
        duplicates: Events by topic that their producer sent twice: a new record, the same
            event_id.
        repeated: Records by topic that the broker delivered twice, as after a crash: an offset
            that the restored state reflects already. They are no duplicates.
        misrouted: Events by service whose record key is not the service.
        evicted: Open tickets forgotten because a channel had too many.
        rejections: Refused records, each once.
        buckets: Closed buckets (one per service and bucket).
        points: Closed buckets per series.
        channels: Risk per channel and closed bucket.
        alerts: For the alerts topic; their texts are made outside.
        gone: Channels (service, channel) that expired.
        event_times: Newest event time by (topic, partition), in seconds since the Unix epoch.
    """

    consumed: dict[str, int] = {}
    late: dict[str, int] = {}
    duplicates: dict[str, int] = {}
    misrouted: dict[str, int] = {}
    repeated: dict[str, int] = {}
    evicted: int = 0
    rejections: list[Rejection] = []
    buckets: int = 0
    points: list[SeriesPoint] = []
    channels: list[ChannelPoint] = []
    alerts: list[AlertFacts] = []
    gone: list[tuple[str, str]] = []
    event_times: dict[tuple[str, int], float] = {}

    def add(self, later: Effects) -> None:
        """Add what happened next."""
        for mine, theirs in (
            (self.consumed, later.consumed),
            (self.late, later.late),
            (self.duplicates, later.duplicates),
            (self.misrouted, later.misrouted),
            (self.repeated, later.repeated),
        ):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        self.evicted += later.evicted
        self.rejections += later.rejections
        self.buckets += later.buckets
        self.points += later.points
        self.channels += later.channels
        self.alerts += later.alerts
        self.gone += later.gone
        self.event_times.update(later.event_times)
