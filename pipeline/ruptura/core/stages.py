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
from itertools import chain
from typing import Any, Final

from ruptura.core import state as states
from ruptura.core.config import Config
from ruptura.core.contracts.effects import Effects
from ruptura.core.detect.channel_detectors import ChannelDetectors, DetectConfig, Detection
from ruptura.core.detect.forecast import Forecaster
from ruptura.core.ingest.calendar import Phase
from ruptura.core.ingest.open_buckets import OpenBuckets
from ruptura.core.ingest.partition import PartitionBuckets
from ruptura.core.ingest.service_buckets import ServiceBuckets
from ruptura.core.series.observations import SentAs, observe
from ruptura.core.service_memory import ServiceMemory

PORTION: Final = 500
"""Closed buckets, of series and channels together, after which a bucket of a large service is
continued by the next call: they take 5 to 10 ms."""

Reforecast = Sequence[tuple[ChannelDetectors, Forecaster | None, Mapping[str, SentAs]]]
"""Detectors, each with its forecaster under the new configuration, and how the metrics of its
channel are sent."""


class _ClosingBucket:
    """A bucket of a service on its way through the stages: expire, detect, decide, in this order.

    Each stage yields how many pieces (series, channels) it has taken on since it was last asked.

    Args:
        config: Of the engine.
        buckets: Of the partition.
        service: Whose bucket it is: the next one.
        memory: What detect and decide remember of the service.

    Attributes:
        is_any_over: Whether a channel has ended with the bucket.
    """

    __slots__ = (
        "_buckets",
        "_config",
        "_detections",
        "_effects",
        "_end",
        "_index",
        "_memory",
        "_open",
        "_over",
        "_phases",
        "_service",
        "_start",
        "is_any_over",
    )

    def __init__(
        self,
        config: Config,
        buckets: PartitionBuckets,
        service: ServiceBuckets,
        memory: ServiceMemory,
    ) -> None:
        self._config, self._buckets = config, buckets
        self._service, self._memory = service, memory
        self._index = service.next_bucket
        self._start = self._index * buckets.bucket_seconds
        self._end = self._start + buckets.bucket_seconds
        self._phases: dict[int, Phase] = {}  # by calendar, as far as known
        self._detections: dict[str, Detection] = {}
        self._effects = Effects(buckets=1)
        self._over: list[str] = []
        self._open: list[tuple[str, OpenBuckets]] = []
        expire_seconds = config.ingest.window.expire_seconds
        # By name: who came first depends on the order of delivery between topics.
        for channel, held in sorted(service.channels.items()):
            if not held.has_begun(self._index):
                continue
            if held.is_over(self._index, self._end, expire_seconds):
                self._over.append(channel)
            else:
                self._open.append((channel, held))
        self.is_any_over = bool(self._over)

    def taken(self) -> Effects:
        """Return what has come of the bucket since this was last asked."""
        effects, self._effects = self._effects, Effects()
        return effects

    def expire(self) -> Iterator[int]:
        """End the channels that have sent nothing for too long."""
        for channel in self._over:
            self._effects.alerts += self._memory.alerts.expire(channel, self._end)
            self._effects.gone.append((self._service.name, channel))
            is_renewed = self._buckets.end(self._service, channel)
            self._memory.end(channel, is_renewed=is_renewed)
            yield 1

    def detect(self) -> Iterator[int]:
        """Close the bucket of each channel, make series of it, and judge them."""
        window, registry = self._config.ingest.window, self._config.detect.registry
        for channel, held in self._open:
            phase = self._service.phase(channel, self._start, self._end, self._phases)
            closed = held.close(self._index, self._end, window.max_open_tickets)
            observations = observe(registry, closed.tickets, closed.metrics, closed.sent_as)
            found = self._memory.detector(channel).detect(
                observations,
                self._start,
                phase,
                sent_as=closed.sent_as,
                blamed=self._memory.alerts.blamed(channel),
            )
            self._detections[channel] = found
            self._effects.evicted += closed.evicted
            self._effects.points += found.points
            yield len(found.points)

    def decide(self) -> Iterator[int]:
        """Weigh what all channels say, and tell what is published of each."""
        alerts, assessments = self._memory.alerts, []
        for assessment in alerts.assess(self._detections, self._start, self._end):
            assessments.append(assessment)
            yield 1
        for point, document in alerts.decide(assessments, self._end):
            self._effects.channels.append(point)
            if document is not None:
                self._effects.alerts.append(document)
            yield 1


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
        self._services: dict[str, ServiceMemory] = {}
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
        self.buckets.changed[service.name] = service
        closing = _ClosingBucket(self._config, self.buckets, service, self._service(service.name))
        # Every channel is detected before any is decided: what a channel means depends on what
        # its siblings say in the same bucket.
        done = 0
        for pieces in chain(closing.expire(), closing.detect(), closing.decide()):
            done += pieces
            if done >= PORTION:
                yield closing.taken()
                done = 0
        self._finish(service, skip=closing.is_any_over)
        yield closing.taken()

    def _finish(self, service: ServiceBuckets, *, skip: bool) -> None:
        """Note that a bucket is closed; `skip` as in `PartitionBuckets.close`."""
        self.buckets.close(service, skip=skip)
        del self._closing[service.name]
        if service.name not in self.buckets.services:
            self._services.pop(service.name, None)

    def _service(self, name: str) -> ServiceMemory:
        kept = self._services.get(name)
        if kept is None:
            kept = self._services[name] = ServiceMemory(name, self._config)
        return kept

    # Configuration and state; between buckets.

    def forecasters_under(self, config: DetectConfig) -> Reforecast:
        """Return the forecasters of that configuration; ValueError if a state does not fit."""
        return [
            (detector, detector.forecaster_under(config), service.channels[channel].sent_as)
            for name, service in self.buckets.services.items()
            for channel, detector in self._service(name).detectors.items()
        ]

    def reconfigure(self, config: Config, forecasters: Reforecast) -> None:
        """Replace the configuration, keep the state.

        Args:
            config: Of the same shape and topics.
            forecasters: What `forecasters_under` it has returned.
        """
        self._config = config
        self.buckets.reconfigure(config.ingest)
        for service in self._services.values():
            service.reconfigure(config)
        for detector, forecaster, sent_as in forecasters:
            detector.reconfigure(config.detect, forecaster, sent_as)

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
        kept = ServiceMemory(service, self._config)

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
            # The service may be ahead of the clocks, if the worker died between two writes.
            buckets.begin_after(max(self.buckets.newest_bucket(), found.progress.last_filled))
        fits(states.EVENT_IDS, buckets.load_event_ids)
        sent_as = {name: channel.sent_as for name, channel in buckets.channels.items()}
        if not fits(states.DETECTORS, partial(kept.load_detectors, sent_as=sent_as)):
            kept.load_detectors({}, sent_as=sent_as)
        fits(states.FORECASTERS, kept.load_forecasters)
        fits(states.LIFECYCLES, partial(kept.alerts.load, channels=buckets.channels))
        self.buckets.put(buckets)
        self._services[service] = kept
        return [*(f"{component}: {why}" for component, why in refused.items()), *anew]
