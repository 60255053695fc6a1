"""A seeded contact centre: Poisson contacts with the shape of a day, and metrics beside them.

Everything is made of `Record` and `Tick`, one list per source (topic and partition), as the
brokers would hold it; `merged` and `shuffled` put sources together in different, truthful orders.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from random import Random
from typing import Any

import msgspec
import numpy as np

from ruptura.assembly.build import build_engine
from ruptura.core.contracts.document import Alert
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.facts import AlertFacts
from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.core.engine import Engine
from ruptura.outputs.texts.alerts import alert_document
from ruptura.settings import Settings

MONDAY = 1_772_409_600.0
"""2026-03-02T00:00:00Z, a Monday."""

MINUTE, HOUR, DAY, WEEK = 60.0, 3600.0, 86_400.0, 604_800.0
TICKETS, METRICS = "ruptura.tickets", "ruptura.channel-metrics"
SERVICE, CHANNEL = "loja-aurora", "whatsapp"

Rate = Callable[[float], float]
"""Contacts per hour at a moment, in seconds since the Unix epoch."""

_json = msgspec.json.Encoder()


def rfc3339(seconds: float) -> str:
    """A moment as producers write it, to the microsecond."""
    moment = np.datetime64(round(seconds * 1e6), "us")
    return f"{moment}Z"


def ticket(at: float, number: int, kind: str = "opened", **fields: Any) -> dict[str, Any]:
    """The document of a ticket event at a moment."""
    return {
        "event_id": f"{kind}-{number}",
        "ticket_id": f"T-{number}",
        "type": kind,
        "occurred_at": rfc3339(at),
        "service": SERVICE,
        "channel": CHANNEL,
    } | fields


def metric(at: float, name: str, **fields: Any) -> dict[str, Any]:
    """The document of a channel metric at a moment."""
    return {
        "event_id": f"{name}-{at}",
        "occurred_at": rfc3339(at),
        "service": SERVICE,
        "channel": CHANNEL,
        "metric": name,
    } | fields


def record(
    document: object,
    offset: int,
    timestamp: float,
    *,
    topic: str = TICKETS,
    partition: int = 0,
) -> Record:
    """A document as the broker holds it, keyed by its service."""
    value = document if isinstance(document, bytes) else _json.encode(document)
    key = document.get("service") if isinstance(document, dict) else SERVICE
    return Record(
        topic, partition, offset, timestamp, key.encode() if isinstance(key, str) else None, value
    )


def records(
    documents: Iterable[tuple[float, dict[str, Any]]],
    *,
    topic: str = TICKETS,
    partition: int = 0,
    delay: Callable[[], float] = lambda: 0.0,
) -> list[Record]:
    """Documents with the moments at which they happened, as one source in the order of arrival."""
    arrived = sorted(((at + delay(), document) for at, document in documents), key=_first)
    return [
        record(document, offset, moment, topic=topic, partition=partition)
        for offset, (moment, document) in enumerate(arrived)
    ]


def day_shape(per_hour: float) -> Rate:
    """A working day that peaks at two in the afternoon and never quite sleeps."""

    def rate(at: float) -> float:
        hour = at % DAY / HOUR
        return per_hour * (1.0 + 0.8 * math.cos((hour - 14.0) / 24.0 * 2.0 * math.pi))

    return rate


def contacts(rate: Rate, most: float, start: float, end: float, seed: int) -> np.ndarray[Any, Any]:
    """Moments of a Poisson process, by thinning (Lewis & Shedler, 1979).

    Args:
        rate: Contacts per hour at a moment.
        most: An upper bound of it.
        start, end: In seconds since the Unix epoch.
        seed: Of the generator.
    """
    chance = np.random.default_rng(seed)
    number = chance.poisson(most * (end - start) / HOUR)
    moments = np.sort(chance.uniform(start, end, number))
    kept = chance.uniform(0.0, most, number) < np.array([rate(at) for at in moments])
    return moments[kept]


def lives(
    moments: Iterable[float], seed: int, *, first: int = 0, **fields: Any
) -> Iterator[tuple[float, dict[str, Any]]]:
    """The events of tickets opened at these moments: opened, resolved, closed."""
    chance = Random(seed)
    for number, at in zip(count(first), moments):
        yield at, ticket(at, number, customer_id=f"c-{number % 997}", **fields)
        resolved = at + chance.lognormvariate(math.log(1200.0), 0.5)
        yield resolved, ticket(resolved, number, "resolved", **fields)
        closed = resolved + chance.uniform(60.0, 3600.0)
        yield closed, ticket(closed, number, "closed", **fields)


def ticks(
    start: float, end: float, every: float = 15.0, *, topic: str = TICKETS, partition: int = 0
) -> list[Tick]:
    """Promises of a source that is read to its end all the time."""
    return [
        Tick(topic, partition, start + every * n) for n in range(int((end - start) // every) + 1)
    ]


def moment(item: Input) -> float:
    """The broker's time of an input."""
    return item.now if isinstance(item, Tick) else item.timestamp


def merged(*sources: Sequence[Input]) -> list[Input]:
    """Sources together in order of broker time; a tick comes after the records of its moment."""
    return sorted(
        (item for source in sources for item in source),
        key=lambda item: (moment(item), isinstance(item, Tick)),
    )


def shuffled(sources: Sequence[Sequence[Input]], chance: Random) -> list[Input]:
    """Sources together in any order that keeps each of them in its own."""
    rest = [list(reversed(source)) for source in sources if source]
    together: list[Input] = []
    while rest:
        source = chance.choice(rest)
        for _ in range(min(chance.choice((1, 3, 50, 1000)), len(source))):
            together.append(source.pop())  # noqa: PERF401 - each pop changes the source
        rest = [source for source in rest if source]
    return together


def engine(**sections: dict[str, Any]) -> Engine:
    """An engine with the default settings, but for these."""
    return build_engine(msgspec.convert(sections, Settings))


def run(subject: Engine, inputs: Sequence[Input], step: int = 2000) -> Effects:
    """Drive an engine and add up the effects."""
    total = Effects()
    for at in range(0, len(inputs), step):
        add(total, subject.step(inputs[at : at + step]))
    return total


def add(total: Effects, effects: Effects) -> None:
    """Add the effects of one more step."""
    for name in ("consumed", "late", "duplicates", "misrouted", "repeated"):
        counts = getattr(total, name)
        for key, value in getattr(effects, name).items():
            counts[key] = counts.get(key, 0) + value
    for name in ("rejections", "points", "channels", "alerts", "gone"):
        getattr(total, name).extend(getattr(effects, name))
    total.evicted += effects.evicted
    total.buckets += effects.buckets
    total.event_times.update(effects.event_times)


def alert_bytes(alerts: Iterable[Alert | AlertFacts]) -> dict[str, list[bytes]]:
    """The bytes that would be published, in order, by service."""
    lines: dict[str, list[bytes]] = {}
    for alert in alerts:
        document = alert if isinstance(alert, Alert) else alert_document(alert)
        lines.setdefault(alert.service, []).append(_json.encode(document))
    return lines


def _first(pair: tuple[float, object]) -> float:
    return pair[0]
