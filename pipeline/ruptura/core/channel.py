"""One channel of a service: its open buckets, its series and its alert."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.contracts.event import Measurement
from ruptura.core.contracts.tuning import DetectionTuning, Index, Moment, WindowTuning
from ruptura.core.decide.lifecycle import Lifecycle
from ruptura.core.detect.forecast import (
    CALM,
    Forecast,
    Forecaster,
    ForecasterFactory,
    foremost,
    no_forecaster,
)
from ruptura.core.detect.judge import judge, judge_missing
from ruptura.core.detect.protocol import BaselineFactory
from ruptura.core.detect.scan import Scales
from ruptura.core.detect.series_detector import NOT_YET, SeriesDetector, SeriesDetectorState
from ruptura.core.detect.signals import Signal
from ruptura.core.ingest.buckets import (
    Backlog,
    MetricSum,
    Seen,
    TicketBucket,
    metric_value,
    new_ticket_bucket,
    ticket_totals,
)
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.extraction import extract
from ruptura.core.series.registry import TICKETS, Registry, SeriesSpec

Points = list[SeriesPoint]

_FEW_CONTACTS: Final = 10.0
"""Within a quarter of an hour: a mean over fewer is told by one of them."""

_STANDS_SECONDS: Final = 3600.0
"""How long a series' last word stands while it is not measured."""


class ChannelState(msgspec.Struct, frozen=True, array_like=True):
    """All that a channel remembers."""

    last: Moment | None
    has_tickets: bool
    tickets: dict[Index, TicketBucket]
    metrics: dict[Index, dict[str, MetricSum]]
    kinds: dict[str, Literal["value", "ratio"]]
    backlog: Backlog
    detectors: dict[str, SeriesDetectorState]
    alert: Lifecycle
    seen: dict[str, Seen]
    said: dict[str, tuple[Signal, ...]]
    forecaster: dict[str, bytes] = {}


def _no_least_wait(service: str, channel: str) -> float:  # noqa: ARG001 - as the field asks
    return 0.0


class Parts(msgspec.Struct, frozen=True):
    """What all channels share."""

    window: WindowTuning
    detection: DetectionTuning
    scales: Scales
    baseline: BaselineFactory
    registry: Registry
    forecaster: ForecasterFactory = no_forecaster
    least_wait: Callable[[str, str], float] = _no_least_wait


class Closed(msgspec.Struct, gc=False):
    """What closing a bucket of a channel found out.

    Attributes:
        signals: What is strange, however slight.
        healthy: Whether there was evidence of health; None: of nothing.
        warm: Whether any series can be judged.
        evicted: Open tickets that had to be forgotten.
        breach_probability, breach_seconds: As in `ChannelPoint`.
    """

    signals: list[Signal]
    healthy: bool | None
    warm: bool
    evicted: int
    breach_probability: float | None = None
    breach_seconds: float | None = None


