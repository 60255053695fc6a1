"""What is done with the documents of each kind: how they are read, and where they go.

Whatever a kind of document says, it belongs to a channel and to a moment, and goes to the open
bucket of both. A handler finds the totals to add to once for many events, and then adds them one by
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ruptura.core.contracts.event import DocumentKind, Event, Measurement, Rejection
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.buckets import MetricSum, TicketBucket, add_ticket, new_ticket_bucket
from ruptura.core.ingest.decode import (
    decode_measurement,
    decode_ticket,
    read_measurement,
    read_ticket,
)
from ruptura.core.ingest.open_buckets import OpenBuckets


class Handler(msgspec.Struct, frozen=True):
    """What is done with the documents of one kind.

    Attributes:
        read: Decodes bytes of at most `MAX_DOCUMENT_BYTES` and does no more; where it raises
            `FAULTS` or returns None, `decode` has to say what they are.
        decode: Decodes a record, or says why not. Raises nothing.
        open: Returns the totals of events in the open bucket of a channel, by index, in which there
            is room for so many metrics.
        add: Adds an event, with its event time in seconds since the Unix epoch, to such totals;
            tells whether there was room.
    """

    read: Callable[[bytes], Event | None]
    decode: Callable[[Record], Event | Rejection]
    open: Callable[[OpenBuckets, int, int], Any]
    add: Callable[[Any, Any, float], bool]


def open_tickets(channel: OpenBuckets, index: int, _most_metrics: int) -> TicketBucket:
    """Return the totals of ticket events."""
    bucket = channel.tickets.get(index)
    if bucket is None:
        bucket = channel.tickets[index] = new_ticket_bucket()
    return bucket


Metrics = tuple[dict[str, MetricSum], OpenBuckets, int, int]
"""The sums of a bucket, which is not the channel's before it holds one; the channel, the index,
and how many metrics the channel may have."""


def open_metrics(channel: OpenBuckets, index: int, most_metrics: int) -> Metrics:
    """Return the totals of measurements."""
    return channel.metrics.get(index) or {}, channel, index, most_metrics


def add_metric(totals: Metrics, event: Measurement, _occurred_at: float) -> bool:
    """Add a measurement; return whether there was room for its metric."""
    total = totals[0].get(event.metric)
    if total is None:
        sums, channel, index, most_metrics = totals
        metric, sent_as = event.metric, channel.sent_as
        if metric not in sent_as:
            if len(sent_as) >= most_metrics:
                return False
            sent_as[metric] = "value" if event.value is not None else "ratio"
        total = sums[metric] = MetricSum(0, 0.0, 0.0)
        channel.metrics[index] = sums
    total.samples += 1
    if (value := event.value) is not None:
        total.add(value)
    else:
        total.add(event.numerator or 0.0)
        total.add_denominator(event.denominator or 0.0)
    return True


HANDLERS: Final[Mapping[DocumentKind, Handler]] = {
    "tickets": Handler(read_ticket, decode_ticket, open_tickets, add_ticket),
    "channel_metrics": Handler(read_measurement, decode_measurement, open_metrics, add_metric),
}
"""A kind of document that is not here is not read."""
