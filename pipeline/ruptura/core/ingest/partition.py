"""The way of a partition's records to open buckets: decoded, in time, not late, not seen before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import length_hint
from typing import Any, Final

import msgspec

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import (
    LAST_MOMENT,
    MAX_DOCUMENT_BYTES,
    DocumentKind,
    Event,
    Reason,
    Rejection,
)
from ruptura.core.contracts.record import Record, Tick
from ruptura.core.contracts.tuning import Index, WindowTuning
from ruptura.core.ingest.decode import FAULTS, time_fault
from ruptura.core.ingest.event_ids import EventIds
from ruptura.core.ingest.handlers import HANDLERS
from ruptura.core.ingest.open_buckets import OpenBuckets
from ruptura.core.ingest.service_buckets import NEVER, CalendarOf, ServiceBuckets
from ruptura.core.ingest.watermark import Source, SourceState, Watermark
from ruptura.core.series.observations import SentAs

VERSION: Final = 1

_Handle = tuple[ServiceBuckets, EventIds, Any]
"""Where an event went; whatever else comes there until a bucket closes needs no more checks than
whether it was seen before."""


def _nothing_known(service: str, channel: str) -> Mapping[str, SentAs]:  # noqa: ARG001 - as the field asks
    return {}


class IngestConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What ingest is made of.

    Attributes:
        topics: What each source holds, by its name.
        window: Time and the bounds of memory.
        calendar: The calendar of a service's channel.
        known_metrics: How the metrics of a channel that begins are sent, as far as that is known.
    """

    topics: Mapping[str, DocumentKind]
    window: WindowTuning
    calendar: CalendarOf
    known_metrics: Callable[[str, str], Mapping[str, SentAs]] = _nothing_known


class Clocks(msgspec.Struct, frozen=True, array_like=True):
    """The clocks of a partition: its sources by name, and the first bucket that may not close."""

    sources: dict[str, SourceState]
    first_open: Index


