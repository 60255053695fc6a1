"""The engine: records and ticks in, effects out. Every shell drives this one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

import msgspec

from ruptura.core import alert
from ruptura.core.calendar import Calendar
from ruptura.core.channel import Channel, ChannelState, Parts
from ruptura.core.document import Action
from ruptura.core.effects import ChannelPoint, Effects, State
from ruptura.core.event import (
    Reason,
    Rejection,
    TicketEvent,
    decode_channel_metric,
    decode_ticket,
    time_fault,
)
from ruptura.core.record import Input, Record, Tick
from ruptura.core.risk import combine
from ruptura.core.tuning import AlertTuning, Index, Tally
from ruptura.core.watermark import Source, Watermark
from ruptura.core.window import add_metric, add_ticket, identity, new_ticket_bucket

TopicKind = Literal["tickets", "channel_metrics"]
Plan = Mapping[str, Sequence[Action]]
_T = TypeVar("_T")
_NEVER = -1
_BEFORE = -math.inf


class ServiceState(msgspec.Struct, frozen=True, array_like=True):
    """All that a service remembers."""

    version: int
    shape: str
    following: Index
    closed: Index
    positions: dict[str, Tally]
    channels: dict[str, ChannelState]


class PartitionState(msgspec.Struct, frozen=True, array_like=True):
    """The clocks of a partition."""

    version: int
    shape: str
    sources: dict[str, Source]
    closable: Index


class _Service:
    """The live state of a service."""

    __slots__ = (
        "calendar",
        "channels",
        "closed",
        "dirty",
        "following",
        "key",
        "name",
        "plan",
        "reflected",
    )

    def __init__(self, name: str, calendar: Calendar, plan: Plan) -> None:
        self.name = name
        self.key = name.encode()
        self.calendar = calendar
        self.plan = plan
        self.channels: dict[str, Channel] = {}
        self.following = _NEVER  # next bucket to close
        self.closed = _NEVER  # last bucket that was closed
        self.dirty = True
        self.reflected: dict[str, int] = {}  # next offset by topic, as restored


class _Partition:
    """The services of one partition, under one watermark."""

    __slots__ = ("channels", "closable", "dirty", "services", "watermark")

    def __init__(self, watermark: Watermark) -> None:
        self.watermark = watermark
        self.services: dict[str, _Service] = {}
        self.closable = _NEVER
        self.channels = 0
        self.dirty = True


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is made of.

    Attributes:
        topics: Input topics by name.
        parts: Shared by all channels.
        alert: When risk becomes an alert.
        calendar: The calendar of a service.
        plan: The contingency plan of a service.
        shape: Hash of the settings that shape the state; a snapshot of another is refused.
    """

    topics: Mapping[str, TopicKind]
    parts: Parts
    alert: AlertTuning
    calendar: Callable[[str], Calendar]
    plan: Callable[[str], Plan]
    shape: str


