"""The way of records to their buckets: decoded, in time, not late, not seen before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ruptura.core.effects import Effects
from ruptura.core.event import (
    DECODERS,
    LAST_MOMENT,
    Reason,
    Rejection,
    TicketEvent,
    TopicKind,
    time_fault,
)
from ruptura.core.partition import Partition
from ruptura.core.record import Record
from ruptura.core.window import Seen, add_metric, add_ticket, identity, new_ticket_bucket


def admit(  # noqa: C901, PLR0912, PLR0915 - every record passes here: calls cost more than branches
    records: Sequence[Record],
    kind: TopicKind,
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
    decode = DECODERS[kind]
    position, last_at = source.position, source.last_at
    newest, newest_at = source.newest, source.newest_at
    clock, edge = source.clock, source.edge
    closable = max(source.closable, partition.closable)
    index, begin, end = -1, 0.0, 0.0  # the bucket of the last event
    late = duplicates = repeated = 0
    for record in records:
        if record.offset >= position:
            position = record.offset + 1
        event = decode(record)
        if type(event) is Rejection:  # isinstance() is slow on structs, here and below
            effects.rejections.append(event)
            continue
        occurred_at = event.occurred_at.timestamp()
        timestamp = record.timestamp
        if occurred_at - timestamp > max_future or not 0.0 <= occurred_at < LAST_MOMENT:
            fault = time_fault(record, occurred_at, max_future)
            if fault is not None:
                effects.rejections.append(fault)
                continue
        if timestamp > last_at:  # noqa: PLR1730 - max() would cost a call for every record
            last_at = timestamp
        if not begin <= occurred_at < end:
            index = int(occurred_at // bucket)
            begin = index * bucket
            end = begin + bucket
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
                service = services.get(event.service)
        if is_reflected:
            repeated += 1
            continue
        if index < closable or (service is not None and index <= service.closed):
            late += 1
            continue
        channel = None if service is None else service.channels.get(event.channel)
        if service is None or channel is None:
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
            service, channel = partition.enroll(event.service, event.channel, index)
        if record.key != service.key:
            name = service.name
            effects.misrouted[name] = effects.misrouted.get(name, 0) + 1
        seen = channel.seen.get(topic)
        if seen is None:
            seen = channel.seen[topic] = Seen(set(), set(), clock)
        if seen.is_repeated(identity(event.event_id), clock, remembered, most):
            duplicates += 1
            continue
        if index < service.following:  # noqa: PLR1730 - as above
            service.following = index
        if not service.is_changed:
            partition.mark(service)
        if type(event) is TicketEvent:
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
