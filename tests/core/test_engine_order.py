"""The engine: the outcome depends on what each source holds, not on how it was delivered."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Record, Tick
from tests.simulation.contact_centre import (
    HOUR,
    METRICS,
    MONDAY,
    TICKETS,
    add,
    alert_bytes,
    engine,
    merged,
    metric,
    record,
    records,
    run,
    shuffled,
    ticket,
    ticks,
)

SHORT: dict[str, Any] = {
    "window": {"bucket_seconds": 60, "lateness_seconds": 30.0},
    "detection": {"warm_up_seconds": 3600},
}


def rupture(seed: int, partition: int = 0) -> list[list[Input]]:
    """Eight hours of three channels of two services in two topics; all of them break at six.

    Events arrive up to 25 s late, some twice, some far too late, some are not documents at all.
    """
    chance = Random(seed)
    tickets: list[tuple[float, dict[str, Any]]] = []
    metrics: list[tuple[float, dict[str, Any]]] = []
    broken = MONDAY + 6 * HOUR
    number = 0
    for at in range(int(MONDAY), int(MONDAY + 8 * HOUR), 10):
        for channel, service in (("whatsapp", "aurora"), ("voice", "aurora"), ("app", "boreal")):
            rush = 6 if channel in {"voice", "app"} and at > broken else 1
            for _ in range(rush):
                number += 1
                if channel == "whatsapp" and at > broken:
                    continue
                tickets.append(
                    (at, ticket(at, number, service=service, channel=channel, queue="q"))
                )
        errors = 30 if at > broken else 1
        metrics.append(
            (
                at,
                metric(
                    at,
                    "errors_ratio",
                    service="aurora",
                    channel="bot",
                    numerator=errors,
                    denominator=60,
                    event_id=f"m-{at}",
                ),
            )
        )
        if at % 600 == 0:
            metrics.append(
                (at, metric(at, "queue_contacts", service="aurora", channel="voice", value=7.0))
            )

    def source(documents: list[tuple[float, dict[str, Any]]], topic: str) -> list[Input]:
        held: list[Input] = list(
            records(documents, topic=topic, partition=partition, delay=lambda: chance.random() * 25)
        )
        for at in sorted(chance.sample(range(100, len(held)), 40)):
            nth = held[at]
            assert isinstance(nth, Record)
            again = held[at - chance.choice((3, 60, 99))]  # a repeated or a late one
            assert isinstance(again, Record)
            held.insert(at, Record(topic, partition, 0, nth.timestamp, again.key, again.value))
        held.insert(50, record(b"\x00 not a document", 0, held[50].timestamp, topic=topic))  # type: ignore[union-attr]  # a record
        renumbered: list[Input] = []
        for offset, item in enumerate(held):
            assert isinstance(item, Record)
            renumbered.append(
                Record(topic, partition, offset, item.timestamp, item.key, item.value)
            )
        end = MONDAY + 8 * HOUR + 600
        return renumbered + [Tick(topic, partition, end + 60.0 * n) for n in range(4)]

    return [source(tickets, TICKETS), source(metrics, METRICS)]


def settled(total: Effects) -> tuple[Any, ...]:
    """What must not depend on delivery."""
    return (
        alert_bytes(total.alerts),
        sorted(total.consumed.items()),
        sorted(total.late.items()),
        sorted(total.duplicates.items()),
        sorted((r.record.topic, r.record.offset, r.reason) for r in total.rejections),
        total.buckets,
        sorted(p.__repr__() for p in total.points),
        sorted(p.__repr__() for p in total.channels),
    )


class TestInterleaving:
    def test_any_truthful_order_and_any_cuts_give_the_same_bytes(self) -> None:
        sources = rupture(1)
        expected = settled(run(engine(**SHORT), merged(*sources)))
        assert expected[0].keys() == {"aurora", "boreal"}
        for seed in range(6):
            chance = Random(seed)
            inputs = shuffled(sources, chance)
            subject, total = engine(**SHORT), Effects()
            while inputs:
                size = chance.choice((1, 7, 500, 5000))
                add(total, subject.step(inputs[:size]))
                del inputs[:size]
            assert settled(total) == expected

    def test_a_topic_that_is_read_to_its_end_first_changes_nothing(self) -> None:
        tickets, metrics = rupture(2)
        one = settled(run(engine(**SHORT), [*tickets, *metrics]))
        other = settled(run(engine(**SHORT), [*metrics, *tickets]))
        assert one == other
        assert one[0]

    def test_two_partitions_do_not_touch_each_other(self) -> None:
        first, second = rupture(3, partition=0), rupture(4, partition=1)
        together = run(engine(**SHORT), merged(*first, *second))
        alone = [run(engine(**SHORT), merged(*sources)) for sources in (first, second)]
        lines = {line for a in alone for held in alert_bytes(a.alerts).values() for line in held}
        got = {line for held in alert_bytes(together.alerts).values() for line in held}
        assert got == lines
        assert got

    def test_ticks_of_one_topic_that_run_ahead_make_nothing_of_another_late(self) -> None:
        tickets: list[Input] = []
        for n in range(600):
            at = MONDAY + 10 * n
            tickets.append(record(ticket(at, n), n, at))
            tickets.append(Tick(TICKETS, 0, at + 5.0))
        # Two breaks, each long enough for the topic to count as idle.
        for n in range(600, 800):
            at = MONDAY + 10 * n + 600
            tickets += [Tick(TICKETS, 0, at - 300.0 + s) for s in range(0, 60, 20)] * (n % 100 == 0)
            tickets.append(record(ticket(at, n), n, at))
        metrics: list[Input] = [
            record(metric(MONDAY + 60 * n, "wait", value=1.0), n, MONDAY + 60 * n, topic=METRICS)
            for n in range(30)
        ]
        metrics += ticks(MONDAY + 1800, MONDAY + 3 * HOUR, topic=METRICS)
        for seed in range(20):
            total = run(engine(), shuffled([tickets, metrics], Random(seed)))
            assert not total.late

    def test_a_channel_may_begin_in_any_topic_and_out_of_order(self) -> None:
        later = record(ticket(MONDAY + 89, 1), 0, MONDAY + 89)
        sooner = record(ticket(MONDAY + 62, 2), 1, MONDAY + 90)
        other = record(metric(MONDAY + 5, "wait", value=1.0), 0, MONDAY + 95, topic=METRICS)
        end = [Tick(t, 0, MONDAY + 400.0 + n) for n in range(3) for t in (TICKETS, METRICS)]
        seen = [
            sorted(repr(p) for p in run(engine(), [*order, *end]).points)
            for order in ([later, sooner, other], [later, other, sooner], [other, later, sooner])
        ]
        assert seen[0] == seen[1] == seen[2]
        starts = run(engine(), [later, sooner, other, *end]).points
        assert [p.observed for p in starts if p.start == MONDAY] == [1.0]
        assert [p.observed for p in starts if p.start == MONDAY + 60 and "opened" in p.series] == [
            2.0
        ]

    @given(st.lists(st.integers(0, 400), max_size=8))
    @settings(max_examples=30, deadline=None)
    def test_effects_of_any_split_add_up_to_those_of_one_step(self, cuts: list[int]) -> None:
        inputs = merged(*SMALL)
        whole = engine(**SHORT).step(inputs)
        subject, total = engine(**SHORT), Effects()
        edges = [0, *sorted(cuts), len(inputs)]
        for begin, end in pairwise(edges):
            add(total, subject.step(inputs[begin:end]))
        assert total == whole


SMALL: list[list[Input]] = [
    [*records([(MONDAY + 7 * n, ticket(MONDAY + 7 * n, n % 150)) for n in range(200)])],
    [
        *records(
            [(MONDAY + 15 * n, metric(MONDAY + 15 * n, "wait", value=n)) for n in range(90)],
            topic=METRICS,
        ),
        *ticks(MONDAY + 1350, MONDAY + 2000, topic=METRICS),
    ],
]


class TestDeterminism:
    def test_the_same_inputs_twice_are_the_same_effects(self) -> None:
        inputs = merged(*rupture(5))
        first, second = run(engine(**SHORT), inputs), run(engine(**SHORT), inputs)
        assert first == second
        assert first.alerts
