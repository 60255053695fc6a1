"""Events gather in open buckets; a closed bucket adds up to totals."""

from __future__ import annotations

from itertools import islice
from operator import add
from typing import Annotated, Final, get_args

import msgspec
from msgspec import Meta

from ruptura.core.contracts.event import TicketEvent, TicketType
from ruptura.core.contracts.tuning import Amount, Finite, Moment, Tally
from ruptura.core.ingest.event_ids import digest, identity
from ruptura.core.series.extraction import TicketTotals
from ruptura.core.series.observations import MetricTotals

_TYPES: Final[tuple[TicketType, ...]] = get_args(TicketType)
_TYPE_INDEX: Final = {name: index for index, name in enumerate(_TYPES)}
_OPENED, _UPDATED, _TRANSFERRED, _ESCALATED, _REOPENED, _RESOLVED, _CLOSED, _ABANDONED, _RATED = (
    range(len(_TYPES))
)
_ENTERS: Final = frozenset((_OPENED, _REOPENED))
_LEAVES: Final = frozenset((_RESOLVED, _CLOSED, _ABANDONED))
_IS_MOVE: Final = tuple(index in _ENTERS | _LEAVES for index in range(len(_TYPES)))
_WAIT, _HANDLE, _RESOLUTION, _RATING = range(4)


class TicketBucket(msgspec.Struct, array_like=True):
    """What the ticket events of one open bucket add up to.

    Attributes:
        counts: Events by type.
        sums, samples: Of wait, handle and resolution seconds and of ratings.
        handoffs, ended: Contacts that a bot handed over, and that it ended itself.
        customers: Who opened tickets.
        exceptions: Tickets with an exception, by kind.
        moves: Openings and endings (event time, type, ticket, resolution seconds or -1), in order
            of arrival.
        rests: What rounding took from the sums.
    """

    counts: Annotated[list[Tally], Meta(min_length=9, max_length=9)]
    sums: Annotated[list[Amount], Meta(min_length=4, max_length=4)]
    samples: Annotated[list[Tally], Meta(min_length=4, max_length=4)]
    handoffs: Tally
    ended: Tally
    customers: set[str]
    exceptions: dict[str, set[int]]
    moves: list[tuple[Moment, int, int, Finite]]
    rests: Annotated[list[Finite], Meta(min_length=4, max_length=4)] = msgspec.field(
        default_factory=lambda: [0.0] * 4
    )

    @property
    def handled(self) -> int:
        """Contacts whose handle time was told."""
        return self.samples[_HANDLE]

    def add(self, index: int, amount: float) -> None:
        """Add to a sum, so that it is the same in whatever order amounts come (Knuth's TwoSum)."""
        sums = self.sums
        total = sums[index]
        grown = sums[index] = total + amount
        added = grown - total
        self.rests[index] += (total - (grown - added)) + (amount - added)
        self.samples[index] += 1


def new_ticket_bucket() -> TicketBucket:
    """Return an empty bucket."""
    return TicketBucket([0] * len(_TYPES), [0.0] * 4, [0] * 4, 0, 0, set(), {}, [])


def add_ticket(bucket: TicketBucket, event: TicketEvent, occurred_at: float) -> bool:
    """Add an event to its bucket, in which there is always room."""
    kind = _TYPE_INDEX[event.type]
    bucket.counts[kind] += 1
    if _IS_MOVE[kind]:
        resolution = event.resolution_seconds if kind == _RESOLVED else None
        bucket.moves.append(
            (
                occurred_at,
                kind,
                digest(event.ticket_id.encode()),  # the identity, without a call
                -1.0 if resolution is None else resolution,
            )
        )
        if kind == _OPENED and (customer := event.customer_id) is not None:
            bucket.customers.add(customer)
    if event.exception is not None:
        bucket.exceptions.setdefault(event.exception, set()).add(identity(event.ticket_id))
    if (wait := event.wait_seconds) is not None:
        bucket.add(_WAIT, wait)
    if (handle := event.handle_seconds) is not None:
        bucket.add(_HANDLE, handle)
    if (rating := event.rating) is not None:
        bucket.add(_RATING, rating)
    if event.handled_by == "bot":
        if kind in {_TRANSFERRED, _ESCALATED}:
            bucket.handoffs += 1
        elif kind in _LEAVES:
            bucket.ended += 1
    return True


