"""What a channel holds until its buckets close: events added up, open tickets, event_ids."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from ruptura.core.contracts.tuning import Index, Moment
from ruptura.core.ingest.buckets import (
    Backlog,
    MetricSum,
    TicketBucket,
    new_ticket_bucket,
    ticket_totals,
)
from ruptura.core.ingest.event_ids import EventIds
from ruptura.core.series.extraction import TicketTotals
from ruptura.core.series.observations import MetricTotals, SentAs

VERSION: Final = 1

NOTHING_YET: Final = -math.inf
"""`OpenBuckets.last_at` before the first bucket that held anything has closed."""


class ClosedBucket(msgspec.Struct, frozen=True, gc=False):
    """What came of one channel within one interval of event time.

    Attributes:
        tickets: What the ticket events add up to; None while the channel has never had any.
        metrics: What the measurements add up to, by metric; None where a known one did not come.
        sent_as: How each metric is sent.
        evicted: Open tickets that had to be forgotten because there were too many.
    """

    tickets: TicketTotals | None
    metrics: Mapping[str, MetricTotals | None]
    sent_as: Mapping[str, SentAs]
    evicted: int


class ChannelProgress(msgspec.Struct, frozen=True, array_like=True):
    """How far a channel has come.

    Attributes:
        last_at: End of the last closed bucket that held anything, in seconds since the Unix epoch;
            None before the first.
        has_tickets: Whether a bucket with ticket events has closed.
        sent_as: How each metric is sent.
    """

    last_at: Moment | None
    has_tickets: bool
    sent_as: dict[str, SentAs]


class OpenBucketsState(msgspec.Struct, frozen=True, array_like=True):
    """The contents of a channel's open buckets, by index, and its open tickets."""

    tickets: dict[Index, TicketBucket]
    metrics: dict[Index, dict[str, MetricSum]]
    backlog: Backlog


class OpenBuckets:
    """The open buckets of a channel.

    Args:
        sent_as: How its metrics are sent, as far as that is known from elsewhere.

    Attributes:
        tickets, metrics: Contents by index of the bucket.
        sent_as: How each metric is sent.
        backlog: Open tickets.
        event_ids: Those of each source, by its name.
        last_at: End of the last closed bucket that held anything, in seconds since the Unix epoch;
            `NOTHING_YET` before the first. Open buckets do not count: when they were filled
            depends on the order of delivery.
    """

    __slots__ = ("_has_tickets", "backlog", "event_ids", "last_at", "metrics", "sent_as", "tickets")

    def __init__(self, sent_as: Mapping[str, SentAs] | None = None) -> None:
        self.tickets: dict[int, TicketBucket] = {}
        self.metrics: dict[int, dict[str, MetricSum]] = {}
        self.sent_as: dict[str, SentAs] = dict(sent_as or {})
        self.backlog = Backlog({})
        self.event_ids: dict[str, EventIds] = {}
        self.last_at = NOTHING_YET
        self._has_tickets = False

    def pending(self) -> int | None:
        """Return the first open bucket that holds anything, if there is one."""
        return min((*self.tickets, *self.metrics), default=None)

    def last_filled(self) -> int:
        """Return the last open bucket that holds anything; -1 if none does."""
        return max((*self.tickets, *self.metrics), default=-1)

    def holds(self, index: int) -> bool:
        """Return whether anything came for a bucket that is still open."""
        return index in self.tickets or index in self.metrics

    def has_ever_held(self) -> bool:
        """Return whether anything has come at all."""
        return self.last_at != NOTHING_YET or self.pending() is not None

    def has_begun(self, index: int) -> bool:
        """Return whether anything has come for a bucket or for one before it."""
        return self.last_at != NOTHING_YET or self.holds(index)

    def is_over(self, index: int, end: float, expire_seconds: float) -> bool:
        """Return whether the channel has sent nothing for so long that it is taken to be gone."""
        return end - self.last_at > expire_seconds and not self.holds(index)

    def renewed(self) -> OpenBuckets | None:
        """Return new buckets with what came after the channel was over, if anything did."""
        if self.pending() is None:
            return None
        renewed = OpenBuckets()
        renewed.tickets, renewed.metrics = self.tickets, self.metrics
        coming = {metric for bucket in self.metrics.values() for metric in bucket}
        renewed.sent_as = {m: how for m, how in self.sent_as.items() if m in coming}
        renewed.event_ids = self.event_ids
        return renewed

    def close(self, index: int, end: float, most_open_tickets: int) -> ClosedBucket:
        """Close a bucket.

        Args:
            index: Of the bucket.
            end: Of the bucket, in seconds since the Unix epoch.
            most_open_tickets: How many may be remembered.
        """
        if self.holds(index):
            self.last_at = end
        # Not before: when they came depends on the order of delivery.
        self._has_tickets = self._has_tickets or index in self.tickets
        totals, evicted = None, 0
        if self._has_tickets:
            bucket = self.tickets.pop(index, None) or new_ticket_bucket()
            evicted = self.backlog.settle(bucket, most_open_tickets)
            totals = ticket_totals(bucket, self.backlog)
        sums = self.metrics.pop(index, {})
        metrics = {name: sums[name].totals() if name in sums else None for name in self.sent_as}
        return ClosedBucket(totals, metrics, self.sent_as, evicted)

    def clear(self) -> None:
        """Forget what the open buckets hold, but not how far the channel has come."""
        self.tickets, self.metrics, self.backlog = {}, {}, Backlog({})

    def progress(self) -> ChannelProgress:
        """Return how far the channel has come."""
        last_at = None if self.last_at == NOTHING_YET else self.last_at
        return ChannelProgress(last_at, self._has_tickets, self.sent_as)

    def resume(self, progress: ChannelProgress) -> None:
        """Go on from where a channel had come."""
        self.last_at = NOTHING_YET if progress.last_at is None else progress.last_at
        self._has_tickets = progress.has_tickets
        self.sent_as = progress.sent_as

    def dump(self) -> OpenBucketsState:
        """Return the contents."""
        return OpenBucketsState(self.tickets, self.metrics, self.backlog)

    def load(self, state: OpenBucketsState) -> None:
        """Take contents back; ValueError if they could not be any."""
        sums = [total for bucket in state.metrics.values() for total in bucket.values()]
        if not all(total.samples > 0 for total in sums):
            raise ValueError("a metric without samples")
        if not all(self.sent_as.keys() >= bucket.keys() for bucket in state.metrics.values()):
            raise ValueError("a metric of which nobody knows how it is sent")
        self.tickets, self.metrics, self.backlog = state.tickets, state.metrics, state.backlog