class Engine:
    """Turns inputs into effects; deterministic, and total: no record makes it raise.

    The outcome depends only on the order of the records within each topic partition, not on how
    partitions and topics are interleaved, nor on how inputs are cut into steps.

    Args:
        config: What it is made of.
    """

    VERSION = 1

    def __init__(self, config: Config) -> None:
        self._config = config
        self._window = config.parts.window
        self._bucket = float(config.parts.window.bucket_seconds)
        self._partitions: dict[int, _Partition] = {}
        self._encoder = msgspec.msgpack.Encoder(enc_hook=None)
        self._service_decoder = msgspec.msgpack.Decoder(ServiceState)
        self._partition_decoder = msgspec.msgpack.Decoder(PartitionState)

    def step(self, inputs: Iterable[Input]) -> Effects:
        """Take inputs in order and return what they lead to."""
        effects = Effects()
        topics = self._config.topics
        consumed = effects.consumed
        last_topic, last_partition = None, -1
        count = 0
        kind: TopicKind | None = None
        for item in inputs:
            if isinstance(item, Tick):
                self._tick(item, effects)
                continue
            if item.topic != last_topic or item.partition != last_partition:
                if count and last_topic is not None:
                    consumed[last_topic] = consumed.get(last_topic, 0) + count
                    count = 0
                last_topic, last_partition = item.topic, item.partition
                kind = topics.get(last_topic)
                partition = self._partition(last_partition)
                source = partition.watermark.sources.get(last_topic)
            count += 1
            if source is not None and item.offset >= source.position:
                source.position = item.offset + 1
            if kind is None or source is None:
                effects.rejections.append(
                    Rejection(item, Reason.UNKNOWN_TOPIC, f"Not an input: {item.topic} - at `$`")
                )
                continue
            self._record(item, kind, partition, source, effects)
        if count and last_topic is not None:
            consumed[last_topic] = consumed.get(last_topic, 0) + count
        for number, partition in self._partitions.items():
            for topic, source in partition.watermark.sources.items():
                if source.newest > 0.0:
                    effects.event_times[topic, number] = source.newest
        return effects

    def _partition(self, number: int) -> _Partition:
        partition = self._partitions.get(number)
        if partition is None:
            window = self._window
            partition = self._partitions[number] = _Partition(
                Watermark(
                    tuple(self._config.topics),
                    self._bucket,
                    window.lateness_seconds,
                    window.idle_seconds,
                )
            )
        return partition

    def _record(
        self,
        record: Record,
        kind: TopicKind,
        partition: _Partition,
        source: Source,
        effects: Effects,
    ) -> None:
        source.heard = True
        source.idle = False
        if record.timestamp > source.last_at:
            source.last_at = record.timestamp
            source.told_at = max(source.told_at, record.timestamp)
        event = decode_ticket(record) if kind == "tickets" else decode_channel_metric(record)
        if isinstance(event, Rejection):
            effects.rejections.append(event)
            return
        occurred_at = event.occurred_at.timestamp()
        if (
            occurred_at - record.timestamp > self._window.max_future_seconds
            or not 0.0 <= occurred_at < 2e11
        ):
            fault = time_fault(record, occurred_at, self._window.max_future_seconds)
            if fault is not None:
                effects.rejections.append(fault)
                return
        index = int(occurred_at // self._bucket)
        service = partition.services.get(event.service)
        if service is not None and service.reflected:
            if record.offset < service.reflected.get(record.topic, 0):
                effects.repeated[record.topic] = effects.repeated.get(record.topic, 0) + 1
                if occurred_at > source.newest and partition.watermark.see(
                    source, occurred_at, record.timestamp
                ):
                    self._close(partition, effects)
                return
        if occurred_at > source.newest and partition.watermark.see(
            source, occurred_at, record.timestamp
        ):
            self._close(partition, effects)
            service = partition.services.get(event.service)
        if (
            index < source.closable
            or index < partition.closable
            or (service is not None and index <= service.closed)
        ):
            effects.late[record.topic] = effects.late.get(record.topic, 0) + 1
            return
        if service is None or event.channel not in service.channels:
            if partition.channels >= self._window.max_channels:
                effects.rejections.append(
                    Rejection(
                        record,
                        Reason.TOO_MANY_SERIES,
                        f"Expected at most {self._window.max_channels} channels in a partition "
                        "- at `$.channel`",
                    )
                )
                return
            service = self._enroll(partition, event.service, event.channel, index)
        if record.key != service.key:
            name = service.name
            effects.misrouted[name] = effects.misrouted.get(name, 0) + 1
        channel = service.channels[event.channel]
        if channel.is_repeated(record.topic, identity(event.event_id), source.clock):
            effects.duplicates[record.topic] = effects.duplicates.get(record.topic, 0) + 1
            return
        service.following = min(service.following, index)
        service.dirty = True
        if isinstance(event, TicketEvent):
            tickets = channel.tickets.get(index)
            if tickets is None:
                tickets = channel.tickets[index] = new_ticket_bucket()
                channel.has_tickets = True
            add_ticket(tickets, event, occurred_at)
        elif channel.accepts_metric(event):
            metrics = channel.metrics.get(index)
            if metrics is None:
                metrics = channel.metrics[index] = {}
            add_metric(metrics, event)
        else:
            effects.rejections.append(
                Rejection(
                    record,
                    Reason.TOO_MANY_SERIES,
                    f"Expected at most {self._window.max_metrics} metrics in a channel "
                    "- at `$.metric`",
                )
            )

    def _enroll(self, partition: _Partition, name: str, channel: str, index: int) -> _Service:
        service = partition.services.get(name)
        if service is None:
            service = _Service(name, self._config.calendar(name), self._config.plan(name))
            service.following = index
            service.closed = max(partition.closable - 1, _NEVER)
            partition.services[name] = service
        service.channels[channel] = Channel(name, channel, self._config.parts)
        partition.channels += 1
        return service

    def _tick(self, tick: Tick, effects: Effects) -> None:
        if tick.topic in self._config.topics:
            partition = self._partition(tick.partition)
            partition.watermark.tick(tick)
            self._close(partition, effects)

    def _close(self, partition: _Partition, effects: Effects) -> None:
        closable = partition.watermark.closable()
        if closable <= partition.closable:
            return
        partition.closable = closable
        partition.dirty = True
        for service in list(partition.services.values()):
            while service.channels and service.following < closable:
                over = self._close_bucket(partition, service, service.following, effects)
                service.closed = service.following
                service.following += 1
                if over:
                    _skip_to_data(service)
            service.closed = max(service.closed, closable - 1)
            if not service.channels:
                del partition.services[service.name]

    def _close_bucket(
        self, partition: _Partition, service: _Service, index: int, effects: Effects
    ) -> bool:
        """Close a bucket of all channels; tell whether one of them is over."""
        start = index * self._bucket
        end = start + self._bucket
        phase = service.calendar.phase(start + self._bucket / 2.0)
        tuning = self._config.alert
        service.dirty = True
        effects.buckets += 1
        over = False
        # By name: who came first depends on the order of delivery between topics.
        for name, channel in sorted(service.channels.items()):
            if channel.last == _BEFORE and not channel.holds(index):
                continue
            state = channel.alert
            if channel.is_over(index, end):
                over = True
                gone = alert.expire(state, end)
                if gone is not None:
                    effects.alerts.append(
                        alert.document(state, gone, service.name, name, service.plan)
                    )
                effects.gone.append((service.name, name))
                renewed = channel.renewed()
                if renewed is not None:
                    service.channels[name] = renewed
                else:
                    del service.channels[name]
                    partition.channels -= 1
                continue
            closed = channel.close(index, start, end, phase, effects.points)
            effects.evicted += closed.evicted
            risk = combine(closed.signals, tuning.prior)
            transition = alert.advance(
                state, risk, start, end, healthy=closed.healthy, tuning=tuning
            )
            if transition is not None:
                effects.alerts.append(
                    alert.document(state, transition, service.name, name, service.plan)
                )
            shown: State = (
                state.status
                if state.status in ("warning", "critical")
                else ("normal" if closed.warm else "warming_up")
            )
            effects.channels.append(ChannelPoint(service.name, name, end, risk.probability, shown))
        return over

    def position(self, topic: str, partition: int) -> int | None:
        """Return the next offset of a source that the state does not reflect, if any is known."""
        held = self._partitions.get(partition)
        source = held.watermark.sources.get(topic) if held is not None else None
        return source.position if source is not None and source.position > 0 else None

    def partitions(self) -> Sequence[int]:
        """Return the partitions with state."""
        return tuple(self._partitions)

    def services(self, partition: int, *, changed: bool = False) -> Sequence[str]:
        """Return the services of a partition, or only those changed since their last dump."""
        held = self._partitions.get(partition)
        if held is None:
            return ()
        return tuple(s.name for s in held.services.values() if s.dirty or not changed)

    def dump(self, partition: int, service: str) -> bytes:
        """Return the state of a service as MessagePack; KeyError if there is none."""
        held = self._partitions[partition].services[service]
        held.dirty = False
        return self._encoder.encode(
            ServiceState(
                self.VERSION,
                self._config.shape,
                held.following,
                held.closed,
                {
                    topic: max(source.position, held.reflected.get(topic, 0))
                    for topic, source in self._partitions[partition].watermark.sources.items()
                },
                {name: channel.dump() for name, channel in held.channels.items()},
            )
        )

    def load(self, partition: int, service: str, state: bytes) -> None:
        """Take the state of a service back.

        Raises:
            ValueError: the bytes are damaged, of another version, or shaped by other settings.
        """
        decoded = _decoded(self._service_decoder, state)
        self._check(decoded.version, decoded.shape)
        if not decoded.channels:
            raise ValueError("a service without channels")
        restored = _Service(service, self._config.calendar(service), self._config.plan(service))
        restored.following, restored.closed = decoded.following, decoded.closed
        for name, channel_state in decoded.channels.items():
            channel = Channel(service, name, self._config.parts)
            channel.load(channel_state)
            silent = decoded.following * self._bucket - channel.last
            if not math.isinf(silent) and not (
                0.0 <= silent <= self._window.expire_seconds + self._bucket
            ):
                raise ValueError("a channel out of its time")
            restored.channels[name] = channel
        restored.reflected = decoded.positions
        restored.dirty = False
        held = self._partition(partition)
        former = held.services.get(service)
        held.channels += len(restored.channels) - (len(former.channels) if former else 0)
        held.services[service] = restored

    def dump_clock(self, partition: int) -> bytes:
        """Return the clocks of a partition as MessagePack; KeyError if there are none."""
        held = self._partitions[partition]
        held.dirty = False
        return self._encoder.encode(
            PartitionState(self.VERSION, self._config.shape, held.watermark.sources, held.closable)
        )

    def load_clock(self, partition: int, state: bytes) -> None:
        """Take the clocks of a partition back; ValueError as `load`."""
        decoded = _decoded(self._partition_decoder, state)
        self._check(decoded.version, decoded.shape)
        held = self._partition(partition)
        held.watermark.load(decoded.sources)
        held.closable = decoded.closable

    def forget(self, partition: int) -> Sequence[tuple[str, str]]:
        """Drop a partition that another worker owns now; return its channels."""
        held = self._partitions.pop(partition, None)
        if held is None:
            return ()
        return [(s.name, name) for s in held.services.values() for name in s.channels]

    def _check(self, version: int, shape: str) -> None:
        if version != self.VERSION:
            raise ValueError(f"state of version {version}, expected {self.VERSION}")
        if shape != self._config.shape:
            raise ValueError("state was shaped by other settings")


def _decoded(decoder: msgspec.msgpack.Decoder[_T], state: bytes) -> _T:
    try:
        return decoder.decode(state)
    except RecursionError:
        raise ValueError("state is nested too deeply") from None


def _skip_to_data(service: _Service) -> None:
    """Pass over buckets in which no channel has begun: a gap of years is no work."""
    waiting = [channel.pending() for channel in service.channels.values()]
    if all(channel.last == _BEFORE for channel in service.channels.values()):
        service.following = max(
            service.following, min((at for at in waiting if at is not None), default=0)
        )
