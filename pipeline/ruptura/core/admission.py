"""The way of records to their buckets: decoded, in time, not late, not seen before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ruptura.core.channel import Channel
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import (
    LAST_MOMENT,
    MAX_DOCUMENT_BYTES,
    DocumentKind,
    Event,
    Reason,
    Rejection,
    TicketEvent,
)
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.buckets import (
    MetricSum,
    Seen,
    TicketBucket,
    add_metric,
    add_ticket,
    new_ticket_bucket,
)
from ruptura.core.ingest.decode import FAULTS, time_fault
from ruptura.core.ingest.handlers import HANDLERS
from ruptura.core.partition import Partition, Service

_Place = tuple[Service, Channel, Seen, TicketBucket | None, dict[str, MetricSum] | None]
"""Where an event went; whatever else comes there until a bucket closes needs no more checks than
whether it was seen before."""


def admit(  # noqa: C901, PLR0912, PLR0915 - every record passes here: calls cost more than branches
    records: Sequence[Record],
    kind: DocumentKind,
    partition: Partition,
    effects: Effects,
) -> Iterator[None]:
    """Take records to their buckets, or say in the effects why not; a pause may follow any of them.

    What is known of the source is kept at hand, and noted in it before anything else looks there.

    Args:
        records: Of one source of the partition, in order; at least one.
        kind: What their topic holds.
        partition: Where they come from.
        effects: Get what they lead to: rejections, counts, closed buckets.

    Yields:
        Where the work of closing buckets can be interrupted.
    """
    topic = records[0].topic
    source = partition.watermark.sources[topic]
    source.heard = True
    source.idle = False
    window = partition.config.parts.window
    max_future = window.max_future_seconds
    remembered, most = window.duplicate_seconds, window.duplicate_ids
    bucket = partition.bucket
    services = partition.services
    handler = HANDLERS[kind]
    read, decode = handler.read, handler.decode
    position, last_at = source.position, source.last_at
    newest, newest_at = source.newest, source.newest_at
    clock, edge = source.clock, source.edge
    closable = max(source.closable, partition.closable)
    index, begin, end = -1, 0.0, 0.0  # the bucket of the last event
    places: dict[tuple[str, str], _Place] = {}  # of that bucket, by service and channel
    shelves: dict[int, dict[tuple[str, str], _Place]] = {}  # the places of all buckets
    late = duplicates = repeated = 0
    event: Event | Rejection | None
    for record in records:
        if record.offset >= position:
            position = record.offset + 1
        else:  # read again, and a state may reflect it though it does not reflect later ones
            shelves.clear()
            begin = end = 0.0  # whatever bucket comes next gets a new shelf
        value = record.value
        try:
            event = None if value is None or len(value) > MAX_DOCUMENT_BYTES else read(value)
        except FAULTS:
            event = None
        if event is None:
            event = decode(record)
            if type(event) is Rejection:  # isinstance() is slow on structs, here and below
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
            places = shelves.setdefault(index, {})
        if timestamp > last_at:  # noqa: PLR1730 - max() would cost a call for every record
            last_at = timestamp
        name = (event.service, event.channel)
        place = places.get(name)
        if place is None:
            service = services.get(event.service)
            is_reflected = (
                service is not None
                and bool(service.reflected)
                and record.offset < service.reflected.get(topic, 0)
            )
        if occurred_at > newest:
            newest, newest_at = occurred_at, timestamp
            if occurred_at < edge:
                if occurred_at > clock:  # noqa: PLR1730 - as above
                    clock = occurred_at
            elif partition.watermark.see(source, occurred_at, timestamp):
                yield from partition.close(effects)
                clock, edge = source.clock, source.edge
                closable = max(source.closable, partition.closable)
                shelves.clear()
                if place is not None:  # so no state reflects it
                    place, is_reflected = None, False
                places = shelves[index] = {}
                service = services.get(event.service)
        if place is not None:
            service, channel, seen, tickets, metrics = place
        else:
            if is_reflected:
                repeated += 1
                continue
            if index < closable or (service is not None and index <= service.closed):
                late += 1
                continue
            found = None if service is None else service.channels.get(event.channel)
            if service is None or found is None:
                if partition.channels >= window.max_channels:
                    effects.rejections.append(
                        Rejection(
                            record,
                            Reason.TOO_MANY_SERIES,
                            f"Expected at most {window.max_channels} channels in a partition "
                            "- at `$.channel`",
                        )
                    )
                    continue
                service, found = partition.enroll(event.service, event.channel, index)
            channel = found
            if topic not in channel.seen:
                channel.seen[topic] = Seen(set(), set(), clock)
            seen = channel.seen[topic]
            tickets = metrics = None
        if record.key != service.key:
            effects.misrouted[service.name] = effects.misrouted.get(service.name, 0) + 1
        if seen.is_repeated(event.event_id, clock, remembered, most):
            duplicates += 1
            continue
        if place is None:
            if index < service.following:  # noqa: PLR1730 - as above
                service.following = index
            if not service.is_changed:
                partition.mark(service)
        if type(event) is TicketEvent:
            if tickets is None:
                tickets = channel.tickets.get(index)
                if tickets is None:
                    tickets = channel.tickets[index] = new_ticket_bucket()
                places[name] = service, channel, seen, tickets, None
            add_ticket(tickets, event, occurred_at)
        elif channel.accepts_metric(event):
            if metrics is None:
                metrics = channel.metrics.get(index)
                if metrics is None:
                    metrics = channel.metrics[index] = {}
                places[name] = service, channel, seen, None, metrics
            add_metric(metrics, event)
        else:
            effects.rejections.append(
                Rejection(
                    record,
                    Reason.TOO_MANY_SERIES,
                    f"Expected at most {window.max_metrics} metrics in a channel - at `$.metric`",
                )
            )
    source.position = position
    source.newest, source.newest_at, source.clock = newest, newest_at, clock
    if last_at > source.last_at:
        source.last_at = last_at
        source.told_at = max(source.told_at, last_at)
    for counts, count in (
        (effects.late, late),
        (effects.duplicates, duplicates),
        (effects.repeated, repeated),
    ):
        if count:
            counts[topic] = counts.get(topic, 0) + count
