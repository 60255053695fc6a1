"""Contacts live as their channel says: bot, queue, agent, another try."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ruptura.core.contracts.event import TicketEvent
from ruptura.core.ingest.decode import decode_ticket
from ruptura.simulator import Scenario, simulate
from tests.simulator.theory import batch_error, erlang_a

Make = Callable[..., Scenario]

STEADY = """
shape = "flat"
busyness = 0
agents = {agents}
handle_seconds = 300
handle_distribution = "exponential"
patience_seconds = 120
platform = {{ errors_ratio = 0 }}
reopened_ratio = 0
frequent_ratio = 0
customers = 10_000_000
"""
PUNCTUAL = "[delivery]\nlate_ratio = 0\nduplicate_ratio = 0\n"


def events(scenario: Scenario, seed: int = 1) -> list[TicketEvent]:
    """All events of tickets in order of time."""
    records = simulate(scenario, seed).records
    found = [decode_ticket(r) for r in records if r.topic == "ruptura.tickets"]
    return sorted(
        (event for event in found if isinstance(event, TicketEvent)), key=lambda e: e.occurred_at
    )


def near(found: float, share: float, of: float) -> bool:
    """Four standard errors of a share: once in 16,000 by chance."""
    return bool(abs(found / of - share) < 4.0 * (share * (1.0 - share) / of) ** 0.5)


def test_a_steady_channel_has_the_waits_and_abandonment_of_erlang_a(scenario: Make):
    lines = STEADY.format(agents=5) + "retry_ratio = 0"

    ended = [
        (event.type == "abandoned", event.wait_seconds)
        for event in events(scenario(lines, PUNCTUAL))
        if event.wait_seconds is not None
    ]

    lost, wait, _ = erlang_a(60 / 3600, 300, 120, 5)
    losses = np.array([gone for gone, _ in ended], np.float64)
    waits = np.array([seconds for _, seconds in ended])
    assert abs(losses.mean() - lost) < 4.0 * batch_error(losses)
    assert abs(waits.mean() - wait) < 4.0 * batch_error(waits)


def test_a_bot_ends_its_share_of_sessions_and_hands_over_the_rest(scenario: Make):
    found = events(scenario("bot = { containment_ratio = 0.7 }", PUNCTUAL))
    by_bot = [event.type for event in found if event.handled_by == "bot"]
    by_people = {e.ticket_id for e in found if e.type == "resolved" and e.handled_by == "human"}
    handed = {e.ticket_id for e in found if e.type == "transferred" and e.handled_by == "bot"}

    assert near(by_bot.count("resolved"), 0.7, len(by_bot))
    assert set(by_bot) == {"resolved", "transferred"}
    assert by_people <= handed


def test_half_of_the_retry_ratio_of_those_who_give_up_try_again_at_most_three_times(scenario: Make):
    found = events(scenario(STEADY.format(agents=1) + "retry_ratio = 1", PUNCTUAL))
    lives: dict[str | None, list[str]] = {}
    for event in found:
        if event.type in {"opened", "abandoned"}:
            lives.setdefault(event.customer_id, []).append(event.type)

    tries = [life.count("opened") for life in lives.values()]
    gave_up = again = 0
    for life in lives.values():
        # Whoever gave up for the fourth time does not come back.
        gave_up += min(life.count("abandoned"), 3)
        again += life.count("opened") - 1

    assert max(tries) == 4
    assert gave_up > 1_000
    assert near(again, 0.5, gave_up)


def test_a_few_customers_come_again_and_again(scenario: Make):
    found = events(scenario("frequent_ratio = 0.2\ncustomers = 1_000_000", PUNCTUAL))
    opened = [event.customer_id for event in found if event.type == "opened"]
    counts = {customer: opened.count(customer) for customer in set(opened)}
    frequent = sum(count for count in counts.values() if count > 5)

    assert near(frequent, 0.2, len(opened))
