"""Several channels of one service: what belongs together is one incident, and only that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ruptura.core.contracts.facts import AlertFacts
from ruptura.core.contracts.record import Input
from ruptura.outputs.texts.causes import sentence
from tests.simulation.contact_centre import (
    HOUR,
    METRICS,
    MINUTE,
    MONDAY,
    Rate,
    contacts,
    engine,
    lives,
    merged,
    metric,
    moment,
    records,
    run,
    ticket,
    ticks,
)

BREAK = MONDAY + 58 * HOUR
END = BREAK + 3 * HOUR
SETTINGS: dict[str, Any] = {"detection": {"warm_up_seconds": 86_400}}
PER_HOUR = 40.0


def steady(times: float = 1.0, begin: float = BREAK, end: float = END) -> Rate:
    """A rate that is multiplied for a while."""
    return lambda at: PER_HOUR * (times if begin <= at < end else 1.0)


def ratio(
    channel: str, name: str, normal: float, broken: float, begin: float = BREAK, end: float = END
) -> list[tuple[float, dict[str, Any]]]:
    """A ratio of 200 each minute that is higher for a while."""
    chance = np.random.default_rng(5)
    return [
        (
            at,
            metric(
                at,
                name,
                channel=channel,
                numerator=int(chance.binomial(200, broken if begin <= at < end else normal)),
                denominator=200,
            ),
        )
        for at in np.arange(MONDAY + 30, END, MINUTE).tolist()
    ]


def inputs_of(
    rates: Mapping[str, Rate], ratios: list[tuple[float, dict[str, Any]]] | None = None
) -> list[Input]:
    """What a service sends whose channels get tickets at these rates."""
    documents: list[tuple[float, dict[str, Any]]] = []
    for n, (channel, rate) in enumerate(rates.items()):
        moments = contacts(rate, PER_HOUR * 8.0, MONDAY, END, 40 + n).tolist()
        documents += lives(moments, 40 + n, first=n * 1_000_000, channel=channel)
    sources: list[list[Input]] = [
        [one for one in records(documents) if one.timestamp < END],
        list(records(ratios or [], topic=METRICS)),
        list(ticks(MONDAY, END + 3 * MINUTE, 60.0)),
        list(ticks(MONDAY, END + 3 * MINUTE, 60.0, topic=METRICS)),
    ]
    return merged(*sources)


def played(
    rates: Mapping[str, Rate], ratios: list[tuple[float, dict[str, Any]]] | None = None
) -> list[AlertFacts]:
    """The alerts of such a service."""
    return run(engine(**SETTINGS), inputs_of(rates, ratios)).alerts


def first_of(alerts: list[AlertFacts]) -> dict[str, AlertFacts]:
    """The first document of each channel's only alert."""
    opened = [alert for alert in alerts if alert.reason == "opened"]
    assert len({alert.channel for alert in opened}) == len(opened), "a channel alerted twice"
    return {alert.channel: alert for alert in opened}


def incidents(alerts: list[AlertFacts]) -> int:
    return len({alert.incident_id for alert in alerts})


def roles(alerts: list[AlertFacts]) -> list[str]:
    return sorted(alert.labels["incident_role"] for alert in first_of(alerts).values())


MOVED = {"whatsapp": steady(0.0), "voice": steady(5.0), "webchat": steady(5.0)}
"""Customers of a channel that fell silent move to its two siblings."""


@lru_cache(maxsize=1)
def moved() -> list[AlertFacts]:
    return played(MOVED)


class TestSilenceWithSiblingsThatSurge:
    def test_it_is_one_incident_with_one_page(self) -> None:
        alerts = moved()
        assert set(first_of(alerts)) == {"whatsapp", "voice", "webchat"}
        assert first_of(alerts)["whatsapp"].kind == "silence"
        assert incidents(alerts) == 1
        assert roles(alerts) == ["joined", "joined", "primary"]

    def test_the_joined_say_to_which_alert_they_belong_and_why(self) -> None:
        alerts = first_of(moved())
        for channel, alert in alerts.items():
            linked = [cause for cause in alert.causes if cause.code.startswith("joined:")]
            if alert.labels["incident_role"] == "primary":
                assert linked == []
                continue
            (cause,) = linked
            other = alerts[cause.code.removeprefix("joined:")]
            assert other.updated_at <= alert.updated_at
            assert (cause.contribution, other.channel != channel) == (0.0, True)
            assert other.alert_id in sentence(cause.facts)

    def test_the_silence_is_told_sooner_than_with_calm_siblings(self) -> None:
        alone = played({"whatsapp": steady(0.0), "voice": steady(), "webchat": steady()})
        assert set(first_of(alone)) == {"whatsapp"}
        joint, single = first_of(moved())["whatsapp"], first_of(alone)["whatsapp"]
        assert joint.updated_at < single.updated_at
        assert any(cause.code.startswith("sibling:") for cause in joint.causes)

    def test_whatever_the_role_the_causes_add_up_and_labels_stay(self) -> None:
        labels: dict[str, dict[str, str]] = {}
        for alert in moved():
            if alert.status != "resolved":
                logit = sum(cause.contribution for cause in alert.causes)
                assert abs(alert.risk - 1.0 / (1.0 + np.exp(-logit))) < 1e-9
            kept = {name: text for name, text in alert.labels.items() if name != "severity"}
            assert labels.setdefault(alert.alert_id, kept) == kept


