"""The detectors of one channel: its series one by one, and the forecast that rests on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Literal

import msgspec

from ruptura.core.contracts.document import Direction
from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.contracts.tuning import DetectionTuning
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
from ruptura.core.detect.series_detector import SeriesDetector, SeriesDetectorState
from ruptura.core.detect.signals import Signal
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.observations import Observation, Observations, SentAs
from ruptura.core.series.registry import TICKETS, Registry, SeriesSpec

VERSION: Final = 1

Blamed = Collection[tuple[str, Direction]]
"""Series that an alert blames, each with its direction."""

Health = Literal["healthy", "unhealthy", "unknown"]
"""What a bucket says of what an open alert blames; `unknown`: it was not measured."""

_FEW_CONTACTS: Final = 10.0
"""Within a quarter of an hour: a mean over fewer depends on one of them."""

_STANDS_SECONDS: Final = 3600.0
"""How long a series' last signals stand while it is not measured."""


def _no_least_wait(service: str, channel: str) -> float:  # noqa: ARG001 - as the field asks
    return 0.0


class DetectConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What all channels' detectors share.

    Attributes:
        tuning: What matters.
        scales: Windows over which evidence adds up.
        baseline: Makes the model of a new series.
        registry: What is known of series.
        forecaster: Makes the forecaster of a new channel.
        least_wait: The least wait of a service's channel that matters, in seconds.
    """

    tuning: DetectionTuning
    scales: Scales
    baseline: BaselineFactory
    registry: Registry
    forecaster: ForecasterFactory = no_forecaster
    least_wait: Callable[[str, str], float] = _no_least_wait


class ChannelDetectorsState(msgspec.Struct, frozen=True, array_like=True):
    """What the series of a channel have learned, and what they said last."""

    series: dict[str, SeriesDetectorState]
    last_signals: dict[str, tuple[Signal, ...]]


class Detection(msgspec.Struct, frozen=True, gc=False):
    """What a closed bucket of a channel says.

    Attributes:
        points: One for each series that has a value or is missed.
        signals: What deviates, however slightly.
        health: Of what the open alert blames; without one, of all.
        is_warm: Whether any series can be judged.
        is_queue_seen: Whether any series shows how contacts wait.
        breach_probability, breach_seconds: As in `ChannelPoint`.
    """

    points: Sequence[SeriesPoint]
    signals: Sequence[Signal]
    health: Health
    is_warm: bool
    is_queue_seen: bool
    breach_probability: float | None = None
    breach_seconds: float | None = None


class ChannelDetectors:
    """Judges and learns the series of a channel.

    Args:
        service, channel: Whose.
        config: Shared by all channels.
    """

    __slots__ = ("_channel", "_config", "_detectors", "_forecaster", "_last_signals", "_service")

    def __init__(self, service: str, channel: str, config: DetectConfig) -> None:
        self._service, self._channel = service, channel
        self._config = config
        self._detectors: dict[str, SeriesDetector] = {}
        self._last_signals: dict[str, tuple[Signal, ...]] = {}
        self._forecaster = config.forecaster(service, channel)

    def detect(
        self,
        observations: Observations,
        start: float,
        phase: Phase,
        *,
        sent_as: Mapping[str, SentAs],
        blamed: Blamed,
    ) -> Detection:
        """Judge a closed bucket, then learn it.

        Args:
            observations: Of all series.
            start: Of the bucket, in seconds since the Unix epoch.
            phase: Where in the week it lies; muted, the bucket is evidence of nothing.
            sent_as: How each metric is sent.
            blamed: By the open alert of the channel.
        """
        points: list[SeriesPoint] = []
        signals: list[Signal] = []
        for series, observed in observations.tickets:
            # A series begins with its first event.
            if observed.value or series in self._detectors:
                point, found = self._observe(series, observed, start, phase, sent_as)
                points.append(point)
                signals += found
        is_missing = False
        for series, measured in observations.metrics:
            if measured is not None:
                point, found = self._observe(series, measured, start, phase, sent_as)
            else:
                missed = self._miss(series, observations, start, phase)
                if missed is None:
                    continue
                point, found = missed
                is_missing = True
            points.append(point)
            signals += found
        is_warm = any(point.score is not None for point in points)
        health: Health = "healthy"
        forecasts = self._forecast(observations, points, sent_as, phase)
        if self._last_signals or blamed:
            seen = {point.series for point in points if point.observed is not None}
            signals.extend(self._lasting_signals(seen, start, phase))
            health = "unknown" if phase.muted else self._health(blamed, seen, forecasts, is_warm)
        if is_missing and health == "healthy":
            health = "unhealthy"
        breach_probability = breach_seconds = None
        if forecasts:
            first = foremost(forecasts)
            breach_probability, breach_seconds = first.probability, first.seconds
            if first.probability >= CALM:
                # News only where anything was measured that it could rest on.
                is_news = observations.has_measurements or any(p.observed for p in points)
                signals.append(first.signal(self._service, self._channel, start, is_news=is_news))
        return Detection(
            points,
            signals,
            health,
            is_warm,
            any(map(self._config.registry.shows_queue, self._detectors)),
            breach_probability,
            breach_seconds,
        )

    def _observe(
        self,
        series: str,
        observed: Observation,
        start: float,
        phase: Phase,
        sent_as: Mapping[str, SentAs],
    ) -> tuple[SeriesPoint, tuple[Signal, ...]]:
        """Judge what a series holds; return its point and what deviates."""
        detector = self._detectors.get(series)
        if detector is None:
            detector = self._create(series, sent_as)
        point, found = judge(detector, start, observed, phase)
        if found and detector.spec.per_contact and self._is_slack():
            found = ()
        if found:
            self._last_signals[series] = found
        elif self._last_signals:
            self._last_signals.pop(series, None)
        return point, found

    def _miss(
        self, series: str, observations: Observations, start: float, phase: Phase
    ) -> tuple[SeriesPoint, tuple[Signal, ...]] | None:
        """Judge that a metric did not come; None where that says nothing."""
        detector = self._detectors.get(series)
        if detector is None:
            return None
        # While other metrics come, no ratio or level only means: nothing was there to measure.
        if observations.has_measurements and detector.spec.family != "count":
            return None
        return judge_missing(detector, start, phase)

    def _is_slack(self) -> bool:
        """Whether so few contacts came of late that their mean is that of single contacts."""
        known = self._config.registry.measuring("opened_contacts")
        opened = [self._detectors[name].recent for name in known if name in self._detectors]
        return max(opened, default=0.0) < _FEW_CONTACTS

    def _lasting_signals(self, measured: set[str], start: float, phase: Phase) -> list[Signal]:
        """Return the last signals of series that are not measured now, if they still hold."""
        if phase.muted:
            self._last_signals.clear()  # else they would count inside the window, or once it ends
        lasting: list[Signal] = []
        for series, found in list(self._last_signals.items()):
            if series in measured:
                continue
            if start - found[0].point.start > _STANDS_SECONDS:
                del self._last_signals[series]
            else:
                lasting.extend(msgspec.structs.replace(one, is_news=False) for one in found)
        return lasting

    def _forecast(
        self,
        observations: Observations,
        points: Sequence[SeriesPoint],
        sent_as: Mapping[str, SentAs],
        phase: Phase,
    ) -> Sequence[Forecast]:
        """Forecast from what the bucket measured, with the sizes that points do without."""
        if self._forecaster is None:
            return ()
        values = {p.series: (p.observed, 0.0) for p in points if p.observed is not None}
        values |= {
            metric: observed
            for metric, observed in observations.metrics
            if observed is not None and sent_as[metric] == "ratio"
        }
        by_measure = self._config.registry.measured(values)
        readings = {measure: values[series] for measure, series in by_measure.items()}
        if by_measure.get("handle_time", "").startswith(TICKETS):
            readings["handle_time"] = readings["handle_time"][0], float(observations.handled)
        # Nothing is forecast of a planned window, and nothing from what went on inside it.
        return self._forecaster.update(readings, is_open=phase.open and not phase.muted)

    def _health(
        self, blamed: Blamed, measured: set[str], forecasts: Sequence[Forecast], is_warm: bool
    ) -> Health:
        """Say how what the alert blames is; unknown if none of it was measured or forecast."""
        if not blamed:
            return "healthy"
        detectors = self._detectors
        if is_warm and not any(series in detectors for series, _ in blamed):
            # Forecasts, which alone open nothing any more, keep nothing open either.
            well = [detectors[s].is_calm for s in measured if s in detectors]
            return "healthy" if all(well) else "unhealthy"
        well = [
            detectors[series].is_fine(direction)
            for series, direction in blamed
            if series in measured and series in detectors
        ]
        well += [f.probability < CALM for f in forecasts if (f.series, "above") in blamed]
        if not well:
            return "unknown"
        return "healthy" if all(well) else "unhealthy"

    def _spec(self, series: str, sent_as: Mapping[str, SentAs]) -> SeriesSpec:
        """Return how a series is judged here; ValueError where there can be no such series."""
        as_what, registry = sent_as.get(series), self._config.registry
        if as_what is None:
            spec = registry.ticket(series)
        else:
            spec = registry.metric(series, is_ratio=as_what == "ratio")
        return self._with_objective(series, spec)

    def _with_objective(self, series: str, spec: SeriesSpec) -> SeriesSpec:
        """Return a spec in which a wait that is promised does not matter."""
        if not self._config.registry.is_wait(series):
            return spec
        least = max(spec.least, self._config.least_wait(self._service, self._channel))
        return msgspec.structs.replace(spec, least=least)

    def _create(self, series: str, sent_as: Mapping[str, SentAs]) -> SeriesDetector:
        spec, config = self._spec(series, sent_as), self._config
        detector = self._detectors[series] = SeriesDetector(
            self._service,
            self._channel,
            series,
            spec,
            config.baseline(spec),
            config.scales,
            config.tuning,
        )
        return detector

    # Configuration and state.

    def forecaster_under(self, config: DetectConfig) -> Forecaster | None:
        """Return a forecaster of that configuration in this one's state; ValueError if it fails."""
        forecaster = config.forecaster(self._service, self._channel)
        if forecaster is not None and self._forecaster is not None:
            forecaster.load(self._forecaster.dump())
        return forecaster

    def reconfigure(
        self,
        config: DetectConfig,
        forecaster: Forecaster | None,
        sent_as: Mapping[str, SentAs],
    ) -> None:
        """Replace the configuration, and the forecaster by what `forecaster_under` it returned."""
        self._config, self._forecaster = config, forecaster
        for series, detector in self._detectors.items():
            # Of the specs only those of waits depend on settings.
            is_wait = config.registry.is_wait(series)
            spec = self._spec(series, sent_as) if is_wait else detector.spec
            detector.reconfigure(spec, config.tuning)

    def dump(self) -> ChannelDetectorsState:
        """Return what the series have learned."""
        series = {name: detector.dump() for name, detector in self._detectors.items()}
        return ChannelDetectorsState(series, self._last_signals)

    def load(
        self, state: ChannelDetectorsState, sent_as: Mapping[str, SentAs]
    ) -> Sequence[tuple[str, str]]:
        """Take back what series have learned.

        Returns:
            Which series begin anew in whole or in part, and why; none where all is as it was.

        Raises:
            ValueError: they could not have learned it.
        """
        for series, found in state.last_signals.items():
            if not found or not all(s.series == series and s.is_sound() for s in found):
                raise ValueError(f"signals of {series!r} that could not be its own")
        self._last_signals = dict(state.last_signals)
        return self._load_series(state, sent_as)

    def _load_series(
        self, state: ChannelDetectorsState, sent_as: Mapping[str, SentAs]
    ) -> Sequence[tuple[str, str]]:
        anew: list[tuple[str, str]] = []
        for series, learned in state.series.items():
            if series not in sent_as and not self._config.registry.is_ticket(series):
                reasons: Sequence[str] = ["no such series any more"]
            else:
                reasons = self._create(series, sent_as).load(learned)
            if reasons:
                # What it said was said of what it had learned.
                self._last_signals.pop(series, None)
                anew += [(series, reason) for reason in reasons]
        return anew

    def dump_forecaster(self) -> dict[str, bytes]:
        """Return the state of the forecaster, by part."""
        return {} if self._forecaster is None else self._forecaster.dump()

    def load_forecaster(self, state: Mapping[str, bytes]) -> Sequence[str]:
        """Take the state of the forecaster back; result and errors as `Forecaster.load`."""
        forecaster = self._config.forecaster(self._service, self._channel)
        if forecaster is None:
            return ()
        anew = forecaster.load(state)
        self._forecaster = forecaster
        return anew

    def learn_from(self, state: ChannelDetectorsState, sent_as: Mapping[str, SentAs]) -> None:
        """Take over what another channel has learned; ValueError if it could not have.

        A series that is judged otherwise here has nothing to take over.
        """
        self._load_series(state, sent_as)
        for detector in self._detectors.values():
            detector.begin_anew()