class Channel:
    """The live state of a channel.

    Args:
        service, name: Whose channel, and which.
        parts: Shared by all channels.

    Attributes:
        last: End of the last closed bucket that held anything, in seconds since the Unix epoch;
            minus infinity before the first. Open buckets do not count: when they were filled
            depends on the order of delivery.
        seen: The event_ids of each source, by topic.
    """

    __slots__ = (
        "_detectors",
        "_forecaster",
        "_kinds",
        "_parts",
        "_said",
        "alert",
        "backlog",
        "has_tickets",
        "last",
        "metrics",
        "name",
        "seen",
        "service",
        "tickets",
    )

    def __init__(self, service: str, name: str, parts: Parts) -> None:
        self.service, self.name = service, name
        self._parts = parts
        self.last = -math.inf
        self.has_tickets = False
        self.tickets: dict[int, TicketBucket] = {}
        self.metrics: dict[int, dict[str, MetricSum]] = {}
        self._kinds: dict[
            str, Literal["value", "ratio"]
        ] = {}  # metric -> "ratio" or "value", by its first event
        self.backlog = Backlog({})
        self._detectors: dict[str, SeriesDetector] = {}
        self._said: dict[str, tuple[Signal, ...]] = {}
        self._forecaster = parts.forecaster(service, name)
        self.alert = Lifecycle()
        self.seen: dict[str, Seen] = {}

    @property
    def is_queue_seen(self) -> bool:
        """Whether anything tells how contacts wait."""
        return any(map(self._parts.registry.shows_queue, self._detectors))

    def pending(self) -> int | None:
        """Return the first open bucket that holds anything, if there is one."""
        return min((*self.tickets, *self.metrics), default=None)

    def holds(self, index: int) -> bool:
        """Tell whether anything came for a bucket that is still open."""
        return index in self.tickets or index in self.metrics

    def is_over(self, index: int, end: float) -> bool:
        """Tell whether the channel has sent nothing for so long that it is taken to be gone."""
        if end - self.last <= self._parts.window.expire_seconds:
            return False
        return not self.holds(index)

    def renewed(self) -> Channel | None:
        """Return a new channel with what came after this one was over, if anything did."""
        if self.pending() is None:
            return None
        channel = Channel(self.service, self.name, self._parts)
        channel.tickets, channel.metrics = self.tickets, self.metrics
        coming = {metric for bucket in self.metrics.values() for metric in bucket}
        channel._kinds = {m: kind for m, kind in self._kinds.items() if m in coming}
        channel.seen = self.seen
        return channel

    def accepts_metric(self, event: Measurement) -> bool:
        """Tell whether the metric is known, or there is room for one more."""
        metric = event.metric
        if metric in self._kinds:
            return True
        if len(self._kinds) >= self._parts.window.max_metrics:
            return False
        self._kinds[metric] = "value" if event.value is not None else "ratio"
        return True

    def close(self, index: int, start: float, end: float, phase: Phase, points: Points) -> Closed:
        """Close a bucket: one value per series is judged and learned.

        Args:
            index: Of the bucket.
            start, end: Of the bucket, in seconds since the Unix epoch.
            phase: Where in the week it lies; muted, the bucket is evidence of nothing.
            points: Gets one point per series that has a value.
        """
        window = self._parts.window
        if self.holds(index):
            self.last = end
        signals: list[Signal] = []
        evicted = 0
        sane = True
        at = len(points)
        handled = 0
        sums = self.metrics.get(index, {})
        # Not before: when they came depends on the order of delivery.
        self.has_tickets = self.has_tickets or index in self.tickets
        if self.has_tickets:
            bucket = self.tickets.pop(index, None) or new_ticket_bucket()
            handled = bucket.handled
            evicted = self.backlog.settle(bucket, window.max_open_tickets)
            totals = ticket_totals(bucket, self.backlog)
            for series, value, size in extract(self._parts.registry.tickets, totals):
                detector = self._detectors.get(series)
                if detector is None:
                    if not value:
                        continue  # a series begins with its first event
                    detector = self._create_detector(series, start)
                self._observe(detector, start, value, size, phase, points, signals)
        if self._kinds:
            sane = self._close_metrics(index, start, phase, points, signals)
        fresh = points[at:]
        warm = any(point.score is not None for point in fresh)
        healthy: bool | None = True
        coming = self._forecast(fresh, sums, handled, phase)
        if self._said or self.alert.signals:
            measured = {point.series for point in fresh if point.observed is not None}
            signals.extend(self._carried(measured, start, phase))
            healthy = None if phase.muted else self._health(measured, coming, warm)
        closed = Closed(signals, False if healthy and not sane else healthy, warm, evicted)
        if coming:
            first = foremost(coming)
            closed.breach_probability, closed.breach_seconds = first.probability, first.seconds
            if first.probability >= CALM:
                # News only where anything was measured that it could rest on.
                old = not sums and not any(point.observed for point in fresh)
                signals.append(first.signal(self.service, self.name, start - old))
        return closed

    def _forecast(
        self,
        fresh: Sequence[SeriesPoint],
        sums: Mapping[str, MetricSum],
        handled: int,
        phase: Phase,
    ) -> Sequence[Forecast]:
        """Forecast from what the bucket measured, with the sizes that points do without."""
        if self._forecaster is None:
            return ()
        values = {p.series: (p.observed, 0.0) for p in fresh if p.observed is not None}
        for metric, total in sums.items():
            if self._kinds[metric] == "ratio":
                value = metric_value(total, "ratio")
                if value is not None:
                    values[metric] = value
        told = self._parts.registry.measured(values)
        readings = {measure: values[series] for measure, series in told.items()}
        if told.get("handle_time", "").startswith(TICKETS):
            readings["handle_time"] = readings["handle_time"][0], float(handled)
        # Nothing is forecast of a planned window, and nothing from what went on inside it.
        return self._forecaster.update(readings, is_open=phase.open and not phase.muted)

    def _close_metrics(
        self, index: int, start: float, phase: Phase, points: Points, signals: list[Signal]
    ) -> bool:
        sums = self.metrics.pop(index, {})
        complete = True
        for metric, kind in self._kinds.items():
            total = sums.get(metric)
            detector = self._detectors.get(metric)
            value = None if total is None else metric_value(total, kind)
            if value is not None:
                if detector is None:
                    detector = self._create_detector(metric, start)
                amount, size = value
                if detector.spec.family == "count" and total is not None:
                    amount, size = total.total + total.rest, 1.0
                self._observe(
                    detector,
                    start,
                    max(amount, 0.0) if detector.spec.family == "count" else amount,
                    size,
                    phase,
                    points,
                    signals,
                )
            # While other metrics come, no ratio or level only means: nothing was there to measure.
            elif detector is not None and (detector.spec.family == "count" or not sums):
                missed = judge_missing(detector, start, phase)
                if missed is not None:
                    complete = False
                    point, found = missed
                    points.append(point)
                    signals.extend(found)
        return complete

    def _observe(
        self,
        detector: SeriesDetector,
        start: float,
        value: float,
        size: float,
        phase: Phase,
        points: Points,
        signals: list[Signal],
    ) -> None:
        point, found = judge(detector, start, value, size, phase)
        points.append(point)
        if found and detector.spec.per_contact and self._is_slack():
            found = ()
        if found:
            signals.extend(found)
            self._said[detector.series] = found
        elif self._said:
            self._said.pop(detector.series, None)

    def _is_slack(self) -> bool:
        """Whether so few contacts came of late that their mean tells of each of them only."""
        known = self._parts.registry.measuring("opened_contacts")
        opened = [self._detectors[name].recent for name in known if name in self._detectors]
        return max(opened, default=0.0) < _FEW_CONTACTS

    def _carried(self, measured: set[str], start: float, phase: Phase) -> list[Signal]:
        """Return what series said that were not measured now: it stands until they are."""
        if phase.muted:
            self._said.clear()  # or it would speak inside the window, or once that ends
        carried: list[Signal] = []
        for series, found in list(self._said.items()):
            if series in measured:
                continue
            if start - found[0].point.start > _STANDS_SECONDS:
                del self._said[series]
            else:
                carried.extend(found)
        return carried

    def _spec(self, series: str) -> SeriesSpec:
        """Return how a series is judged here; ValueError where there can be no such series."""
        kind, registry = self._kinds.get(series), self._parts.registry
        if kind is None:
            spec = registry.ticket(series)
        else:
            spec = registry.metric(series, is_ratio=kind == "ratio")
        if registry.is_wait(series):
            least = max(spec.least, self._parts.least_wait(self.service, self.name))
            spec = msgspec.structs.replace(spec, least=least)
        return spec

    def _create_detector(self, series: str, start: float = NOT_YET) -> SeriesDetector:
        spec = self._spec(series)
        detector = self._detectors[series] = SeriesDetector(
            self.service,
            self.name,
            series,
            spec,
            self._parts.baseline(spec),
            self._parts.scales,
            self._parts.detection,
            start,
        )
        return detector

    def _health(self, measured: set[str], coming: Sequence[Forecast], is_warm: bool) -> bool | None:
        """Whether what the alert blames is well; None if none of it was measured or forecast."""
        blamed = {(signal.series, signal.direction) for signal in self.alert.signals}
        if not blamed:
            return True
        if is_warm and not any(series in self._detectors for series, _ in blamed):
            # Forecasts, which alone open nothing any more, keep nothing open either.
            return all(self._detectors[s].is_calm for s in measured if s in self._detectors)
        well = [
            self._detectors[series].is_fine(direction)
            for series, direction in blamed
            if series in measured and series in self._detectors
        ]
        well += [f.probability < CALM for f in coming if (f.series, "above") in blamed]
        return all(well) if well else None

    def forecaster_under(self, parts: Parts) -> Forecaster | None:
        """Return the forecast that goes on from this one's state; ValueError if it cannot."""
        forecaster = parts.forecaster(self.service, self.name)
        if forecaster is not None and self._forecaster is not None:
            forecaster.load(self._forecaster.dump())
        return forecaster

    def retune(self, parts: Parts, forecaster: Forecaster | None) -> None:
        """Go on with other parts, and with the forecast that `forecaster_under` made of them."""
        self._parts, self._forecaster = parts, forecaster
        for series, detector in self._detectors.items():
            # Of the specs only those of waits depend on settings.
            spec = self._spec(series) if parts.registry.is_wait(series) else detector.spec
            detector.reconfigure(spec, parts.detection)

    def dump(self) -> ChannelState:
        """Return the state."""
        return ChannelState(
            None if self.last == -math.inf else self.last,
            self.has_tickets,
            self.tickets,
            self.metrics,
            self._kinds,
            self.backlog,
            {series: detector.dump() for series, detector in self._detectors.items()},
            self.alert,
            self.seen,
            self._said,
            {} if self._forecaster is None else self._forecaster.dump(),
        )

    def load(self, state: ChannelState) -> None:
        """Take a state back; ValueError if it could not be one."""
        self.last = -math.inf if state.last is None else state.last
        self.has_tickets = state.has_tickets
        self.tickets, self.metrics = state.tickets, state.metrics
        self._kinds = state.kinds
        sums = [total for bucket in state.metrics.values() for total in bucket.values()]
        if not all(total.samples > 0 for total in sums):
            raise ValueError("a metric without samples")
        if not all(state.kinds.keys() >= bucket.keys() for bucket in state.metrics.values()):
            raise ValueError("a metric of no kind")
        if state.last is None and self.pending() is None:
            raise ValueError("a channel that holds nothing")
        state.alert.check()
        self.backlog, self.alert = state.backlog, state.alert
        self.seen = state.seen
        for series, found in state.said.items():
            if not found or not all(s.series == series and s.is_sound() for s in found):
                raise ValueError(f"signals of {series!r} that are none")
        self._said = state.said
        if self._forecaster is not None:
            self._forecaster.load(state.forecaster)
        for series, detector_state in state.detectors.items():
            self._create_detector(series).load(detector_state)

    def learn_from(self, state: ChannelState) -> None:
        """Take over what another channel has learned; ValueError if it could not have."""
        self._kinds = dict(state.kinds)
        for series, learned in state.detectors.items():
            detector = self._create_detector(series)
            detector.load(learned)
            detector.begin_anew()