class MetricSum(msgspec.Struct, array_like=True):
    """Samples of one metric in one open bucket; `denominator` is 0 for plain values.

    `rest` and `denominator_rest` are what rounding took from the sums.
    """

    samples: Annotated[int, Meta(ge=0)]
    total: Finite
    denominator: Amount
    rest: Finite = 0.0
    denominator_rest: Finite = 0.0

    def add(self, amount: float) -> None:
        """Add an amount, so that the sum is the same in whatever order amounts come."""
        total = self.total
        grown = self.total = total + amount
        added = grown - total
        self.rest += (total - (grown - added)) + (amount - added)

    def add_denominator(self, amount: float) -> None:
        """Add a denominator likewise."""
        total = self.denominator
        grown = self.denominator = total + amount
        added = grown - total
        self.denominator_rest += (total - (grown - added)) + (amount - added)

    def totals(self) -> MetricTotals:
        """Return what the samples add up to."""
        amount, size = self.total + self.rest, self.denominator + self.denominator_rest
        return MetricTotals(self.samples, amount, size)


class Backlog(msgspec.Struct, array_like=True):
    """Open tickets of a channel, each with the time at which it entered.

    Attributes:
        entered: Event time of the opening by ticket, oldest first.
        flows: Whether any ticket was ever seen to leave. Without that there is no backlog to
            speak of, only a sum of openings (a dispatch log, say).
    """

    entered: dict[int, Moment]
    flows: bool = False

    def settle(self, bucket: TicketBucket, most: int) -> int:
        """Apply the moves of a closing bucket in order of event time.

        Resolutions without a duration of their own get the time since they entered.

        Args:
            bucket: The bucket that closes; its resolution sums are completed.
            most: How many open tickets may be remembered.

        Returns:
            How many of the oldest had to be forgotten.
        """
        entered = self.entered
        if not bucket.moves and len(entered) <= most:
            return 0
        for occurred_at, kind, ticket, resolution in sorted(bucket.moves, key=_turn):
            if kind in _ENTERS:
                entered.setdefault(ticket, occurred_at)
                continue
            self.flows = True
            since = entered.pop(ticket, None)
            if kind != _RESOLVED:
                continue
            seconds = resolution
            if seconds < 0.0 and since is not None:
                seconds = occurred_at - since
            if seconds >= 0.0:
                bucket.add(_RESOLUTION, seconds)
        surplus = max(len(entered) - most, 0)
        for ticket in list(islice(entered, surplus)):
            del entered[ticket]
        return surplus


def _turn(move: tuple[float, int, int, float]) -> tuple[float, int]:
    # Of one moment by ticket: who came first depends on the order of delivery between sources,
    # but for one ticket, whose producer keeps its order.
    return move[0], move[2]


def ticket_totals(bucket: TicketBucket, backlog: Backlog) -> TicketTotals:
    """Return what a closed bucket adds up to, once the backlog has settled it."""
    opened, updated, transferred, escalated, reopened, resolved, closed, abandoned, rated = (
        bucket.counts
    )
    waited, handled, to_resolve, points = map(add, bucket.sums, bucket.rests)
    waits, handlings, resolutions, ratings = bucket.samples
    exceptions = bucket.exceptions
    # By place, in the order of the fields: by name takes half as long again.
    return TicketTotals(
        opened,
        updated,
        transferred,
        escalated,
        reopened,
        resolved,
        closed,
        abandoned,
        rated,
        len(bucket.customers),
        len(exceptions.get("product", ())),
        len(exceptions.get("service", ())),
        len(exceptions.get("policy", ())),
        waited,
        waits,
        handled,
        handlings,
        to_resolve,
        resolutions,
        points,
        ratings,
        bucket.handoffs,
        bucket.ended,
        len(backlog.entered) if backlog.flows else None,
    )
