"""A channel: which series it has, when they begin, and what counts as health."""

from __future__ import annotations

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input
from tests.simulation.contact_centre import (
    CHANNEL,
    METRICS,
    MONDAY,
    SERVICE,
    TICKETS,
    engine,
    metric,
    record,
    run,
    ticket,
    ticks,
)


def points(effects: Effects, series: str) -> list[tuple[float, float | None]]:
    return [((p.start - MONDAY) / 60, p.observed) for p in effects.points if p.series == series]


def closed(*inputs: Input, until: float = 300.0) -> Effects:
    end = [
        tick
        for at in range(3)
        for topic in (TICKETS, METRICS)
        for tick in ticks(MONDAY + until + at, MONDAY + until + at, topic=topic)
    ]
    return run(engine(), [*inputs, *end])


def test_a_series_begins_with_its_first_event_and_then_counts_zeros() -> None:
    effects = closed(
        record(ticket(MONDAY, 1), 0, MONDAY),
        record(ticket(MONDAY + 70, 1, "abandoned"), 1, MONDAY + 70),
    )
    assert points(effects, "tickets.opened") == [(0, 1), (1, 0), (2, 0), (3, 0)]
    assert points(effects, "tickets.abandoned") == [(1, 1), (2, 0), (3, 0)]
    assert points(effects, "tickets.reopened") == []


def test_a_channel_of_metrics_alone_has_no_ticket_series() -> None:
    effects = closed(record(metric(MONDAY, "wait", value=3.0), 0, MONDAY, topic=METRICS))
    assert {p.series for p in effects.points} == {"wait"}
    assert points(effects, "wait") == [(0, 3.0)]


def test_a_metric_is_averaged_a_count_is_summed_and_a_ratio_adds_both_sides() -> None:
    documents = [
        metric(MONDAY, "wait", value=3.0),
        metric(MONDAY + 1, "wait", value=5.0),
        metric(MONDAY, "requests", value=3.0),
        metric(MONDAY + 1, "requests", value=5.0),
        metric(MONDAY, "errors_ratio", numerator=1, denominator=10),
        metric(MONDAY + 1, "errors_ratio", numerator=2, denominator=20),
        metric(MONDAY, "empty_ratio", numerator=0, denominator=0),
    ]
    effects = closed(*(record(d, n, MONDAY, topic=METRICS) for n, d in enumerate(documents)))
    assert points(effects, "wait")[0] == (0, 4.0)
    assert points(effects, "requests")[0] == (0, 8.0)
    assert points(effects, "errors_ratio")[0] == (0, 0.1)
    assert points(effects, "empty_ratio") == []


def test_a_metric_that_mixes_its_forms_stays_in_range() -> None:
    documents = [
        metric(MONDAY, "a", value=1e15),
        metric(MONDAY + 1, "a", numerator=0, denominator=1e-300),
        metric(MONDAY, "b", numerator=1, denominator=2),
        metric(MONDAY + 1, "b", value=-1e15),
    ]
    effects = closed(*(record(d, n, MONDAY, topic=METRICS) for n, d in enumerate(documents)))
    assert points(effects, "a")[0] == (0, 1e15)
    assert points(effects, "b")[0] == (0, 0.0)


def test_while_nothing_can_be_judged_the_channel_is_warming_up() -> None:
    effects = closed(record(ticket(MONDAY, 1), 0, MONDAY))
    assert {c.state for c in effects.channels} == {"warming_up"}
    assert {(c.service, c.channel) for c in effects.channels} == {(SERVICE, CHANNEL)}


def test_the_same_event_id_in_two_topics_is_two_events() -> None:
    effects = closed(
        record(ticket(MONDAY, 1, event_id="x"), 0, MONDAY),
        record(metric(MONDAY, "wait", value=1.0, event_id="x"), 0, MONDAY, topic=METRICS),
    )
    assert effects.duplicates == {}
