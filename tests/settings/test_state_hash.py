"""What was learned under some settings serves under others: no change of a threshold re-warms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.contact_centre import (
    HOUR,
    METRICS,
    MONDAY,
    engine,
    merged,
    record,
    run,
    ticket,
    ticks,
)

WARM: dict[str, Any] = {"detection": {"warm_up_seconds": 3600}}
CHANGED: list[dict[str, Any]] = [
    {"detection": {"warm_up_seconds": 7200}},
    {
        "detection": {
            "warm_up_seconds": 3600,
            "minimum_relative_effect": 0.5,
            "minimum_count_effect": 2.0,
        }
    },
    {"window": {"lateness_seconds": 90.0, "idle_seconds": 60.0, "max_future_seconds": 60.0}},
    {"window": {"duplicate_seconds": 0.0}},
    {"window": {"expire_seconds": 7200, "max_metrics": 1, "max_open_tickets": 1}},
    {"services": {"default": {"country": "BR", "opening_hours": ["00:00-24:00"]}}},
    {"services": {"default": {"commemorative_dates": ["easter"], "holidays": ["2026-01-01"]}}},
]


@pytest.mark.parametrize("changed", CHANGED, ids=str)
def test_a_state_goes_on_under_changed_settings(changed: dict[str, Any]) -> None:
    history = [
        record(ticket(MONDAY + 20 * n, n), n, MONDAY + 20.0 * n) for n in range(int(4 * HOUR / 20))
    ]
    before = engine(**WARM)
    learned = run(before, merged(history, ticks(MONDAY, MONDAY + 4 * HOUR, topic=METRICS)))
    assert len([p for p in learned.points if p.series == "tickets.opened"]) > 200
    after = engine(**{**WARM, **changed})
    after.load_clock(0, before.dump_clock(0))
    for service in before.services(0):
        after.load(0, service, before.dump(0, service))

    span = MONDAY + 4 * HOUR, MONDAY + 4.5 * HOUR
    effects = run(after, merged(ticks(*span), ticks(*span, topic=METRICS)))

    judged = [point for point in effects.points if point.series == "tickets.opened"]
    assert judged
    assert all(point.score is not None for point in judged)
    assert judged[0].expected == pytest.approx(3.0, rel=0.1)
