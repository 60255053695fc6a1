"""Buckets: what ticket events and measurements add up to."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.event import TicketEvent
from ruptura.core.ingest.buckets import (
    Backlog,
    MetricSum,
    add_ticket,
    new_ticket_bucket,
    ticket_totals,
)
from ruptura.core.ingest.event_ids import identity
from ruptura.core.series.extraction import extract

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def event(kind: Any, number: int = 1, **fields: Any) -> TicketEvent:
    return TicketEvent(f"{kind}-{number}", f"T-{number}", kind, NOON, "s", "c", **fields)


def values(*events: TicketEvent, backlog: Backlog | None = None) -> dict[str, Any]:
    bucket, held = new_ticket_bucket(), backlog or Backlog({})
    for at, one in enumerate(events):
        add_ticket(bucket, one, float(at))
    held.settle(bucket, 1000)
    found = extract(series_registry().tickets, ticket_totals(bucket, held))
    return {series: (value, size) for series, value, size in found}


def test_each_type_goes_to_its_series() -> None:
    found = values(
        event("opened"),
        event("transferred"),
        event("escalated"),
        event("reopened"),
        event("abandoned"),
        event("resolved"),
        event("closed"),
        event("updated"),
    )
    assert found["tickets.opened"] == (1, 1.0)
    assert found["tickets.handed_over"] == (2, 1.0)
    assert found["tickets.reopened"] == (1, 1.0)
    assert found["tickets.abandoned"] == (1, 1.0)
    assert found["tickets.resolved"] == (1, 1.0)


def test_exceptions_count_tickets_and_customers_count_people() -> None:
    found = values(
        event("opened", 1, exception="product", customer_id="a"),
        event("updated", 1, exception="product"),
        event("opened", 2, exception="product", customer_id="a"),
        event("opened", 3, exception="policy", customer_id="b"),
    )
    assert found["tickets.exceptions_product"][0] == 2
    assert found["tickets.exceptions_policy"][0] == 1
    assert found["tickets.exceptions_service"][0] == 0
    assert found["tickets.customers"][0] == 2


def test_means_need_samples() -> None:
    assert "tickets.wait_seconds" not in values(event("opened"))
    found = values(event("opened", wait_seconds=10.0), event("rated", rating=2, wait_seconds=30.0))
    assert found["tickets.wait_seconds"] == (20.0, 1.0)
    assert found["tickets.rating"] == (2.0, 1.0)


def test_a_resolution_takes_the_time_it_states_or_else_that_since_the_opening() -> None:
    assert values(event("resolved", resolution_seconds=90.0))["tickets.resolution_seconds"][0] == 90
    assert values(event("opened"), event("resolved"))["tickets.resolution_seconds"][0] == 1.0
    assert "tickets.resolution_seconds" not in values(event("resolved"))


def test_the_bot_s_ratio_is_handed_over_of_all_it_had() -> None:
    found = values(
        event("transferred", 1, handled_by="bot"),
        event("resolved", 2, handled_by="bot"),
        event("closed", 3, handled_by="bot"),
        event("abandoned", 4, handled_by="bot"),
        event("transferred", 5, handled_by="human"),
    )
    assert found["tickets.bot_handoff_ratio"] == (1, 4)


def test_without_endings_there_is_no_backlog_to_speak_of() -> None:
    assert "tickets.backlog" not in values(event("opened"))
    assert values(event("opened", 1), event("closed", 2))["tickets.backlog"][0] == 1


moves = st.lists(
    st.tuples(
        st.sampled_from(["opened", "reopened", "resolved", "closed", "abandoned"]),
        st.integers(0, 6),
    )
)


@given(moves, st.randoms(use_true_random=False))
def test_the_backlog_does_not_depend_on_the_order_of_arrival(
    held: list[tuple[str, int]], chance: Random
) -> None:
    events = [(float(at), event(kind, number)) for at, (kind, number) in enumerate(held)]
    shuffled = list(events)
    chance.shuffle(shuffled)
    backlogs = []
    for order in (events, shuffled):
        bucket, backlog = new_ticket_bucket(), Backlog({})
        for at, one in order:
            add_ticket(bucket, one, at)
        backlog.settle(bucket, 1000)
        backlogs.append(backlog)
    assert backlogs[0] == backlogs[1]
    standing: set[str] = set()
    for _, one in events:
        (standing.add if one.type in {"opened", "reopened"} else standing.discard)(one.ticket_id)
    assert set(backlogs[0].entered) == {identity(name) for name in standing}


def test_the_oldest_are_forgotten_first() -> None:
    bucket, backlog = new_ticket_bucket(), Backlog({})
    for number in range(10):
        add_ticket(bucket, event("opened", number), 100.0 - number)
    assert backlog.settle(bucket, 3) == 7
    assert set(backlog.entered.values()) == {98.0, 99.0, 100.0}


decimals = st.integers(-(10**12), 10**12).map(lambda thousandths: thousandths / 1000)


@given(st.lists(decimals.map(abs), max_size=30), st.randoms(use_true_random=False))
def test_means_are_the_same_in_whatever_order_tickets_come(amounts: list[float], chance) -> None:
    def means(order: list[float]) -> dict[str, Any]:
        return values(
            *(event("updated", n, wait_seconds=a, handle_seconds=a) for n, a in enumerate(order))
        )

    mixed = list(amounts)
    chance.shuffle(mixed)
    assert means(mixed) == means(amounts)


@given(st.lists(decimals, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_sums_are_the_same_in_whatever_order_measurements_come(
    amounts: list[float], chance
) -> None:
    def total(order: list[float]) -> float:
        found = MetricSum(0, 0.0, 0.0)
        for amount in order:
            found.add(amount)
        return found.total + found.rest

    mixed = list(amounts)
    chance.shuffle(mixed)
    assert total(mixed) == total(amounts)


def test_moves_of_one_moment_are_applied_by_ticket_and_those_of_a_ticket_as_they_came() -> None:
    moves = [(5.0, 0, 1, -1.0), (5.0, 0, 2, -1.0), (5.0, 5, 1, -1.0), (5.0, 4, 1, -1.0)]
    for order in (moves, [moves[1], moves[0], *moves[2:]], [moves[0], *moves[2:], moves[1]]):
        bucket, backlog = new_ticket_bucket(), Backlog({})
        bucket.moves.extend(order)
        backlog.settle(bucket, 1000)
        assert list(backlog.entered) == [1, 2]
