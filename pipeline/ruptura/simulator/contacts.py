"""The life of every contact: bot, queue, agent; failure, abandonment, another try elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final, Literal

import msgspec

from ruptura.simulator.arrivals import PLAIN, Arrivals
from ruptura.simulator.curves import KINDS
from ruptura.simulator.documents import Born, Stamps, Ticket, encode
from ruptura.simulator.station import Station
from ruptura.simulator.timeline import MINUTE

_MOST_TRIES: Final = 4
_AGAIN_SECONDS: Final = 150.0  # mean time until another try
_RATING_SECONDS: Final = 240.0
_REOPEN_SECONDS: Final = 5400.0
_FREQUENT: Final = 40  # customers who are known by name
_AFTER_GIVING_UP: Final = 0.5  # share of the ratios for trying again
_LONG_WAIT: Final = 3.0  # times the target, after which ratings suffer
_ESCALATED: Final = 0.15  # share of the contacts that agents transfer
_CATEGORIES: Final = (
    ("out_of_stock", "defective"),
    ("late_delivery", "failed_execution"),
    ("return_deadline", "not_covered"),
    ("order_status", "billing", "account", "how_to"),
)

Stage = Literal["arrives", "queues", "reopens"]


class Contact(msgspec.Struct, gc=False):
    """A contact of a customer.

    Attributes:
        customer: Identifier.
        exception: Index of `KINDS`, or `PLAIN`.
        tries: Contacts of this customer about this, this one included.
        ticket: Identifier, once it is in.
        opened: When it got in, in seconds since the begin of the recording.
    """

    customer: str
    exception: int
    tries: int = 1
    ticket: str = ""
    opened: float = 0.0


class Centre:
    """All channels at work: contacts in order of time, with what follows from them.

    Args:
        stations: By index of the channel.
        stamps: Times of documents; nothing is reported after the end.

    Attributes:
        documents: Of tickets, in no order.
    """

    def __init__(self, stations: Sequence[Station], stamps: Stamps) -> None:
        self._stations = stations
        self._stamps = stamps
        self._scheduled: list[tuple[float, int, Stage, int, Contact]] = []
        self._serial = 0
        self.documents: list[Born] = []

    def run(self, arrivals: Arrivals) -> None:
        """Let contacts in, one by one, and follow them to their end."""
        scheduled = self._scheduled
        for at, index, exception in zip(
            arrivals.at, arrivals.channel, arrivals.exception, strict=True
        ):
            while scheduled and scheduled[0][0] <= at:
                self._follow()
            station = self._stations[index]
            self._arrive(station, at, Contact(self._customer(station), exception))
        while scheduled:
            self._follow()

    def _follow(self) -> None:
        at, _, stage, index, contact = heappop(self._scheduled)
        if at >= self._stamps.seconds:
            return
        station = self._stations[index]
        if stage == "queues":
            self._queue(station, at, contact)
        elif stage == "arrives":
            self._arrive(station, at, contact)
        elif station.open[int(at / MINUTE)]:
            self._emit(station, at, "reopened", contact)
            self._queue(station, at, contact)

    def _later(self, at: float, stage: Stage, index: int, contact: Contact) -> None:
        self._serial += 1
        heappush(self._scheduled, (at, self._serial, stage, index, contact))

    def _arrive(self, station: Station, at: float, contact: Contact) -> None:
        minute = int(at / MINUTE)
        if not station.open[minute]:
            return
        station.log.tries.append(at)
        if next(station.chance) < station.lost[minute]:
            self._again(station, at, contact, 1.0)
            return
        contact.ticket = f"{station.channel.name}-{station.count:06d}"
        contact.opened = at
        station.count += 1
        names = _CATEGORIES[contact.exception]
        category = names[int(next(station.chance) * len(names))]
        kind = None if contact.exception == PLAIN else KINDS[contact.exception]
        self._emit(station, at, "opened", contact, category=category, exception=kind)
        if station.channel.bot is None:
            self._queue(station, at, contact)
        else:
            self._meet(station, at, minute, contact)

    def _meet(self, station: Station, at: float, minute: int, contact: Contact) -> None:
        """Let the bot try first."""
        ends = at + next(station.session)
        contained = next(station.chance) < station.containment[minute]
        station.log.met.append(ends)
        station.log.contained.append(contained)
        if not contained:
            self._emit(station, ends, "transferred", contact, handled_by="bot")
            self._later(ends, "queues", station.index, contact)
            return
        seconds = round(ends - at, 1)
        self._emit(
            station,
            ends,
            "resolved",
            contact,
            handled_by="bot",
            handle_seconds=seconds,
            resolution_seconds=seconds,
        )
        self._rate(station, ends, contact, 0.0)

    def _queue(self, station: Station, at: float, contact: Contact) -> None:
        patience = next(station.patience)
        handle = next(station.handle) * station.handling[int(at / MINUTE)]
        begins = station.desk.offer(at, patience, handle)
        log = station.log
        log.entered.append(at)
        if begins is None:
            log.left.append(at + patience)
            log.handled.append(-1.0)
            self._emit(
                station, at + patience, "abandoned", contact, wait_seconds=round(patience, 1)
            )
            self._again(station, at + patience, contact, _AFTER_GIVING_UP)
            return
        log.left.append(begins)
        log.handled.append(handle)
        wait, ends = begins - at, begins + handle
        if next(station.chance) < station.channel.transferred_ratio:
            escalated = next(station.chance) < _ESCALATED
            step = "escalated" if escalated else "transferred"
            self._emit(station, begins + handle * 0.4, step, contact, handled_by="human")
        self._emit(
            station,
            ends,
            "resolved",
            contact,
            handled_by="human",
            wait_seconds=round(wait, 1),
            handle_seconds=round(handle, 1),
            resolution_seconds=round(ends - contact.opened, 1),
        )
        self._rate(station, ends, contact, wait)
        if next(station.chance) < station.channel.reopened_ratio:
            at = ends + next(station.wait) * _REOPEN_SECONDS
            self._later(at, "reopens", station.index, contact)

    def _rate(self, station: Station, at: float, contact: Contact, wait: float) -> None:
        if next(station.chance) >= station.channel.rated_ratio:
            return
        late = wait > _LONG_WAIT * station.target
        rating = next(station.sorry if late else station.glad)
        at += next(station.wait) * _RATING_SECONDS
        self._emit(station, at, "rated", contact, rating=rating)

    def _again(self, station: Station, at: float, contact: Contact, share: float) -> None:
        """Let a customer who was let down try again, here or elsewhere, as a new contact."""
        if contact.tries >= _MOST_TRIES:
            return
        index = station.elsewhere(share)
        if index is not None:
            other = Contact(contact.customer, contact.exception, contact.tries + 1)
            self._later(at + next(station.wait) * _AGAIN_SECONDS, "arrives", index, other)

    def _customer(self, station: Station) -> str:
        if next(station.chance) < station.channel.frequent_ratio:
            return f"c{int(next(station.chance) * _FREQUENT):07d}"
        return f"c{_FREQUENT + int(next(station.chance) * station.channel.customers):07d}"

    def _emit(
        self,
        station: Station,
        at: float,
        step: str,
        contact: Contact,
        *,
        category: str | None = None,
        exception: str | None = None,
        handled_by: str | None = None,
        wait_seconds: float | None = None,
        handle_seconds: float | None = None,
        resolution_seconds: float | None = None,
        rating: int | None = None,
    ) -> None:
        if at >= self._stamps.seconds:
            return
        document = Ticket(
            f"t{len(self.documents):x}",
            contact.ticket,
            step,
            self._stamps.at(at),
            station.channel.service,
            station.channel.name,
            contact.customer,
            category,
            exception,
            handled_by,
            wait_seconds,
            handle_seconds,
            resolution_seconds,
            rating,
        )
        self.documents.append(Born(at, station.index, encode(document)))
