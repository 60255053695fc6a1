"""The load: seeded ticket events and channel metrics of many services, in the order of time.

A bucket is 60 s. The dearest work, closing a bucket, is per series and not per event, so a rate
in events/s means nothing without the density: how many events a bucket holds. `Load` states it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Literal, NamedTuple

import msgspec

START = 1_772_409_600.0
"""2026-03-02T00:00:00Z, a Monday."""

MINUTE = 60.0
TICKETS: Literal["tickets"] = "tickets"
METRICS: Literal["channel_metrics"] = "channel_metrics"

_TYPES = ("opened", "updated", "resolved", "closed", "transferred", "rated")
_WEIGHTS = (36, 24, 22, 10, 4, 4)  # of the steps in the lives of contacts
_CATEGORIES = ("delivery", "payment", "product", "account", "exchange")
_MOST_OPEN = 2_000  # tickets of a channel that may still get another step
_METRIC_SECONDS = 15.0

_encode = msgspec.json.Encoder().encode


class Message(NamedTuple):
    """A record before it has a topic: what kind, where, whose, when (seconds, event time)."""

    kind: Literal["tickets", "channel_metrics"]
    partition: int
    key: bytes
    value: bytes
    at: float


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is generated.

    Attributes:
        services: Each is a record key with one partition of its own choice.
        channels: Per service.
        events_per_bucket: Ticket events in a minute of event time, all channels together.
        minutes: Length in event time.
        partitions: Of each topic.
        start: First moment, in seconds since the Unix epoch.
        rupture_every: A channel has a surge once in so many minutes, each at another time; 0 never.
        rupture_minutes: How long a surge lasts.
        rupture_factor: How many times as many events a channel in surge has.
        first_rupture: Minute of the first one.
        seed: Of all chance.
    """

    services: int = 32
    channels: int = 1
    events_per_bucket: int = 6_000
    minutes: int = 60
    partitions: int = 4
    start: float = START
    rupture_every: int = 60
    rupture_minutes: int = 5
    rupture_factor: float = 4.0
    first_rupture: int = 45
    seed: int = 1

    @property
    def tickets(self) -> int:
        """How many ticket events there are."""
        return self.events_per_bucket * self.minutes

    @property
    def metrics(self) -> int:
        """How many channel metrics there are."""
        return self.services * self.channels * int(MINUTE / _METRIC_SECONDS) * self.minutes

    @property
    def total(self) -> int:
        """How many records there are."""
        return self.tickets + self.metrics


def messages(load: Load) -> Iterator[Message]:
    """All records, by event time; the same for the same load."""
    chance = Random(load.seed)
    centre = _Centre(load, chance)
    for minute in range(load.minutes):
        begin = load.start + minute * MINUTE
        gap = MINUTE / load.events_per_bucket
        measured = _metrics(load, begin, chance)
        following = next(measured, None)
        for number, channel in enumerate(centre.chosen(minute)):
            at = begin + (number + chance.random()) * gap
            while following is not None and following.at <= at:
                yield following
                following = next(measured, None)
            yield centre.step(channel, at)
        if following is not None:
            yield following
            yield from measured


def is_in_surge(load: Load, channel: int, minute: int) -> bool:
    """Tell whether a channel has a surge; they come evenly spread, one channel after another."""
    if not load.rupture_every or minute < load.first_rupture:
        return False
    everyone = load.services * load.channels
    shift = channel * load.rupture_every // everyone
    since = minute - load.first_rupture - shift
    return since >= 0 and since % load.rupture_every < load.rupture_minutes


class _Centre:
    """The contact centre: which tickets are open where."""

    def __init__(self, load: Load, chance: Random) -> None:
        self._load = load
        self._chance = chance
        self._names = [
            (f"loja-{service:03d}", ("whatsapp", "voice", "webchat", "email")[n % 4] + f"-{n // 4}")
            for service in range(load.services)
            for n in range(load.channels)
        ]
        self._keys = [service.encode() for service, _ in self._names]
        self._open: list[list[str]] = [[] for _ in self._names]
        self._number = 0

    def chosen(self, minute: int) -> list[int]:
        """The channels of the events of a minute, in order."""
        weights = accumulate(
            self._load.rupture_factor if is_in_surge(self._load, channel, minute) else 1.0
            for channel in range(len(self._names))
        )
        return self._chance.choices(
            range(len(self._names)), cum_weights=list(weights), k=self._load.events_per_bucket
        )

    def step(self, channel: int, at: float) -> Message:
        """One step in the life of a contact."""
        chance = self._chance
        self._number += 1
        service, name = self._names[channel]
        tickets = self._open[channel]
        kind = chance.choices(_TYPES, _WEIGHTS)[0]
        if kind == "opened" or not tickets:
            kind = "opened"
            ticket = f"T-{self._number:08d}"
            if len(tickets) < _MOST_OPEN:
                tickets.append(ticket)
            else:
                tickets[int(chance.random() * _MOST_OPEN)] = ticket
        else:
            at_random = int(chance.random() * len(tickets))
            ticket = tickets[at_random]
            if kind in ("resolved", "closed"):
                tickets[at_random] = tickets[-1]
                tickets.pop()
        document: dict[str, object] = {
            "event_id": f"e-{self._load.seed}-{self._number:010d}",
            "ticket_id": ticket,
            "type": kind,
            "occurred_at": rfc3339(at),
            "service": service,
            "channel": name,
            "customer_id": f"c-{self._number % 99_991:06d}",
            "category": _CATEGORIES[self._number % 5],
            "priority": "normal",
            "queue": "first-line",
        }
        if kind in ("resolved", "transferred"):
            document["handled_by"] = "bot" if chance.random() < 0.3 else "human"
            document["wait_seconds"] = round(chance.expovariate(1 / 40.0), 1)
            document["handle_seconds"] = round(chance.lognormvariate(5.5, 0.5), 1)
        elif kind == "rated":
            document["rating"] = chance.choice((3, 4, 4, 5, 5))
        key = self._keys[channel]
        partition = channel // self._load.channels % self._load.partitions
        return Message(TICKETS, partition, key, _encode(document), at)


def _metrics(load: Load, begin: float, chance: Random) -> Iterator[Message]:
    """Errors of every channel, each quarter of a minute."""
    for quarter in range(int(MINUTE / _METRIC_SECONDS)):
        at = begin + quarter * _METRIC_SECONDS
        for service in range(load.services):
            name = f"loja-{service:03d}"
            for number in range(load.channels):
                channel = ("whatsapp", "voice", "webchat", "email")[number % 4] + f"-{number // 4}"
                at += _METRIC_SECONDS / (load.services * load.channels + 1)
                document = {
                    "event_id": f"m-{load.seed}-{name}-{channel}-{at:.3f}",
                    "occurred_at": rfc3339(at),
                    "service": name,
                    "channel": channel,
                    "metric": "errors_ratio",
                    "numerator": int(chance.random() * 4),
                    "denominator": 200,
                }
                partition = service % load.partitions
                yield Message(METRICS, partition, name.encode(), _encode(document), at)


_SECONDS: dict[int, str] = {}


def rfc3339(at: float) -> str:
    """A moment as producers write it, cut to the millisecond."""
    second = int(at)
    text = _SECONDS.get(second)
    if text is None:
        if len(_SECONDS) > 1_000:
            _SECONDS.clear()
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
        text = _SECONDS[second] = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{int((at - second) * 1000):03d}Z"
