"""Planned windows that mute: nothing alerts inside them, nothing of them alerts after."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from ruptura.core.contracts.effects import Effects
from tests.simulation.contact_centre import (
    DAY,
    HOUR,
    METRICS,
    MINUTE,
    MONDAY,
    TICKETS,
    engine,
    merged,
    metric,
    records,
    rfc3339,
    run,
    ticks,
)

BEGIN, UNTIL = MONDAY + 4 * HOUR, MONDAY + 5 * HOUR

Share = Callable[[float], float | None]
"""The share of errors at a moment; None where nothing is measured."""


def played(
    errors: Share,
    waiting: Share = lambda _: None,
    *,
    end: float = UNTIL + HOUR,
    planned: tuple[float, float] | None = (BEGIN, UNTIL),
    warm_up_seconds: float = 2 * HOUR,
) -> Effects:
    """A channel whose errors, of 200 requests a minute, shall not be over one in ten."""
    chance = Random(11)
    documents: list[tuple[float, dict[str, Any]]] = []
    for minute in range(int((end - MONDAY) // MINUTE)):
        at = MONDAY + MINUTE * minute + 30.0
        share, queue = errors(at), waiting(at)
        if share is not None:
            failed = sum(chance.random() < share for _ in range(200))
            documents.append((at, metric(at, "errors_ratio", numerator=failed, denominator=200)))
        if queue is not None:
            documents.append(
                (at, metric(at, "queue_contacts", value=queue + chance.randrange(-2, 3)))
            )
    windows = [] if planned is None else [planned]
    service = {
        "planned": [{"from": rfc3339(one), "until": rfc3339(other)} for one, other in windows],
        "objectives": {"default": {"errors_ratio": 0.1}},
    }
    clocks = [ticks(MONDAY, end + 2 * MINUTE, topic=topic) for topic in (TICKETS, METRICS)]
    subject = engine(
        services={"default": service},
        detection={"warm_up_seconds": int(warm_up_seconds)},
        window={"lateness_seconds": 0.0},
    )
    return run(subject, merged(records(documents, topic=METRICS), *clocks))


def between(begin: float, end: float, during: float, otherwise: float = 0.01) -> Share:
    return lambda at: during if begin <= at < end else otherwise


def unmeasured(value: float, begin: float, end: float, before: float) -> Share:
    """A level that is another one for a quarter of an hour, and then not measured for a while."""

    def share(at: float) -> float | None:
        if begin <= at < end:
            return None
        return before if begin - 15 * MINUTE <= at < begin else value

    return share


def test_a_breach_that_is_forecast_is_no_alert_inside_a_planned_window() -> None:
    """A channel that can be judged in no other way yet is told of by its forecast alone."""
    broken = between(BEGIN, UNTIL, 0.4)
    loud = played(broken, planned=None, warm_up_seconds=DAY)
    assert {a.kind for a in loud.alerts} == {"forecast"}
    assert BEGIN < loud.alerts[0].updated_at.timestamp() < BEGIN + 10 * MINUTE
    assert played(broken, warm_up_seconds=DAY).alerts == []


def test_nothing_is_forecast_inside_a_planned_window() -> None:
    effects = played(between(BEGIN, UNTIL, 0.4))
    inside = {c.breach_probability for c in effects.channels if BEGIN < c.end <= UNTIL}
    outside = {c.breach_probability for c in effects.channels if c.end <= BEGIN}
    assert inside == {None}
    assert len(outside) > 10


def test_a_bucket_that_a_planned_window_only_touches_is_a_part_of_it() -> None:
    broken = between(BEGIN, UNTIL, 0.4)
    effects = played(broken, planned=(BEGIN + 45.0, UNTIL - 45.0), warm_up_seconds=DAY)
    assert {c.breach_probability for c in effects.channels if BEGIN < c.end <= UNTIL} == {None}
    assert effects.alerts == []


def test_what_went_on_inside_a_planned_window_is_no_breach_after_it() -> None:
    """An objective is meant over a window of its own, which would remember the maintenance."""
    effects = played(between(BEGIN, UNTIL, 0.4))
    after = [c.breach_probability for c in effects.channels if c.end > UNTIL]
    assert len(after) >= 60
    assert max(p or 0.0 for p in after) < 0.25
    assert effects.alerts == []


def test_what_a_series_said_before_a_planned_window_does_not_stand_inside_it_nor_after() -> None:
    queue = unmeasured(10.0, BEGIN, UNTIL + HOUR, before=400.0)
    effects = played(lambda _: 0.01, queue, planned=(BEGIN, BEGIN + 20 * MINUTE))
    before = [c.risk for c in effects.channels if BEGIN - MINUTE < c.end <= BEGIN]
    after = {c.risk for c in effects.channels if c.end > BEGIN}
    assert max(before) > 0.5
    assert max(after) < 0.01


def test_an_open_alert_says_nothing_inside_a_planned_window_and_goes_on_after_it() -> None:
    errors = between(BEGIN - 10 * MINUTE, UNTIL + 30 * MINUTE, 0.2)
    effects = played(errors, end=UNTIL + 2 * HOUR)
    told = [(a.reason, a.updated_at.timestamp()) for a in effects.alerts]
    assert told[0][0] == "opened"
    assert told[0][1] <= BEGIN
    assert [reason for reason, at in told if BEGIN < at <= UNTIL] == []
    assert told[-1][0] == "recovered"
    assert told[-1][1] > UNTIL + 30 * MINUTE
    assert len({a.alert_id for a in effects.alerts}) == 1
