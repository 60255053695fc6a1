"""Ratios and means have no value in a minute without contacts; that is no silence."""

from __future__ import annotations

from random import Random
from typing import Any

from ruptura.core.contracts.facts import AlertFacts
from tests.simulation.contact_centre import (
    DAY,
    HOUR,
    METRICS,
    MINUTE,
    MONDAY,
    engine,
    merged,
    metric,
    records,
    run,
    ticks,
)

END = MONDAY + 2.5 * DAY
SETTINGS: dict[str, Any] = {"detection": {"warm_up_seconds": 86_400}}


def alerts(*, feed_ends: float = END) -> list[AlertFacts]:
    """A queue that is measured each minute, and its waits while there are contacts: by day."""
    chance = Random(4)
    documents: list[tuple[float, dict[str, Any]]] = []
    for n in range(int((END - MONDAY) / MINUTE)):
        at = MONDAY + n * MINUTE + 20.0
        if at >= feed_ends:
            break
        by_day = 7 * HOUR <= at % DAY < 22 * HOUR
        documents.append((at, metric(at, "queue_contacts", value=chance.randint(2, 6) * by_day)))
        if by_day:
            wait = chance.lognormvariate(3.0, 0.3)
            documents.append((at, metric(at, "answer_seconds", value=wait)))
            answered = {"numerator": chance.randint(7, 10), "denominator": 10}
            documents.append((at, metric(at, "service_level_ratio", **answered)))
    inputs = merged(
        records(documents, topic=METRICS),
        ticks(MONDAY, END + 5 * MINUTE, 60.0),
        ticks(MONDAY, END + 5 * MINUTE, 60.0, topic=METRICS),
    )
    return run(engine(**SETTINGS), inputs).alerts


def test_a_night_without_contacts_is_quiet() -> None:
    assert [(a.kind, a.updated_at, a.causes) for a in alerts()] == []


def test_a_feed_that_ends_altogether_is_a_silence() -> None:
    ended = MONDAY + 2 * DAY + 10 * HOUR
    first = alerts(feed_ends=ended)[0]
    assert first.kind == "silence"
    assert ended <= first.updated_at.timestamp() <= ended + 15 * MINUTE
