"""The way of records to the partition of their service, and what must not depend on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from ruptura.assembly.build import (
    build_engine,
    build_route,
    read_topics,
    repartition_topics,
    sources,
)
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Record, Tick, source_of, topic_of
from ruptura.core.engine import Engine
from ruptura.core.ingest.routing import MARKS_HEADER, ORIGIN_HEADER, Repartitioned
from ruptura.settings import KafkaSettings, Settings, settings_hash
from ruptura.worker.routes.repartitioned import RepartitionedRoute
from tests.simulation.contact_centre import (
    METRICS,
    MONDAY,
    TICKETS,
    alert_bytes,
    merged,
    metric,
    records,
    run,
    shuffled,
    ticket,
)

PARTITIONS = 3
SETTINGS = msgspec.convert(
    {
        "topics": {"repartition": True, "partitions": PARTITIONS},
        "detection": {"warm_up_seconds": 1800},
    },
    Settings,
)


def routing() -> Repartitioned:
    found = build_route(SETTINGS)
    assert isinstance(found, Repartitioned)
    return found


def home(service: str) -> int:
    return int(DefaultPartitioner()(service.encode(), list(range(PARTITIONS)), []))


def a_record(value: bytes | None, **fields: Any) -> Record:
    record = Record(TICKETS, 2, 7, MONDAY, b"T-1", value)
    return msgspec.structs.replace(record, **fields)


class TestCopies:
    @pytest.mark.parametrize("service", ["loja-aurora", "x", "ção", "0" * 128])
    def test_go_where_kafkas_own_clients_put_the_service(self, service: str) -> None:
        document = json.dumps(ticket(MONDAY, 1, service=service)).encode()
        copy = routing().copy(a_record(document, headers=(("trace", b"\xff"),)))
        assert (
            copy.topic == repartition_topics(SETTINGS)[TICKETS] == f"ruptura-{TICKETS}-repartition"
        )
        assert copy.partition == home(service)
        assert copy.key == service.encode()
        assert (copy.value, copy.timestamp) == (document, MONDAY)
        assert copy.headers[0] == ("trace", b"\xff")

    @pytest.mark.parametrize(
        "value",
        [None, b"", b"\xff", b"[]", b"{}", b'{"service": 5}', b'{"service": ""}',
         b'{"service": "' + b"x" * 129 + b'"}', b'{"service": "\xff"}', b"[" * 100_000,
         b'{"service": "loja"', b" " * (1 << 20) + b'{"service": "loja"}'],
    )  # fmt: skip
    def test_without_a_service_stay_where_they_are(self, value: bytes | None) -> None:
        copy = routing().copy(a_record(value))
        assert (copy.partition, copy.key, copy.value) == (2, b"T-1", value)

    @given(
        st.none() | st.binary(max_size=50),
        st.none() | st.binary(max_size=20),
        st.lists(st.tuples(st.text(max_size=8) | st.just(ORIGIN_HEADER), st.binary(max_size=8))),
        st.integers(0, PARTITIONS - 1),
        st.integers(0, 1 << 53),
    )
    def test_arrive_as_records_of_their_source_and_are_refused_as_they_were(
        self,
        value: bytes | None,
        key: bytes | None,
        headers: list[tuple[str, bytes]],
        partition: int,
        offset: int,
    ) -> None:
        record = a_record(
            value, key=key, headers=tuple(headers), partition=partition, offset=offset
        )
        arrived = routing().route(record)
        assert arrived.topic == source_of(TICKETS, partition)
        assert arrived.offset == offset
        refused = build_engine(SETTINGS).step([arrived])
        [rejection] = routing().in_terms_of_topics(refused).rejections
        assert rejection.record == record

    def test_of_other_topics_there_are_none(self) -> None:
        stranger = Record("weather", 0, 0, MONDAY, None, b"{}")
        assert routing().route(stranger) is stranger


class TestArrivals:
    @pytest.mark.parametrize(
        "headers",
        [(), (("trace", b""),), ((ORIGIN_HEADER, b"\xc1"),),
         ((ORIGIN_HEADER, b"\x93\x03\x00\xc0"),), ((MARKS_HEADER, b"\x91\x92\x00\xa1x"),),
         ((ORIGIN_HEADER, b"\x93\x00\xff\xc0"),)],
    )  # fmt: skip
    def test_that_nobody_of_us_sent_are_no_input(self, headers: Any) -> None:
        [internal, _] = repartition_topics(SETTINGS).values()
        odd = Record(internal, 1, 5, MONDAY, b"k", None, headers)
        [found] = routing().arrived(odd)
        assert found is odd
        effects = routing().in_terms_of_topics(build_engine(SETTINGS).step([odd]))
        assert [(r.reason, r.record) for r in effects.rejections] == [("unknown_topic", odd)]

    def test_marks_become_ticks_of_their_sources(self) -> None:
        mark = routing().mark(METRICS, 1, {0: 50.0, 2: 60.0})
        assert (mark.partition, mark.key, mark.value) == (1, None, None)
        assert routing().arrived(mark) == [
            Tick(f"{METRICS}/0", 1, 50.0),
            Tick(f"{METRICS}/2", 1, 60.0),
        ]

    def test_every_source_is_known_to_the_engine(self) -> None:
        assert set(sources(SETTINGS)) == {
            source_of(topic, n) for topic in (TICKETS, METRICS) for n in range(PARTITIONS)
        }
        assert {topic_of(source) for source in sources(SETTINGS)} == {TICKETS, METRICS}
        assert set(read_topics(SETTINGS)) == {
            TICKETS, METRICS, f"ruptura-{TICKETS}-repartition", f"ruptura-{METRICS}-repartition",
        }  # fmt: skip


class TestEffects:
    def test_are_told_by_topic(self) -> None:
        one, two = source_of(TICKETS, 0), source_of(TICKETS, 1)
        told = routing().in_terms_of_topics(
            Effects(
                consumed={one: 3, two: 4, METRICS: 1},
                late={two: 2},
                duplicates={one: 1, two: 1},
                repeated={one: 5},
                event_times={(one, 2): 10.0, (two, 2): 30.0, (two, 1): 20.0},
            )
        )
        assert told.consumed == {TICKETS: 7, METRICS: 1}
        assert (told.late, told.duplicates, told.repeated) == (
            {TICKETS: 2}, {TICKETS: 2}, {TICKETS: 5},
        )  # fmt: skip
        assert told.event_times == {(TICKETS, 2): 30.0, (TICKETS, 1): 20.0}


class TestSettings:
    def test_state_of_another_way_or_width_is_another_state(self) -> None:
        def shape(**topics: Any) -> str:
            return settings_hash(msgspec.convert({"topics": topics}, Settings))

        assert shape(repartition=False, partitions=8) == shape()
        assert len({shape(), shape(repartition=True), shape(repartition=True, partitions=8)}) == 3


# The outcome: by whatever way records come, it is that of records that were keyed by service.

Producer = Sequence[tuple[float, dict[str, Any]]]


@cache
def produced(seed: int) -> tuple[Producer, Producer]:
    """Four hours of three services: one is flooded, one fails, waits and resolutions are odd."""
    chance = Random(seed)
    tickets: list[tuple[float, dict[str, Any]]] = []
    metrics: list[tuple[float, dict[str, Any]]] = []
    for at in range(0, 4 * 3600, 20):
        for number, service in enumerate(("aurora", "brisa", "cedro")):
            rush = 5 if service == "aurora" and at > 3 * 3600 else 1
            for each in range(rush):
                name = at * 100 + number * 10 + each
                when = MONDAY + at  # many at one moment
                fields: dict[str, Any] = {"service": service}
                tickets.append((when, ticket(when, name, **fields, wait_seconds=chance.random())))
                ends = when + chance.choice((0.0, 40.0, 300.7))
                tickets.append((ends, ticket(ends, name, "resolved", **fields)))
        errors = 0.3 if at > 3 * 3600 else 0.01
        for service in ("brisa", "cedro"):
            fields = {"numerator": errors * chance.random(), "denominator": 1.1}
            metrics.append((MONDAY + at, metric(MONDAY + at, "errors", service=service, **fields)))
            value = metric(MONDAY + at, "wait", service=service, value=chance.gauss(30.0, 9.0))
            metrics.append((MONDAY + at, value))
    return sorted(tickets, key=_first), sorted(metrics, key=_first)


def _first(pair: tuple[float, Any]) -> float:
    return pair[0]


def scattered(made: Producer, topic: str, chance: Random) -> list[list[Record]]:
    """Partitions of a producer that keys by ticket, or by nothing where there is none."""
    partitions: list[list[tuple[float, dict[str, Any]]]] = [[] for _ in range(PARTITIONS)]
    for at, document in made:
        key = document.get("ticket_id")
        where = chance.randrange(PARTITIONS) if key is None else hash_of(key)
        partitions[where].append((at, document))
    return [records(told, topic=topic, partition=n) for n, told in enumerate(partitions)]


def hash_of(key: str) -> int:
    return sum(key.encode()) % PARTITIONS


def keyed(made: Producer, topic: str) -> list[list[Record]]:
    """Partitions of a producer that keys by service."""
    partitions: list[list[tuple[float, dict[str, Any]]]] = [[] for _ in range(PARTITIONS)]
    for at, document in made:
        partitions[home(document["service"])].append((at, document))
    return [records(told, topic=topic, partition=n) for n, told in enumerate(partitions)]


END = MONDAY + 5 * 3600


def forwarded(partitions: Sequence[Sequence[Record]], chance: Random) -> list[list[Record]]:
    """The internal partitions of one topic after forwarders have come, crashed and come again.

    Each begins where its predecessors are known to have come, or earlier, and writes its records
    in their order; of what it wrote last, some partitions may have got more than others.
    """
    way = routing()
    internal: list[list[Record]] = [[] for _ in range(PARTITIONS)]
    at = [0] * len(partitions)
    while any(at[n] < len(held) for n, held in enumerate(partitions)):
        n = chance.choice([n for n, held in enumerate(partitions) if at[n] < len(held)])
        piece = partitions[n][at[n] : at[n] + chance.choice((1, 10, 300))]
        copies = [way.copy(record) for record in piece]
        if chance.random() < 0.2:  # a crash: not all partitions got all of it
            got = {q: chance.randrange(len(copies) + 1) for q in range(PARTITIONS)}
            for number, copy in enumerate(copies):
                if number < got[copy.partition]:
                    internal[copy.partition].append(copy)
            at[n] = max(0, at[n] - chance.choice((0, 0, 50)))
            continue
        for copy in copies:
            internal[copy.partition].append(copy)
        at[n] += len(piece)
    topic = partitions[0][0].topic
    for now in (END, END + 60.0, END + 120.0):
        for q in range(PARTITIONS):
            internal[q].append(way.mark(topic, q, dict.fromkeys(range(PARTITIONS), now)))
    return internal


def taken(internal: Sequence[Record], engine: Engine) -> list[Input]:
    """What a worker gives the engine: each record once."""
    return RepartitionedRoute(routing(), KafkaSettings(), engine.position, lambda: True).arrived(
        internal
    )


@cache
def expected(seed: int) -> dict[str, list[bytes]]:
    plain = msgspec.structs.replace(
        SETTINGS, topics=msgspec.structs.replace(SETTINGS.topics, repartition=False)
    )
    tickets, metrics = produced(seed)
    ways = [*keyed(tickets, TICKETS), *keyed(metrics, METRICS)]
    ends: list[Input] = [
        Tick(topic, n, now)
        for now in (END, END + 60.0, END + 120.0)
        for topic in (TICKETS, METRICS)
        for n in range(PARTITIONS)
    ]
    effects = run(build_engine(plain), [*merged(*ways), *ends])
    assert not effects.late
    return alert_bytes(effects.alerts)


class TestOutcome:
    @given(st.integers(0, 1 << 32))
    @examples(max_examples=8, deadline=None)
    def test_is_that_of_records_keyed_by_service_whatever_became_of_forwarders(
        self, seed: int
    ) -> None:
        chance = Random(seed)
        alerts = expected(1)
        assert set(alerts) == {"aurora", "brisa", "cedro"}
        tickets, metrics = produced(1)
        engine = build_engine(SETTINGS)
        ways = []
        for made, topic in ((tickets, TICKETS), (metrics, METRICS)):
            internal = forwarded(scattered(made, topic, chance), chance)
            ways += [taken(held, engine) for held in internal]
        effects = run(engine, shuffled(ways, chance))
        assert alert_bytes(effects.alerts) == alerts
        assert routing().in_terms_of_topics(effects).consumed == {
            TICKETS: len(tickets), METRICS: len(metrics),
        }  # fmt: skip
        assert not effects.late
        assert not effects.misrouted

    def test_a_slow_source_makes_nothing_of_it_late(self) -> None:
        tickets, metrics = produced(2)
        chance = Random(2)
        engine = build_engine(SETTINGS)
        parts = [*scattered(tickets, TICKETS, chance), *scattered(metrics, METRICS, chance)]
        slow, fast = parts[1], [*parts[:1], *parts[2:]]
        way = routing()
        inputs: list[Input] = [way.route(r) for r in merged(*fast) if isinstance(r, Record)]
        inputs += [way.route(record) for record in slow]
        for now in (END, END + 60.0, END + 120.0):
            for topic in (TICKETS, METRICS):
                for q in range(PARTITIONS):
                    inputs += [Tick(source_of(topic, n), q, now) for n in range(PARTITIONS)]
        effects = run(engine, inputs)
        assert not effects.late
        assert alert_bytes(effects.alerts) == expected(2)
