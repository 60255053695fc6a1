"""A whole service over days: quiet while all is well, one alert for each rupture placed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.facts import AlertFacts
from ruptura.core.contracts.record import Input
from ruptura.core.decide.lifecycle import NAMESPACE
from tests.simulation.contact_centre import (
    CHANNEL,
    DAY,
    HOUR,
    METRICS,
    MINUTE,
    MONDAY,
    SERVICE,
    TICKETS,
    Rate,
    contacts,
    day_shape,
    engine,
    lives,
    merged,
    metric,
    records,
    run,
    ticks,
)

BREAK = MONDAY + 3 * DAY + 10 * HOUR


def history(
    rate: Rate, most: float, days: float, seed: int, errors: Callable[[float], float] | None = None
) -> list[Input]:
    """Tickets at a rate and, if asked for, an error ratio each minute of 200 requests."""
    end = MONDAY + days * DAY
    tickets = records(lives(contacts(rate, most, MONDAY, end, seed), seed))
    chance = np.random.default_rng(seed)
    sources: list[list[Input]] = [
        [i for i in tickets if i.timestamp < end],
        list(ticks(MONDAY, end + 3 * MINUTE)),
        list(ticks(MONDAY, end + 3 * MINUTE, topic=METRICS)),
    ]
    if errors is not None:
        minutes = np.arange(MONDAY + 30, end, MINUTE)
        sources.append(
            list(
                records(
                    (
                        (
                            at,
                            metric(
                                at,
                                "errors_ratio",
                                numerator=int(chance.binomial(200, errors(at))),
                                denominator=200,
                            ),
                        )
                        for at in (float(m) for m in minutes)
                    ),
                    topic=METRICS,
                )
            )
        )
    return merged(*sources)


def replaced(normal: Rate, begin: float, end: float, other: Rate) -> Rate:
    return lambda at: other(at) if begin <= at < end else normal(at)


def only_incident(effects: Effects) -> list[AlertFacts]:
    """The documents of the one alert since the break, checked for what holds of every alert."""
    alerts = [a for a in effects.alerts if a.started_at.timestamp() >= BREAK - HOUR]
    assert alerts
    assert len({a.alert_id for a in alerts}) == 1, [
        (a.kind, a.reason, a.updated_at) for a in alerts
    ]
    assert [a.sequence for a in alerts] == list(range(len(alerts)))
    assert alerts[0].reason == "opened"
    for before, after in pairwise(alerts):
        assert before.updated_at < after.updated_at
        assert before.status != "resolved"
    return alerts


class TestQuiet:
    @pytest.mark.parametrize("seed", [0])
    def test_ten_normal_days_raise_no_alert(self, seed: int) -> None:
        inputs = history(day_shape(60.0), 110.0, 10, seed, errors=lambda _: 0.01)
        effects = run(engine(), inputs)
        assert effects.buckets > 10 * 1400
        assert [(a.kind, a.updated_at, a.signals[0].series) for a in effects.alerts] == []

    def test_a_single_freak_bucket_does_not_page(self) -> None:
        normal = day_shape(60.0)
        freak = replaced(normal, BREAK, BREAK + MINUTE, lambda _: 2400.0)
        effects = run(engine(), history(freak, 2400.0, 3.6, 3))
        opened = [p for p in effects.points if p.series == "tickets.opened"]
        assert max(p.observed or 0.0 for p in opened) > 20
        assert min(p.score or 1.0 for p in opened) < 1e-6
        assert [a for a in effects.alerts if a.updated_at.timestamp() > BREAK] == []


@pytest.fixture(scope="module")
def effects() -> Effects:
    normal = day_shape(60.0)
    surge = replaced(normal, BREAK, BREAK + 2 * HOUR, lambda at: 5.0 * normal(at))
    return run(engine(), history(surge, 600.0, 4, 4))


class TestSurge:
    def test_it_is_one_alert_that_opens_soon_escalates_and_resolves(self, effects: Effects) -> None:
        alerts = only_incident(effects)
        assert {a.kind for a in alerts} == {"surge"}
        assert alerts[0].updated_at.timestamp() - BREAK <= 10 * MINUTE
        assert {"warning", "critical"} & {alerts[0].status}
        assert "critical" in {a.status for a in alerts}
        assert (alerts[-1].status, alerts[-1].reason) == ("resolved", "recovered")
        assert alerts[-1].ended_at == alerts[-1].updated_at
        assert alerts[-1].updated_at.timestamp() >= BREAK + 2 * HOUR

    def test_it_started_when_its_causes_say_that_it_began(self, effects: Effects) -> None:
        first = only_incident(effects)[0]
        named = {cause.code for cause in first.causes}
        since = [s.since for s in first.signals if f"{first.kind}:{s.series}" in named]
        assert first.started_at == min(since)
        assert abs(first.started_at.timestamp() - BREAK) <= 10 * MINUTE
        assert first.started_at.timestamp() % MINUTE == 0.0
        assert {alert.started_at for alert in only_incident(effects)} == {first.started_at}

    def test_its_id_is_the_uuid_of_service_channel_and_the_bucket_that_crossed_the_threshold(
        self, effects: Effects
    ) -> None:
        first = only_incident(effects)[0]
        over = [c.end for c in effects.channels if c.end > BREAK - HOUR and c.risk >= 0.5]
        onset = datetime.fromtimestamp(over[0] - MINUTE, UTC)
        name = "\x1f".join((SERVICE, CHANNEL, onset.isoformat()))
        assert first.alert_id == str(uuid.uuid5(NAMESPACE, name))

    def test_its_causes_add_up_to_its_risk(self, effects: Effects) -> None:
        for alert in only_incident(effects):
            if alert.status == "resolved":
                continue
            logit = sum(cause.contribution for cause in alert.causes)
            assert alert.risk == pytest.approx(1.0 / (1.0 + np.exp(-logit)))
            assert alert.causes[0].code == "prior"


class TestFailure:
    def test_errors_are_one_failure_that_resolves(self) -> None:
        inputs = history(
            day_shape(60.0),
            110.0,
            3.8,
            5,
            errors=lambda at: 0.2 if BREAK <= at < BREAK + HOUR else 0.01,
        )
        alerts = only_incident(run(engine(), inputs))
        assert {a.kind for a in alerts} == {"failure"}
        assert alerts[0].updated_at.timestamp() - BREAK <= 5 * MINUTE
        assert alerts[-1].reason == "recovered"
        assert BREAK + HOUR <= alerts[-1].updated_at.timestamp() <= BREAK + 6 * HOUR


class TestSilence:
    def test_it_is_one_alert_that_only_new_contacts_resolve(self) -> None:
        normal = day_shape(60.0)
        silent = replaced(normal, BREAK, BREAK + 2 * HOUR, lambda _: 0.0)
        alerts = only_incident(run(engine(), history(silent, 110.0, 4, 6)))
        assert alerts[0].kind == "silence"
        assert alerts[0].updated_at.timestamp() - BREAK <= 20 * MINUTE
        assert alerts[-1].reason == "recovered"
        assert alerts[-1].updated_at.timestamp() >= BREAK + 2 * HOUR + 15 * MINUTE

    def test_metrics_that_stop_are_a_silence_and_never_a_recovery(self) -> None:
        inputs = history(day_shape(60.0), 110.0, 4, 7, errors=lambda _: 0.01)
        kept = [
            i
            for i in inputs
            if getattr(i, "timestamp", 0.0) < BREAK or getattr(i, "topic", "") == TICKETS
        ]
        alerts = only_incident(run(engine(), [*kept, *_ticks_of_metrics()]))
        assert alerts[0].kind == "silence"
        assert alerts[0].signals[0].series == "errors_ratio"
        assert alerts[0].signals[0].observed is None
        assert alerts[-1].status != "resolved"

    def test_failing_metrics_that_then_stop_are_not_taken_for_health(self) -> None:
        inputs = history(
            day_shape(60.0), 110.0, 4, 8, errors=lambda at: 0.3 if at >= BREAK else 0.01
        )
        kept = [
            i for i in inputs if i.topic == TICKETS or getattr(i, "timestamp", 0.0) < BREAK + HOUR
        ]
        alerts = only_incident(run(engine(), [*kept, *_ticks_of_metrics()]))
        assert alerts[0].kind == "failure"
        assert all(a.status != "resolved" for a in alerts)


class TestNewLevel:
    def test_a_permanent_change_becomes_normal_within_days(self) -> None:
        normal = day_shape(60.0)
        changed = replaced(normal, BREAK, np.inf, lambda at: 2.5 * normal(at))
        alerts = run(engine(), history(changed, 300.0, 9, 9)).alerts
        assert alerts[0].kind == "surge"
        assert len({a.alert_id for a in alerts}) <= 2
        assert alerts[-1].reason == "recovered"
        assert alerts[-1].updated_at.timestamp() - BREAK <= 5 * DAY


def _ticks_of_metrics() -> list[Any]:
    return [*ticks(MONDAY + 4 * DAY, MONDAY + 4 * DAY + 3 * MINUTE, topic=METRICS)]
