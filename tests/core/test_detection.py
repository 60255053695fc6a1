"""What a channel makes of its records: what is too slight, too few or too old, and what is not.

Everything goes in as records and ticks and comes out as points, risks and alerts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import pytest

from ruptura.core.contracts.effects import Effects, SeriesPoint
from ruptura.core.contracts.record import Input, Tick
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
    record,
    records,
    run,
    ticket,
    ticks,
)

Measured = Callable[[float], dict[str, float] | None]
"""The fields of a metric at a moment; None: it is not measured."""

Event = tuple[float, dict[str, Any]]


def played(
    metrics: Mapping[str, Measured],
    end: float,
    tickets: Sequence[Event] = (),
    *,
    warm_up_seconds: float = 2 * HOUR,
    bucket: float = MINUTE,
) -> Effects:
    """A channel with these metrics, each measured once a bucket, and these events of tickets."""
    documents: list[Event] = []
    for n in range(int((end - MONDAY) // bucket)):
        at = MONDAY + bucket * n + bucket / 2.0
        for name, measured in metrics.items():
            fields = measured(at)
            if fields is not None:
                documents.append((at, metric(at, name, **fields)))
    clocks = [ticks(MONDAY, end + 2 * bucket, bucket, topic=topic) for topic in (TICKETS, METRICS)]
    subject = engine(
        detection={"warm_up_seconds": int(warm_up_seconds)},
        window={"lateness_seconds": 0.0, "bucket_seconds": int(bucket)},
    )
    return run(
        subject, merged(records(documents, topic=METRICS), records(tickets, topic=TICKETS), *clocks)
    )


def points(effects: Effects, series: str, begin: float, end: float) -> list[SeriesPoint]:
    found = [p for p in effects.points if p.series == series and begin <= p.start < end]
    assert found
    return found


def strangest(effects: Effects, series: str, begin: float, end: float) -> float:
    """The least tail probability of what had added up."""
    return min(p.evidence or 1.0 for p in points(effects, series, begin, end))


def risks(effects: Effects, begin: float, end: float) -> list[float]:
    found = [c.risk for c in effects.channels if begin < c.end <= end]
    assert found
    return found


def noisy(before: float, since: float, after: float, *, until: float = math.inf) -> Measured:
    """A level of its own noise that is another one for a while."""
    chance = Random(5)
    return lambda at: {
        "value": (after if since <= at < until else before) + chance.randrange(-2, 3)
    }


def evenly(begin: float, end: float, every: float, first: int = 0, **fields: Any) -> list[Event]:
    """Tickets that are opened one after the other."""
    return [
        (begin + every * n, ticket(begin + every * n, first + n, **fields))
        for n in range(int((end - begin) // every))
    ]


def test_a_slight_deviation_is_not_told_of_however_sure_it_is() -> None:
    """One in eight more errors are a quarter of what would matter by itself."""
    begin, end = MONDAY + 4 * HOUR, MONDAY + 6 * HOUR
    metrics: dict[str, Measured] = {
        "errors_ratio": lambda at: {
            "numerator": 1125.0 if at >= begin else 1000.0,
            "denominator": 100_000.0,
        },
        "queue_contacts": noisy(10.0, begin, 400.0),
    }
    effects = played(metrics, end)
    assert strangest(effects, "errors_ratio", begin + HOUR, end) < 1e-4
    told = {signal.series for alert in effects.alerts for signal in alert.signals}
    assert told == {"queue_contacts"}


def test_a_loss_of_three_in_four_matters_by_itself_as_a_rise_to_twice_does() -> None:
    """No loss is larger than all; held to the least rise that matters it would never be one."""
    begin, end = MONDAY + 4 * DAY, MONDAY + 4 * DAY + 4 * HOUR
    before = evenly(MONDAY, begin, 15.0)
    after = evenly(begin, end, 60.0, first=len(before))
    effects = played({}, end, before + after, bucket=300.0, warm_up_seconds=DAY)
    assert {(a.kind, a.signals[0].series) for a in effects.alerts} == {
        ("failure", "tickets.opened")
    }


@pytest.mark.parametrize(("every", "kinds"), [(600.0, set()), (20.0, {"surge"})])
def test_a_mean_speaks_only_where_it_is_one_of_many_contacts(every: float, kinds: set[str]) -> None:
    begin, end = MONDAY + 8 * HOUR, MONDAY + 10 * HOUR
    before = evenly(MONDAY, begin, every, wait_seconds=60.0)
    after = evenly(begin, end, every, first=len(before), wait_seconds=3000.0)
    effects = played({}, end, before + after)
    assert strangest(effects, "tickets.wait_seconds", begin, end) < 1e-4
    assert {alert.kind for alert in effects.alerts} == kinds


def test_what_a_series_said_last_stands_for_an_hour_while_it_is_not_measured() -> None:
    begin, last = MONDAY + 4 * HOUR, MONDAY + 4 * HOUR + 20 * MINUTE
    level = noisy(10.0, begin, 400.0)
    effects = played(
        {
            "queue_contacts": lambda at: level(at) if at < last else None,
            "errors_ratio": lambda _: {"numerator": 2.0, "denominator": 200.0},
        },
        MONDAY + 8 * HOUR,
    )
    stands = risks(effects, last, last + HOUR)
    assert min(stands) > 0.5
    assert max(risks(effects, last + HOUR + MINUTE, MONDAY + 8 * HOUR)) < 0.01
    assert effects.channels[-1].state == "warning"  # nothing has shown that it is well


def test_the_alert_of_a_channel_that_is_gone_ends_and_says_that_it_expired() -> None:
    begin, last = MONDAY + 4 * HOUR, MONDAY + 5 * HOUR
    documents = [
        (at, metric(at, "errors_ratio", numerator=60.0 if at >= begin else 2.0, denominator=200.0))
        for at in np.arange(MONDAY + 30.0, last, MINUTE).tolist()
    ]
    clocks = [ticks(MONDAY, last + 3 * HOUR, topic=topic) for topic in (TICKETS, METRICS)]
    subject = engine(detection={"warm_up_seconds": 7200}, window={"expire_seconds": 7200})
    effects = run(subject, merged(records(documents, topic=METRICS), *clocks))
    ended = effects.alerts[-1]
    assert effects.alerts[0].reason == "opened"
    assert (ended.status, ended.reason) == ("resolved", "expired")
    assert ended.alert_id == effects.alerts[0].alert_id
    assert ended.updated_at.timestamp() - last == pytest.approx(7200.0, abs=MINUTE)
    assert len(effects.gone) == 1


def test_silence_never_becomes_the_new_normal() -> None:
    """Any other level is normal after some days; a channel that is down stays due."""
    bucket, begin, end = 900.0, MONDAY + 4 * DAY, MONDAY + 9 * DAY
    opened = evenly(MONDAY, begin, 90.0)
    effects = played({}, end, opened, bucket=bucket, warm_up_seconds=DAY)
    expected = [p.expected or 0.0 for p in points(effects, "tickets.opened", begin, end)]
    assert expected[0] == pytest.approx(10.0, rel=0.2)
    assert expected[-1] > 5.0
    assert [(a.kind, a.status) for a in effects.alerts][-1][0] == "silence"
    assert effects.alerts[-1].status != "resolved"
    assert risks(effects, end - HOUR, end)[-1] > 0.9


def test_counts_that_always_vary_more_than_by_chance_are_no_evidence() -> None:
    """They are a third as sure as Poisson counts would be: mean 10, variance 30."""
    chance, end = np.random.default_rng(3), MONDAY + 30 * HOUR
    effects = played(
        {"requests": lambda _: {"value": float(chance.negative_binomial(5.0, 1 / 3))}},
        end,
        warm_up_seconds=DAY,
    )
    found = points(effects, "requests", MONDAY + DAY, end)
    assert len(found) == 360
    assert sum((p.evidence or 1.0) < 0.001 for p in found) <= 1
    assert effects.alerts == []


def test_a_bucket_that_is_looked_at_with_several_windows_pays_for_each_look() -> None:
    """The best of four looks at chance is four times as often as good as that."""
    begin = MONDAY + 3 * HOUR
    effects = played(
        {"requests": lambda at: {"value": 135.0 if at >= begin else 100.0}},
        begin + MINUTE,
    )
    (point,) = points(effects, "requests", begin, begin + MINUTE)
    assert point.score is not None
    assert point.evidence is not None
    # The score is of the bucket alone and of both sides; the evidence of one side, at four scales.
    assert point.evidence == pytest.approx(2.0 * point.score, rel=0.3)


def test_a_wild_bucket_counts_like_a_bad_one_and_what_comes_again_is_believed() -> None:
    """What is single is cut to what could be; as far out once more, it keeps more of it."""
    begin = MONDAY + 3 * HOUR

    def told(value: float) -> list[float]:
        effects = played(
            {"requests": lambda at: {"value": value if at >= begin else 100.0}},
            begin + 2 * MINUTE,
        )
        found = points(effects, "requests", begin, begin + 2 * MINUTE)
        return [point.evidence or 1.0 for point in found]

    bad, wild = told(330.0), told(1e6)
    assert wild[0] == bad[0] > 1e-100
    assert wild[1] < 1e-4 * bad[1]


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_a_surge_of_rare_contacts_is_not_over_because_some_minutes_of_it_are_slack(
    seed: int,
) -> None:
    """Counts of a surge vary more than those before it: three in half an hour may be chance."""
    chance, begin = np.random.default_rng(seed), MONDAY + 4 * DAY
    effects = played(
        {"requests": lambda at: {"value": float(chance.poisson(3.0 if at >= begin else 0.5))}},
        begin + 3 * HOUR,
        bucket=300.0,
        warm_up_seconds=DAY,
    )
    found = points(effects, "requests", begin + HOUR, begin + 3 * HOUR)
    assert min(p.observed or 0.0 for p in found) <= 1.0
    assert max(p.evidence or 1.0 for p in found) < 0.01


@pytest.mark.parametrize(
    ("ahead", "late"), [(89.999, {}), (90.0, {TICKETS: 1}), (120.0, {TICKETS: 1})]
)
@pytest.mark.parametrize("by_tick", [False, True])
def test_an_event_is_late_from_the_very_moment_at_which_its_bucket_may_close(
    ahead: float, late: dict[str, int], by_tick: bool
) -> None:
    """Thirty seconds are allowed; the moment itself, of an event or of the clock, is too late."""
    early, edge = MONDAY + 40.0, MONDAY + ahead
    inputs: list[Input] = [record(ticket(early, 1), 0, early)]
    inputs.append(Tick(TICKETS, 0, edge) if by_tick else record(ticket(edge, 2), 1, edge))
    inputs.append(record(ticket(MONDAY + 59.0, 3), 2, edge))
    assert run(engine(window={"lateness_seconds": 30.0}), inputs).late == late