class PartitionBuckets:
    """The open buckets of one partition's services, under one watermark.

    Args:
        config: Shared by all partitions.

    Attributes:
        bucket_seconds: Length of a bucket.
        watermark: How far time has come.
        services: By name.
        changed: Services that changed since they were dumped, by name.
        due: Services that have buckets to close, by name. While there are any, nothing more may be
            ingested.
    """

    __slots__ = (
        "_channels",
        "_config",
        "_first_open",
        "bucket_seconds",
        "changed",
        "due",
        "services",
        "watermark",
    )

    def __init__(self, config: IngestConfig) -> None:
        self._config = config
        self.bucket_seconds = float(config.window.bucket_seconds)
        self.watermark = Watermark(tuple(config.topics), config.window)
        self.services: dict[str, ServiceBuckets] = {}
        self.changed: dict[str, ServiceBuckets] = {}
        self.due: dict[str, ServiceBuckets] = {}
        self._first_open = NEVER
        self._channels = 0

    def reconfigure(self, config: IngestConfig) -> None:
        """Replace the configuration, of the same topics and length of a bucket; keep the state."""
        self._config = config
        watermark = Watermark(tuple(config.topics), config.window)
        watermark.load(self.watermark.dump())
        self.watermark = watermark
        for service in self.services.values():
            service.reconfigure(config.calendar)

    # In: records and ticks.

    def ingest(  # noqa: C901, PLR0912, PLR0915 - every record passes here: calls cost more than branches
        self, records: Sequence[Record], effects: Effects
    ) -> int:
        """Take records to their open buckets, or say in the effects why not.

        A record whose time lets buckets close moves the clock, and is left for when they are.

        Args:
            records: Of one source, in order; at least one.
            effects: Get what they lead to: rejections and counts.

        Returns:
            How many were taken: all of them, or those before buckets became due.
        """
        topic = records[0].topic
        source = self.watermark.sources[topic]
        source.is_idle = False
        window = self._config.window
        max_future, most_metrics = window.max_future_seconds, window.max_metrics
        remembered, most = window.duplicate_seconds, window.duplicate_ids
        bucket = self.bucket_seconds
        handler = HANDLERS[self._config.topics[topic]]
        read, open_totals, add, see = handler.read, handler.open, handler.add, source.see
        index, begin, end = -1, 0.0, 0.0  # the bucket of the last event
        handles: dict[tuple[str, str], _Handle] = {}  # of that bucket, by service and channel
        cache: dict[int, dict[tuple[str, str], _Handle]] = {}  # the handles of all buckets
        duplicates = 0
        next_offset = source.next_offset
        taken, rest = len(records), iter(records)
        event: Event | Rejection | None
        for record in rest:
            offset = record.offset
            if offset >= next_offset:
                next_offset = offset + 1
            else:  # read again, and a state may reflect it though it does not reflect later ones
                cache.clear()
                begin = end = 0.0  # whatever bucket comes next gets new handles
            value = record.value
            try:
                event = None if value is None or len(value) > MAX_DOCUMENT_BYTES else read(value)
            except FAULTS:
                event = None
            if event is None:
                event = handler.decode(record)
                if type(event) is Rejection:  # isinstance() is slow on structs
                    effects.rejections.append(event)
                    continue
            occurred_at = event.occurred_at.timestamp()
            timestamp = record.timestamp
            if occurred_at - timestamp > max_future or not begin <= occurred_at < end:
                fault = time_fault(record, occurred_at, max_future)
                if fault is not None:
                    effects.rejections.append(fault)
                    continue
                index = int(occurred_at // bucket)
                begin = index * bucket
                end = min(begin + bucket, LAST_MOMENT)
                handles = cache.setdefault(index, {})
            if see(occurred_at, timestamp):
                self.watermark.turn(source)
                if self._advance():
                    if next_offset == offset + 1:
                        next_offset = offset
                    taken -= 1 + length_hint(rest)
                    break
                cache.clear()
                handles = cache[index] = {}
            name = (event.service, event.channel)
            handle = handles.get(name)
            if handle is None:
                found = self._find(record, event, index, source, effects)
                if found is None:
                    continue
                service, channel = found
                seen = channel.event_ids.get(topic)
                if seen is None:
                    seen = channel.event_ids[topic] = EventIds(set(), set(), source.clock)
            else:
                service, seen, totals = handle
            if record.key != service.key:
                effects.misrouted[service.name] = effects.misrouted.get(service.name, 0) + 1
            if seen.is_repeated(event.event_id, source.clock, remembered, most):
                duplicates += 1
                continue
            if handle is None:
                service.next_bucket = min(service.next_bucket, index)
                self.changed[service.name] = service
                totals = open_totals(channel, index, most_metrics)
                handles[name] = service, seen, totals
            if not add(totals, event, occurred_at):
                text = f"Expected at most {most_metrics} metrics in a channel - at `$.metric`"
                effects.rejections.append(Rejection(record, Reason.TOO_MANY_SERIES, text))
        source.next_offset = next_offset
        if duplicates:
            _count(effects.duplicates, topic, duplicates)
        if taken:
            _count(effects.consumed, topic, taken)
        return taken

    def _find(
        self, record: Record, event: Event, index: int, source: Source, effects: Effects
    ) -> tuple[ServiceBuckets, OpenBuckets] | None:
        """Return where an event belongs; None, and noted in the effects, if it does not count."""
        topic = record.topic
        service = self.services.get(event.service)
        if service is not None:
            applied = service.applied_offsets
            if applied and record.offset < applied.get(topic, 0):
                _count(effects.repeated, topic)
                return None
            if index <= service.last_closed:
                _count(effects.late, topic)
                return None
        if index < source.first_open or index < self._first_open:
            _count(effects.late, topic)
            return None
        channel = None if service is None else service.channels.get(event.channel)
        if service is not None and channel is not None:
            return service, channel
        most = self._config.window.max_channels
        if self._channels >= most:
            text = f"Expected at most {most} channels in a partition - at `$.channel`"
            effects.rejections.append(Rejection(record, Reason.TOO_MANY_SERIES, text))
            return None
        return self._create_channel(event.service, event.channel, index)

    def _create_channel(
        self, name: str, channel: str, index: int
    ) -> tuple[ServiceBuckets, OpenBuckets]:
        """Begin a channel, and its service if need be, with an event of a bucket."""
        service = self.services.get(name)
        if service is None:
            service = ServiceBuckets(name, self._config.calendar)
            service.next_bucket = index
            service.last_closed = max(self._first_open - 1, NEVER)
            self.services[name] = service
        created = OpenBuckets(self._config.known_metrics(name, channel))
        service.channels[channel] = created
        self._channels += 1
        return service, created

    def tick(self, tick: Tick) -> None:
        """Let time pass for one source."""
        self.watermark.tick(tick)
        self._advance()

    def _advance(self) -> bool:
        """Note how far buckets may close; return whether any are due."""
        first_open = self.watermark.first_open()
        if first_open <= self._first_open:
            return False
        self._first_open = first_open
        for service in self.services.values():
            if service.next_bucket < first_open:
                self.due[service.name] = service
            else:
                service.last_closed = max(service.last_closed, first_open - 1)
        return bool(self.due)

    # Out: buckets that are due.

    def end(self, service: ServiceBuckets, channel: str) -> bool:
        """End a channel taken to be gone; return whether what came after begins a new one."""
        is_renewed = service.end(channel)
        self._channels -= not is_renewed
        return is_renewed

    def close(self, service: ServiceBuckets, *, skip: bool) -> None:
        """Note that the next bucket of a service is closed.

        Args:
            service: One of those that are due.
            skip: Whether buckets in which nothing began may be passed over.
        """
        service.advance()
        if skip:
            service.skip_to_data()
        if service.channels and service.next_bucket < self._first_open:
            return
        service.last_closed = max(service.last_closed, self._first_open - 1)
        del self.due[service.name]
        if not service.channels:
            del self.services[service.name]
            self.changed.pop(service.name, None)

    # State.

    def next_offsets(self) -> dict[str, int]:
        """Return the offset of the next record by source."""
        return {name: source.next_offset for name, source in self.watermark.sources.items()}

    def newest_bucket(self) -> int:
        """Return the index of the bucket of the newest event; -1 before the first."""
        newest = self.watermark.newest()
        return int(newest // self.bucket_seconds) if newest >= 0.0 else NEVER

    def put(self, service: ServiceBuckets) -> None:
        """Take in a service that was restored, in place of the one of its name."""
        former = self.services.get(service.name)
        self.changed.pop(service.name, None)
        self._channels += len(service.channels) - (len(former.channels) if former else 0)
        self.services[service.name] = service

    def dump(self) -> Clocks:
        """Return the clocks."""
        return Clocks(self.watermark.dump(), self._first_open)

    def load(self, clocks: Clocks) -> None:
        """Take clocks back; ValueError if they could not be any."""
        self.watermark.load(clocks.sources)
        self._first_open = clocks.first_open


def _count(counts: dict[str, int], name: str, more: int = 1) -> None:
    counts[name] = counts.get(name, 0) + more
