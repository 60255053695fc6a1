"""The way of a record to its bucket: decoded, in time, not late, not seen before."""

from __future__ import annotations

from ruptura.core.effects import Effects
from ruptura.core.event import (
    Reason,
    Rejection,
    TicketEvent,
    decode_channel_metric,
    decode_ticket,
    time_fault,
)
from ruptura.core.partition import Partition, TopicKind
from ruptura.core.record import Record
from ruptura.core.watermark import Source
from ruptura.core.window import add_metric, add_ticket, identity, new_ticket_bucket


def admit(  # noqa: C901, PLR0912, PLR0915  # every record passes here: calls cost more than branches
    record: Record,
    kind: TopicKind,
    partition: Partition,
    source: Source,
    effects: Effects,
) -> None:
    """Take a record to its bucket, or say in the effects why not.

    Args:
        record: From a source of the partition, in order.
        kind: What its topic holds.
        partition, source: Where it comes from.
        effects: Get what it leads to: a rejection, a count, closed buckets.
    """
    window = partition.config.parts.window
    source.heard = True
    source.idle = False
    event = decode_ticket(record) if kind == "tickets" else decode_channel_metric(record)
    if isinstance(event, Rejection):
        effects.rejections.append(event)
        return
    occurred_at = event.occurred_at.timestamp()
    if occurred_at - record.timestamp > window.max_future_seconds or not 0.0 <= occurred_at < 2e11:
        fault = time_fault(record, occurred_at, window.max_future_seconds)
        if fault is not None:
            effects.rejections.append(fault)
            return
    if record.timestamp > source.last_at:
        source.last_at = record.timestamp
        source.told_at = max(source.told_at, record.timestamp)
    index = int(occurred_at // partition.bucket)
    service = partition.services.get(event.service)
    if (
        service is not None
        and service.reflected
        and record.offset < service.reflected.get(record.topic, 0)
    ):
        effects.repeated[record.topic] = effects.repeated.get(record.topic, 0) + 1
        if occurred_at > source.newest and partition.watermark.see(
            source, occurred_at, record.timestamp
        ):
            partition.close(effects)
        return
    if occurred_at > source.newest and partition.watermark.see(
        source, occurred_at, record.timestamp
    ):
        partition.close(effects)
        service = partition.services.get(event.service)
    if (
        index < source.closable
        or index < partition.closable
        or (service is not None and index <= service.closed)
    ):
        effects.late[record.topic] = effects.late.get(record.topic, 0) + 1
        return
    if service is None or event.channel not in service.channels:
        if partition.channels >= window.max_channels:
            effects.rejections.append(
                Rejection(
                    record,
                    Reason.TOO_MANY_SERIES,
                    f"Expected at most {window.max_channels} channels in a partition "
                    "- at `$.channel`",
                )
            )
            return
        service = partition.enroll(event.service, event.channel, index)
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
                f"Expected at most {window.max_metrics} metrics in a channel - at `$.metric`",
            )
        )
