"""How the series of tickets are made of what a closed bucket adds up to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec


class TicketTotals(NamedTuple):
    """What the ticket events of a closed bucket of one channel add up to.

    Attributes:
        opened, updated, transferred, escalated, reopened, resolved, closed, abandoned, rated:
            Events of each type.
        customers: Distinct customers who opened a ticket.
        product_exceptions, service_exceptions, policy_exceptions: Distinct tickets with one.
        seconds_waited, waits: Sum of the waits, and how many are known.
        seconds_handled, handled: Sum of the handle times, and how many are known.
        seconds_to_resolve, resolutions: Sum of the times to resolution, and how many are known.
        points_rated, ratings: Sum of the ratings, and how many there were.
        bot_handoffs, bot_ended: Contacts that a bot handed over, and that it ended itself.
        open_tickets: Open at the end of the bucket; None where no ticket was ever seen to leave.
    """

    opened: int
    updated: int
    transferred: int
    escalated: int
    reopened: int
    resolved: int
    closed: int
    abandoned: int
    rated: int
    customers: int
    product_exceptions: int
    service_exceptions: int
    policy_exceptions: int
    seconds_waited: float
    waits: int
    seconds_handled: float
    handled: int
    seconds_to_resolve: float
    resolutions: int
    points_rated: float
    ratings: int
    bot_handoffs: int
    bot_ended: int
    open_tickets: int | None


class Extraction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a series is made of tickets.

    Attributes:
        sum: Fields of `TicketTotals` whose sum is the value.
        over: Fields whose sum the value is divided by, or is a ratio over; empty: neither.
    """

    sum: tuple[str, ...]
    over: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse with ValueError what no bucket adds up to."""
        if not self.sum:
            raise ValueError("`sum` names no total")
        for name in (*self.sum, *self.over):
            if name not in TicketTotals._fields:
                known = ", ".join(TicketTotals._fields)
                raise ValueError(f"no total is called {name!r}; there are {known}")

    @property
    def text(self) -> str:
        """What it is made of, in one line.

        >>> Extraction(("seconds_waited",), ("waits",)).text
        'seconds_waited / waits'
        """
        value = " + ".join(self.sum)
        return f"{value} / {' + '.join(self.over)}" if self.over else value


class TicketSeries(NamedTuple):
    """One series of tickets, ready to be extracted.

    Attributes:
        name: Of the series.
        first: Index in `TicketTotals` of the value (a ratio's numerator).
        more: Indices of what is added to it.
        over: Indices whose sum it is divided by; empty: nothing.
        is_ratio: Whether both sides are kept.
    """

    name: str
    first: int
    more: tuple[int, ...]
    over: tuple[int, ...]
    is_ratio: bool


def ticket_series(name: str, extraction: Extraction, *, is_ratio: bool) -> TicketSeries:
    """Return a series ready to be extracted."""
    first, *more = map(TicketTotals._fields.index, extraction.sum)
    over = map(TicketTotals._fields.index, extraction.over)
    return TicketSeries(name, first, tuple(more), tuple(over), is_ratio)


def extract(
    series: Sequence[TicketSeries], totals: TicketTotals
) -> Iterator[tuple[str, float, float]]:
    """Yield series, value and size of a closed bucket; what it does not hold is left out.

    Args:
        series: Those to extract.
        totals: Of the bucket.
    """
    for name, first, more, over, is_ratio in series:
        value = totals[first] if not more else _sum(totals, (first, *more))
        if value is None:
            continue
        if not over:
            yield name, value, 1.0
            continue
        whole = totals[over[0]] if len(over) == 1 else _sum(totals, over)
        if whole:
            yield (name, value, whole) if is_ratio else (name, value / whole, 1.0)


def _sum(totals: TicketTotals, indices: Sequence[int]) -> float | None:
    """Add up totals; None where one of them cannot be told."""
    found: float = 0
    for index in indices:
        part = totals[index]
        if part is None:
            return None
        found += part
    return found
