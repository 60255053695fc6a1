"""One partition: its services under one watermark, and the closing of their buckets."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from ruptura.core.channel import Channel, ChannelState, Closed, Parts
from ruptura.core.contracts.document import Action
from ruptura.core.contracts.effects import ChannelPoint, Effects, SeriesPoint, State
from ruptura.core.contracts.event import DocumentKind
from ruptura.core.contracts.record import Tick
from ruptura.core.contracts.tuning import AlertTuning
from ruptura.core.decide import incidents as incident
from ruptura.core.decide import lifecycle as alert
from ruptura.core.decide.materiality import material, more
from ruptura.core.decide.risk import combine
from ruptura.core.detect.forecast import Forecaster
from ruptura.core.detect.signals import Signal
from ruptura.core.ingest.calendar import Calendar, Phase
from ruptura.core.ingest.watermark import Watermark
from ruptura.core.series.registry import Registry

Plan = Mapping[str, Sequence[Action]]

_NEVER: Final = -1
_BEFORE: Final = -math.inf

PORTION: Final = 500
"""Closed buckets, of series and channels together, after which a portion of work is enough: they
take 5 to 10 ms."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is made of.

    Attributes:
        topics: Input topics by name.
        parts: Shared by all channels.
        alert: When risk becomes an alert.
        calendar: The calendar of a service's channel.
        plan: The contingency plan of a service.
        shape: Hash of the settings that shape the state; a snapshot of another is refused.
        history: What channels had learned elsewhere, by service and channel, for those that
            begin.
    """

    topics: Mapping[str, DocumentKind]
    parts: Parts
    alert: AlertTuning
    calendar: Callable[[str, str], Calendar]
    plan: Callable[[str], Plan]
    shape: str
    history: Mapping[tuple[str, str], ChannelState] = {}


class _Judged(NamedTuple):
    """A channel whose bucket is closed; its points are kept where it says anything."""

    name: str
    channel: Channel
    closed: Closed
    points: Sequence[SeriesPoint]


class Service:
    """The live state of a service."""

    __slots__ = (
        "_calendar",
        "_calendars",
        "channels",
        "closed",
        "following",
        "is_changed",
        "key",
        "name",
        "plan",
        "reflected",
    )

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.key = name.encode()
        self._calendar = config.calendar
        self._calendars: dict[str, Calendar] = {}  # by channel
        self.plan = config.plan(name)
        self.channels: dict[str, Channel] = {}
        self.following = _NEVER  # next bucket to close
        self.closed = _NEVER  # last bucket that was closed
        self.is_changed = False
        self.reflected: dict[str, int] = {}  # next offset by topic, as restored

    def retune(self, config: Config) -> None:
        """Go on with another calendar and another plan."""
        self._calendar, self._calendars = config.calendar, {}
        self.plan = config.plan(self.name)

    def forget(self, channel: str) -> None:
        """Let go of what is known of a channel that is gone."""
        self._calendars.pop(channel, None)

    def phase(self, channel: str, start: float, end: float, phases: dict[int, Phase]) -> Phase:
        """Return the phase of a channel in a bucket; those that were found are in `phases`."""
        calendar = self._calendars.get(channel)
        if calendar is None:
            calendar = self._calendars[channel] = self._calendar(self.name, channel)
        phase = phases.get(id(calendar))
        if phase is None:
            phase = phases[id(calendar)] = calendar.phase_of_bucket(start, end)
        return phase


class Partition:
    """The services of one partition, under one watermark.

    Args:
        config: Shared by all partitions.

    Attributes:
        services: By name.
        changed: Those that changed since they were dumped, by name.
        channels: How many channels the services have.
    """

    __slots__ = ("bucket", "changed", "channels", "closable", "config", "services", "watermark")

    def __init__(self, config: Config) -> None:
        self.config = config
        self.bucket = float(config.parts.window.bucket_seconds)
        self.watermark = _watermark(config)
        self.services: dict[str, Service] = {}
        self.changed: dict[str, Service] = {}
        self.closable = _NEVER
        self.channels = 0

    def mark(self, service: Service) -> None:
        """Note that a service has changed."""
        service.is_changed = True
        self.changed[service.name] = service

    def unmark(self, service: Service) -> None:
        """Note that the state of a service is known elsewhere."""
        service.is_changed = False
        self.changed.pop(service.name, None)

    def forecasters_under(self, config: Config) -> Sequence[tuple[Channel, Forecaster | None]]:
        """Return each channel with its forecast of other parts; ValueError if one cannot be."""
        return [
            (channel, channel.forecaster_under(config.parts))
            for service in self.services.values()
            for channel in service.channels.values()
        ]

    def retune(
        self, config: Config, forecasters: Sequence[tuple[Channel, Forecaster | None]]
    ) -> None:
        """Go on with other parts of the same shape and topics.

        Args:
            config: The parts.
            forecasters: What `forecasters_under` them has returned.
        """
        self.config = config
        watermark = _watermark(config)
        watermark.load(self.watermark.sources)
        self.watermark = watermark
        for service in self.services.values():
            service.retune(config)
        for channel, forecaster in forecasters:
            channel.retune(config.parts, forecaster)

    def tick(self, tick: Tick, effects: Effects) -> Iterator[None]:
        """Let time pass for one source; yields as `close`."""
        self.watermark.tick(tick)
        return self.close(effects)

    def enroll(self, name: str, channel: str, index: int) -> tuple[Service, Channel]:
        """Begin a channel, and its service if need be, with an event of a bucket."""
        service = self.services.get(name)
        if service is None:
            service = Service(name, self.config)
            service.following = index
            service.closed = max(self.closable - 1, _NEVER)
            self.services[name] = service
        begun = service.channels[channel] = Channel(service.name, channel, self.config.parts)
        learned = self.config.history.get((name, channel))
        if learned is not None:
            begun.learn_from(learned)
        self.channels += 1
        return service, begun

    def close(self, effects: Effects) -> Iterator[None]:
        """Close the buckets that every source has passed.

        Yields:
            Whenever the effects hold as much as one portion should.
        """
        closable = self.watermark.closable()
        if closable <= self.closable:
            return
        self.closable = closable
        for service in list(self.services.values()):
            while service.channels and service.following < closable:
                over = yield from self._close_bucket(service, service.following, effects)
                service.closed = service.following
                service.following += 1
                if over:
                    _skip_to_data(service)
            service.closed = max(service.closed, closable - 1)
            if not service.channels:
                del self.services[service.name]
                self.unmark(service)

    def _close_bucket(
        self, service: Service, index: int, effects: Effects
    ) -> Generator[None, None, bool]:
        """Close a bucket of all channels; tell whether one of them is over."""
        start = index * self.bucket
        end = start + self.bucket
        phases: dict[int, Phase] = {}
        if not service.is_changed:
            self.mark(service)
        effects.buckets += 1
        over = False
        judged: list[_Judged] = []
        # By name: who came first depends on the order of delivery between topics.
        for name, channel in sorted(service.channels.items()):
            if channel.last == _BEFORE and not channel.holds(index):
                continue
            if channel.is_over(index, end):
                over = True
                self._end(service, name, channel, end, effects)
                continue
            phase = service.phase(name, start, end, phases)
            at = len(effects.points)
            closed = channel.close(index, start, end, phase, effects.points)
            effects.evicted += closed.evicted
            points = effects.points[at:] if closed.signals else []
            judged.append(_Judged(name, channel, closed, points))
            if _is_portion(effects):
                yield
        # Only now: what a channel means depends on what its siblings say in the same bucket.
        yield from self._decide(service, judged, start, end, effects)
        return over

    def _decide(
        self,
        service: Service,
        judged: Sequence[_Judged],
        start: float,
        end: float,
        effects: Effects,
    ) -> Generator[None, None, None]:
        """Turn what the channels say into risks, and the risks into alerts."""
        tuning = self.config.alert
        registry = self.config.parts.registry
        said = _material(judged, registry)
        due: list[tuple[_Judged, alert.Transition]] = []
        risks: list[tuple[_Judged, float, State]] = []
        for one in judged:
            name, state, closed = one.name, one.channel.alert, one.closed
            siblings = incident.corroborate(name, said, registry) if name in said else ()
            risk = combine(
                said.get(name, ()), tuning.prior, registry, points=one.points, siblings=siblings
            )
            ahead = closed.breach_seconds
            transition = alert.advance(
                state,
                risk,
                start,
                end,
                healthy=closed.healthy,
                tuning=tuning,
                breach_at=None if ahead is None else end + ahead,
            )
            if transition is not None:
                due.append((one, transition))
            shown: State = (
                state.status
                if state.status in ("warning", "critical")
                else ("normal" if closed.warm else "warming_up")
            )
            risks.append((one, risk.probability, shown))
            if _is_portion(effects):
                yield
        opened = [one.name for one, transition in due if transition.reason == "opened"]
        if opened:
            alerts = {one.name: one.channel.alert for one in judged}
            incident.join(service.name, opened, alerts, registry)
        # Only now: an alert that has just opened may have joined an incident.
        for one, probability, shown in risks:
            closed = one.closed
            effects.channels.append(
                ChannelPoint(
                    service.name,
                    one.name,
                    end,
                    probability,
                    shown,
                    closed.breach_probability,
                    closed.breach_seconds,
                    alert.standing(one.channel.alert, service.name, one.name),
                )
            )
            if _is_portion(effects):
                yield
        effects.alerts.extend(
            alert.document(one.channel.alert, transition, service.name, one.name, service.plan)
            for one, transition in due
        )

    def _end(
        self, service: Service, name: str, channel: Channel, end: float, effects: Effects
    ) -> None:
        """End a channel that is taken to be gone; what came after it begins a new one."""
        gone = alert.expire(channel.alert, end)
        if gone is not None:
            effects.alerts.append(
                alert.document(channel.alert, gone, service.name, name, service.plan)
            )
        effects.gone.append((service.name, name))
        service.forget(name)
        renewed = channel.renewed()
        if renewed is not None:
            service.channels[name] = renewed
        else:
            del service.channels[name]
            self.channels -= 1


def _watermark(config: Config) -> Watermark:
    window = config.parts.window
    return Watermark(
        tuple(config.topics),
        float(window.bucket_seconds),
        window.lateness_seconds,
        window.idle_seconds,
    )


def _is_portion(effects: Effects) -> bool:
    return len(effects.points) + len(effects.channels) >= PORTION


def _skip_to_data(service: Service) -> None:
    """Pass over buckets in which no channel has begun: a gap of years is no work."""
    waiting = [channel.pending() for channel in service.channels.values()]
    if all(channel.last == _BEFORE for channel in service.channels.values()):
        service.following = max(
            service.following, min((at for at in waiting if at is not None), default=0)
        )


def _material(judged: Sequence[_Judged], registry: Registry) -> dict[str, list[Signal]]:
    """Return the signals that are material, by channel; those without any are left out."""
    said = {one.name: one.closed.signals for one in judged if one.closed.signals}
    if not said:
        return said
    rises = {name: more(signals, registry) for name, signals in said.items()}
    # The two largest: a channel is no sibling of itself.
    largest, second = sorted((0.0, 0.0, *rises.values()))[:-3:-1]
    kept = {}
    for one in judged:
        if one.name not in said:
            continue
        found = material(
            said[one.name],
            registry,
            is_warm=one.closed.warm,
            is_queue_seen=one.channel.is_queue_seen,
            elsewhere=second if rises[one.name] == largest else largest,
        )
        if found:
            kept[one.name] = found
    return kept
