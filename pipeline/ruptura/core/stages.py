"""The stages of a record's way, in the one place where they meet.

    records -> ingest -> closed buckets -> series -> detect -> decide -> alerts

Each may import those below it alone: `decide > detect > ingest > series > contracts`. Ingest stands
above series because it adds events up to the totals of which series are made. Each keeps what it
remembers of a service to itself. What is in no stage: in which order the channels and services of a
partition are taken through them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from ruptura.core import state as states
from ruptura.core.contracts.effects import Effects
from ruptura.core.decide.service import Assessment, DecideConfig, ServiceAlerts
from ruptura.core.detect.channel_detector import (
    ChannelDetector,
    ChannelDetectorState,
    DetectConfig,
    Detection,
)
from ruptura.core.detect.forecast import Forecaster
from ruptura.core.history import History
from ruptura.core.ingest.calendar import Phase
from ruptura.core.ingest.partition import IngestConfig, PartitionBuckets
from ruptura.core.ingest.service_buckets import ServiceBuckets
from ruptura.core.series.observations import MetricKind, observe

PORTION: Final = 500
"""Closed buckets, of series and channels together, after which a bucket of a large service is
continued by the next call: they take 5 to 10 ms."""

_NAMED: Final = 3
"""Series or channels that are named of those that begin anew for one reason."""

Reforecast = Sequence[tuple[ChannelDetector, Forecaster | None, Mapping[str, MetricKind]]]
"""Detectors with the forecaster that each goes on with, and what the metrics of its channel are."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is made of.

    Attributes:
        ingest, detect, decide: The parts of the stages.
        shape: Hash of the settings that shape the state; a snapshot of another is refused.
        history: What channels had learned elsewhere, for those that begin.
    """

    ingest: IngestConfig
    detect: DetectConfig
    decide: DecideConfig
    shape: str
    history: History = {}


class _Bucket:
    """A bucket of a service on its way.

    Attributes:
        index: Of the bucket.
        start, end: Half-open, in seconds since the Unix epoch.
        phases: Its place in the week, by calendar, as far as known.
    """

    __slots__ = ("end", "index", "phases", "start")

    def __init__(self, index: int, seconds: float) -> None:
        self.index = index
        self.start = index * seconds
        self.end = self.start + seconds
        self.phases: dict[int, Phase] = {}


class _Service:
    """What detect and decide remember of a service.

    Args:
        name: Of the service.
        config: Shared by all services.

    Attributes:
        detectors: By channel; those of a channel begin with its first closed bucket.
        alerts: Of its channels.
    """

    __slots__ = ("_config", "_name", "alerts", "detectors")

    def __init__(self, name: str, config: Config) -> None:
        self._name = name
        self._config = config
        self.detectors: dict[str, ChannelDetector] = {}
        self.alerts = ServiceAlerts(name, config.decide)

    def detector(self, channel: str) -> ChannelDetector:
        """Return the detectors of a channel, which may begin."""
        found = self.detectors.get(channel)
        if found is None:
            found = self.detectors[channel] = self._fresh(channel)
            learned = self._config.history.get((self._name, channel))
            if learned is not None:
                found.learn_from(learned.detectors, learned.kinds)
        return found

    def _fresh(self, channel: str) -> ChannelDetector:
        return ChannelDetector(self._name, channel, self._config.detect)

    def end(self, channel: str, *, is_renewed: bool) -> None:
        """Forget what a channel that has ended had learned; what came after may begin a new one."""
        self.detectors.pop(channel, None)
        if is_renewed:
            self.detectors[channel] = self._fresh(channel)

    def reconfigure(self, config: Config) -> None:
        """Go on with other parts; the detectors are reconfigured already."""
        self._config = config
        self.alerts.reconfigure(config.decide)

    def load_detectors(
        self,
        learned: Mapping[str, ChannelDetectorState],
        *,
        kinds: Mapping[str, Mapping[str, MetricKind]],
    ) -> Sequence[str]:
        """Restore what channels have learned; ValueError, and nothing changes, if it is not valid.

        Args:
            learned: By channel.
            kinds: What the metrics of each channel are; without a state its detectors begin anew.

        Returns:
            Which series begin anew in whole or in part, and why.
        """
        detectors = {}
        anew: list[tuple[str, str]] = []
        for channel, known in kinds.items():
            detectors[channel] = self._fresh(channel)
            if channel in learned:
                found = detectors[channel].load(learned[channel], known)
                anew += [(f"{channel} {series}", reason) for series, reason in found]
        self.detectors = detectors
        return _by_reason(anew)

    def load_forecasters(self, learned: Mapping[str, Mapping[str, bytes]]) -> Sequence[str]:
        """Take back the states of forecasters; return which begin anew, and why."""
        anew: list[tuple[str, str]] = []
        for channel, detector in self.detectors.items():
            try:
                found = detector.load_forecaster(learned.get(channel, {}))
            except ValueError as error:
                found = [str(error)]
            anew += [(channel, reason) for reason in found]
        return _by_reason(anew)


def _by_reason(anew: Sequence[tuple[str, str]]) -> Sequence[str]:
    """Say each reason once, with some of those that it is true of: thousands may be."""
    names: dict[str, list[str]] = {}
    for name, reason in anew:
        names.setdefault(reason, []).append(name)
    return [
        f"{reason}: {', '.join(found[:_NAMED])}"
        + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
        for reason, found in names.items()
    ]


class Stages:
    """The stages of one partition.

    Args:
        config: Shared by all partitions.

    Attributes:
        buckets: Ingest: what is open, and what is due.
    """

    __slots__ = ("_closing", "_config", "_services", "buckets")

    def __init__(self, config: Config) -> None:
        self._config = config
        self.buckets = PartitionBuckets(config.ingest)
        self._services: dict[str, _Service] = {}
        self._closing: dict[str, Iterator[Effects]] = {}  # buckets on their way, by service

    def close(self, service: str) -> Effects:
        """Close the next bucket of a service, or the next portion of a large one.

        Raises:
            KeyError: the service has no bucket to close.
        """
        closing = self._closing.get(service)
        if closing is None:
            closing = self._close_bucket(self.buckets.due[service])
            self._closing[service] = closing
        return next(closing)

    def _close_bucket(self, service: ServiceBuckets) -> Iterator[Effects]:
        """Take the next bucket of a service through the stages, in portions."""
        name, kept = service.name, self._service(service.name)
        self.buckets.changed[name] = service
        expire_seconds = self._config.ingest.window.expire_seconds
        bucket = _Bucket(service.next_bucket, self.buckets.bucket_seconds)
        effects = Effects(buckets=1)
        detections: dict[str, Detection] = {}
        any_over = False
        # By name: who came first depends on the order of delivery between topics.
        for channel, buckets in sorted(service.channels.items()):
            if not buckets.has_begun(bucket.index):
                continue
            if buckets.is_over(bucket.index, bucket.end, expire_seconds):
                any_over = True
                effects.alerts += kept.alerts.expire(channel, bucket.end)
                effects.gone.append((name, channel))
                kept.end(channel, is_renewed=self.buckets.end(service, channel))
                continue
            detections[channel] = self._detect(kept, service, channel, bucket, effects)
            if len(effects.points) >= PORTION:
                yield effects
                effects = Effects()
        # Only now: what a channel means depends on what its siblings say in the same bucket.
        alerts = kept.alerts
        signals = alerts.material(detections)
        assessments: list[Assessment] = []
        for channel, found in detections.items():
            assessments.append(alerts.assess(channel, found, signals, bucket.start, bucket.end))
            if not len(assessments) % PORTION:
                yield effects
                effects = Effects()
        alerts.link(assessments)
        for one in assessments:
            effects.channels.append(alerts.point(one, detections[one.channel], bucket.end))
            if len(effects.points) + len(effects.channels) >= PORTION:
                yield effects
                effects = Effects()
        effects.alerts += alerts.documents(assessments)
        self._finish(service, skip=any_over)
        yield effects

    def _detect(
        self,
        kept: _Service,
        service: ServiceBuckets,
        channel: str,
        bucket: _Bucket,
        effects: Effects,
    ) -> Detection:
        """Close the bucket of one channel, make series of it, and judge them."""
        window, registry = self._config.ingest.window, self._config.detect.registry
        phase = service.phase(channel, bucket.start, bucket.end, bucket.phases)
        closed = service.channels[channel].close(bucket.index, bucket.end, window.max_open_tickets)
        observations = observe(registry, closed.tickets, closed.metrics, closed.kinds)
        detection = kept.detector(channel).detect(
            observations,
            bucket.start,
            phase,
            kinds=closed.kinds,
            blamed=kept.alerts.blamed(channel),
        )
        effects.evicted += closed.evicted
        effects.points += detection.points
        return detection

    def _finish(self, service: ServiceBuckets, *, skip: bool) -> None:
        """Note that a bucket is closed; `skip` as in `PartitionBuckets.close`."""
        self.buckets.close(service, skip=skip)
        del self._closing[service.name]
        if service.name not in self.buckets.services:
            self._services.pop(service.name, None)

    def _service(self, name: str) -> _Service:
        kept = self._services.get(name)
        if kept is None:
            kept = self._services[name] = _Service(name, self._config)
        return kept

    # Other parts, and state; between buckets.

    def forecasters_under(self, config: DetectConfig) -> Reforecast:
        """Return how each forecaster goes on with other parts; ValueError if one cannot."""
        return [
            (detector, detector.forecaster_under(config), service.channels[channel].kinds)
            for name, service in self.buckets.services.items()
            for channel, detector in self._service(name).detectors.items()
        ]

    def reconfigure(self, config: Config, forecasters: Reforecast) -> None:
        """Go on with other parts of the same shape and topics.

        Args:
            config: The parts.
            forecasters: What `forecasters_under` them has returned.
        """
        self._config = config
        self.buckets.reconfigure(config.ingest)
        for service in self._services.values():
            service.reconfigure(config)
        for detector, forecaster, kinds in forecasters:
            detector.reconfigure(config.detect, forecaster, kinds)

    def dump(self, service: str) -> bytes:
        """Return the state of a service as MessagePack; KeyError if there is none."""
        buckets = self.buckets.services[service]
        kept = self._service(service)
        self.buckets.changed.pop(service, None)
        # Those that have closed no bucket yet, too: they may begin with what history knows.
        detectors = {channel: kept.detector(channel) for channel in buckets.channels}
        return states.dump_service(
            self._config.shape,
            buckets.progress(self.buckets.next_offsets()),
            {
                states.OPEN_BUCKETS: buckets.dump_open(),
                states.EVENT_IDS: buckets.dump_event_ids(),
                states.DETECTORS: {n: each.dump() for n, each in detectors.items()},
                states.FORECASTERS: {n: each.dump_forecaster() for n, each in detectors.items()},
                states.LIFECYCLES: kept.alerts.lifecycles,
            },
        )

    def load(self, service: str, state: bytes) -> Sequence[str]:
        """Take the state of a service back.

        Returns:
            Which components begin anew, or what of them, and why; none where all is as it was.

        Raises:
            ValueError: the bytes are damaged, of another version, or shaped by other settings.
        """
        found = states.load_service(self._config.shape, state)
        refused = found.refused
        anew: list[str] = []
        buckets = ServiceBuckets(service, self._config.ingest.calendar)
        buckets.resume(found.progress, self.buckets.bucket_seconds)
        kept = _Service(service, self._config)

        def fits(component: str, load: Callable[[Any], Sequence[str] | None]) -> bool:
            """Load a component, if it fits."""
            if component not in refused:
                try:
                    parts = load(found.components[component])
                except ValueError as error:
                    refused[component] = str(error)
                else:
                    anew.extend(f"{component}: {part}" for part in parts or ())
            return component not in refused

        if not fits(states.OPEN_BUCKETS, buckets.load_open):
            buckets.begin_after(self.buckets.newest_bucket())
        fits(states.EVENT_IDS, buckets.load_event_ids)
        kinds = {name: channel.kinds for name, channel in buckets.channels.items()}
        if not fits(states.DETECTORS, partial(kept.load_detectors, kinds=kinds)):
            kept.load_detectors({}, kinds=kinds)
        fits(states.FORECASTERS, kept.load_forecasters)
        fits(states.LIFECYCLES, kept.alerts.load)
        self.buckets.put(buckets)
        self._services[service] = kept
        return [*(f"{component}: {why}" for component, why in refused.items()), *anew]