class TestCauseAndEffect:
    def test_a_bot_that_falls_back_and_the_queue_that_it_feeds(self) -> None:
        alerts = played(
            {"voice": steady(5.0, BREAK + 10 * MINUTE)},
            ratio("chatbot", "bot_fallback_ratio", 0.1, 0.4),
        )
        assert set(first_of(alerts)) == {"chatbot", "voice"}
        assert (incidents(alerts), roles(alerts)) == (1, ["joined", "primary"])
        assert first_of(alerts)["voice"].labels["incident_role"] == "joined"

    def test_a_platform_that_fails_and_the_tickets_that_follow(self) -> None:
        alerts = played(
            {"voice": steady(5.0, BREAK + 25 * MINUTE)},
            ratio("app", "errors_ratio", 0.01, 0.1),
        )
        told = first_of(alerts)
        assert (told["app"].kind, told["voice"].kind) == ("failure", "surge")
        assert incidents(alerts) == 1
        assert "the failure of app" in sentence(told["voice"].causes[-1].facts)

    def test_tickets_hours_after_a_platform_recovered_are_another_incident(self) -> None:
        alerts = played(
            {"voice": steady(5.0, BREAK + 2 * HOUR)},
            ratio("app", "errors_ratio", 0.01, 0.1, BREAK, BREAK + 20 * MINUTE),
        )
        assert set(first_of(alerts)) == {"app", "voice"}
        assert (incidents(alerts), roles(alerts)) == (2, ["primary", "primary"])


class TestCommonMovement:
    def test_all_channels_that_fall_silent_are_one_incident(self) -> None:
        alerts = played({name: steady(0.0) for name in ("email", "voice", "webchat")})
        assert len(first_of(alerts)) == 3
        assert incidents(alerts) == 1
        assert roles(alerts) == ["joined", "joined", "primary"]

    def test_two_surges_an_hour_and_a_half_apart_are_two_incidents(self) -> None:
        alerts = played({"voice": steady(5.0), "email": steady(5.0, BREAK + 1.5 * HOUR)})
        assert incidents(alerts) == 2


def rush(customers: Callable[[int], str]) -> list[AlertFacts]:
    """A channel where for half an hour eight times the usual contacts come, from these customers.

    Before and meanwhile every other contact is of a customer of its own.
    """
    moments = contacts(steady(), PER_HOUR, MONDAY, END, 7).tolist()
    documents = [(at, ticket(at, n, customer_id=f"c-{n}")) for n, at in enumerate(moments)]
    more = contacts(lambda _: 5.0 * PER_HOUR, 5.0 * PER_HOUR, BREAK, BREAK + 30 * MINUTE, 8)
    documents += [
        (at, ticket(at, 10_000 + n, customer_id=customers(n))) for n, at in enumerate(more.tolist())
    ]
    sources: list[list[Input]] = [
        list(records(documents)),
        list(ticks(MONDAY, END, 60.0)),
        list(ticks(MONDAY, END, 60.0, topic=METRICS)),
    ]
    return run(engine(**SETTINGS), merged(*sources)).alerts


class TestCustomers:
    def test_a_rush_of_distinct_customers_is_told_long_before_one_of_a_single_customer(
        self,
    ) -> None:
        many, one = rush(lambda n: f"new-{n}"), rush(lambda _: "the-same")
        assert first_of(many)["whatsapp"].status in ("warning", "critical")
        assert first_of(many)["whatsapp"].updated_at.timestamp() - BREAK <= 10 * MINUTE
        if one:
            late = first_of(one)["whatsapp"]
            assert late.updated_at > first_of(many)["whatsapp"].updated_at
            assert "few_customers" in [cause.code for cause in late.causes]
            assert late.risk < first_of(many)["whatsapp"].risk


class TestDelivery:
    def test_an_engine_restored_every_five_minutes_tells_the_same_incident(self) -> None:
        inputs = inputs_of(MOVED)
        subject, alerts, at = engine(**SETTINGS), list[AlertFacts](), 0
        for part in range(8):
            cut = BREAK + part * 5 * MINUTE
            until = next(n for n in range(at, len(inputs)) if moment(inputs[n]) >= cut)
            alerts += run(subject, inputs[at:until]).alerts
            at, former, subject = until, subject, engine(**SETTINGS)
            subject.load_clock(0, former.dump_clock(0))
            for service in former.services(0):
                subject.load(0, service, former.dump(0, service))
        alerts += run(subject, inputs[at:]).alerts
        assert [alert for alert in alerts if alert.labels["incident_role"] == "joined"]
        assert alerts == moved()
