"""Risk: one probability, whose terms add up to its logit."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.document import Kind
from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.contracts.facts import Lead, Repetition, Sibling, Term
from ruptura.core.decide import risk as decided
from ruptura.core.decide.risk import evidence
from ruptura.core.detect.signals import Signal
from ruptura.outputs.texts.causes import sentence

PRIOR = 1e-4
combine = partial(decided.combine, registry=series_registry())


def signal(
    probability: float,
    kind: Kind = "surge",
    series: str = "a",
    weight: float = 1.0,
    log_odds: float | None = None,
) -> Signal:
    return Signal(
        series,
        kind,
        "below" if kind == "silence" else "above",
        probability,
        weight,
        0.0,
        point(series, 5.0, 1.0),
        log_odds,
    )


def point(series: str, observed: float, expected: float | None) -> SeriesPoint:
    score = None if expected is None else 0.5
    return SeriesPoint("s", "c", series, 0.0, observed, expected, 0.0, 2.0, score, score)


def logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def test_without_signals_it_is_the_prior() -> None:
    risk = combine([], PRIOR)
    assert risk.probability == pytest.approx(PRIOR)
    assert risk.kind is None
    assert [cause.code for cause in risk.causes] == ["prior"]


def test_the_strongest_of_a_family_counts_and_families_add_up() -> None:
    one = combine([signal(1e-6)], PRIOR)
    same = combine([signal(1e-6), signal(1e-5, series="b")], PRIOR)
    more = combine([signal(1e-6), signal(1e-5, "failure", "b")], PRIOR)
    assert one.probability == same.probability < more.probability
    assert [cause.code for cause in more.causes] == ["prior", "surge:a", "failure:b"]
    assert (more.kind, len(same.signals)) == ("surge", 2)


def test_a_tail_probability_over_a_third_is_no_evidence() -> None:
    assert evidence(1.0) == evidence(1 / math.e) == 0.0
    assert evidence(0.05) == pytest.approx(math.log(2.456), abs=1e-3)  # Sellke et al., table 1


class TestCorrelation:
    """What rises and falls together is not counted twice."""

    def test_fewer_contacts_leave_fewer_to_resolve_which_is_no_further_evidence(self) -> None:
        silent = signal(1e-6, "silence", "tickets.opened")
        fewer = msgspec.structs.replace(
            signal(1e-6, "failure", "tickets.resolved"), direction="below"
        )
        assert combine([silent, fewer], PRIOR).probability == combine([silent], PRIOR).probability
        assert combine([fewer], PRIOR).probability > PRIOR

    def test_more_contacts_are_handed_over_more_often_which_is_no_further_evidence(self) -> None:
        surge = signal(1e-6, "surge", "tickets.opened")
        moved = signal(1e-5, "failure", "tickets.handed_over")
        both = combine([surge, moved], PRIOR)
        assert both.probability == combine([surge], PRIOR).probability
        assert len(both.signals) == 2

    def test_errors_beside_a_surge_are_further_evidence(self) -> None:
        surge = signal(1e-6, "surge", "tickets.opened")
        errors = signal(1e-5, "failure", "errors_ratio")
        assert combine([surge, errors], PRIOR).probability > combine([surge], PRIOR).probability


class TestCustomers:
    """A surge of distinct customers weighs more than one customer who repeats."""

    OPENED = signal(1e-9, "surge", "tickets.opened")
    FEW = point("tickets.customers", 1.0, 1.0)

    def test_contacts_without_more_customers_are_damped_and_it_says_so(self) -> None:
        plain = combine([self.OPENED], PRIOR)
        damped = combine([self.OPENED], PRIOR, points=[self.FEW])
        assert damped.probability < 0.1
        assert plain.probability > 0.95
        assert damped.causes[-1].code == "few_customers"
        assert damped.causes[-1].contribution < 0.0
        assert damped.causes[-1].facts == Repetition(customers=1.0, expected=1.0, contacts=5.0)

    def test_a_surge_of_distinct_customers_is_not(self) -> None:
        customers = signal(1e-9, "surge", "tickets.customers")
        risk = combine([self.OPENED, customers], PRIOR, points=[self.FEW])
        assert "few_customers" not in [cause.code for cause in risk.causes]
        assert risk.probability == combine([self.OPENED], PRIOR).probability

    def test_the_more_customers_speak_the_less_it_is_damped(self) -> None:
        grades = [
            combine(
                [self.OPENED, signal(p, "surge", "tickets.customers")], PRIOR, points=[self.FEW]
            )
            for p in (1e-3, 1e-5, 1e-7, 1e-9)
        ]
        risks = [risk.probability for risk in grades]
        assert risks == sorted(risks)
        assert len(set(risks)) == 4

    def test_what_else_speaks_for_a_surge_loses_nothing(self) -> None:
        waits = signal(1e-8, "surge", "tickets.wait_seconds")
        damped = combine([self.OPENED, waits], PRIOR, points=[self.FEW])
        assert logit(damped.probability) == pytest.approx(
            logit(combine([waits], PRIOR).probability)
        )

    @pytest.mark.parametrize(
        "unnamed",
        [
            [],  # no ticket ever had a customer_id
            [point("tickets.customers", 1.0, 0.2)],  # few have one
            [point("tickets.customers", 1.0, None)],  # warming up
        ],
    )
    def test_where_customers_are_not_named_nothing_is_damped(self, unnamed: list[Any]) -> None:
        risk = combine([self.OPENED], PRIOR, points=unnamed)
        assert risk == combine([self.OPENED], PRIOR)


def test_the_exception_is_that_of_the_strongest_signal_of_exceptions() -> None:
    product = signal(1e-5, "surge", "tickets.exceptions_product")
    policy = signal(1e-7, "failure", "tickets.exceptions_policy")
    contacts = signal(1e-9, "surge", "tickets.opened")
    assert combine([product, contacts], PRIOR).exception == "product"
    assert combine([product, policy, contacts], PRIOR).exception == "policy"
    assert combine([contacts], PRIOR).exception is None


class TestForecast:
    """A forecast is a probability by itself: the larger one stands."""

    def test_alone_it_is_the_risk(self) -> None:
        risk = combine([signal(0.4, "forecast", "forecast.answer", log_odds=logit(0.6))], PRIOR)
        assert risk.probability == pytest.approx(0.6)
        assert risk.kind == "forecast"
        assert [cause.code for cause in risk.causes] == ["prior", "forecast:forecast.answer"]

    def test_it_adds_nothing_to_evidence_that_says_more(self) -> None:
        ahead = signal(0.4, "forecast", "forecast.answer", log_odds=logit(0.6))
        strong = signal(1e-9, "surge", "tickets.opened")
        risk = combine([strong, ahead], PRIOR)
        assert risk.probability == combine([strong], PRIOR).probability
        assert {s.kind for s in risk.signals} == {"surge", "forecast"}

    def test_it_adds_what_weaker_evidence_lacks(self) -> None:
        ahead = signal(0.4, "forecast", "forecast.answer", log_odds=logit(0.6))
        risk = combine([signal(1e-3, "surge", "tickets.opened"), ahead], PRIOR)
        assert risk.probability == pytest.approx(0.6)
        assert [cause.code for cause in risk.causes][1:] == [
            "surge:tickets.opened",
            "forecast:forecast.answer",
        ]

    def test_one_that_is_unlikely_lowers_nothing(self) -> None:
        ahead = signal(0.9, "forecast", "forecast.answer", log_odds=logit(1e-6))
        assert combine([ahead], PRIOR).probability == pytest.approx(PRIOR)


VOICE_SURGES = Sibling("tickets.opened", "voice", "above", 0.0, Lead("loss", "app", "voice"))


def test_siblings_add_their_term_to_a_channel_that_says_something_only() -> None:
    sibling = Term("sibling:voice:tickets.opened", 3.0, VOICE_SURGES)
    own = signal(1e-4, "silence", "tickets.opened")
    alone, joint = combine([own], PRIOR), combine([own], PRIOR, siblings=[sibling])
    assert logit(joint.probability) == pytest.approx(logit(alone.probability) + 3.0)
    assert joint.causes[-1] == sibling
    assert combine([], PRIOR, siblings=[sibling]).probability == pytest.approx(PRIOR)


kinds = st.sampled_from(["surge", "failure", "silence", "forecast"])
series = st.sampled_from(["a", "b", "tickets.opened", "tickets.customers", "tickets.resolved"])
signals = st.lists(
    st.builds(
        signal,
        st.floats(1e-300, 1.0),
        kinds,
        series,
        st.floats(0.01, 1.0),
        st.none() | st.floats(-20.0, 3.0),
    )
)
points = st.lists(
    st.builds(point, series, st.floats(0, 9), st.none() | st.floats(0, 9)), max_size=3
)
siblings = st.lists(
    st.builds(Term, st.just("sibling:x:y"), st.floats(0, 5), st.just(VOICE_SURGES)), max_size=1
)


@given(signals, st.floats(1e-320, 1 - 1e-9), points, siblings)
def test_it_is_always_a_probability_and_its_causes_add_up(
    held: list[Signal], prior: float, seen: list[SeriesPoint], told: list[Term]
) -> None:
    risk = combine(held, prior, points=seen, siblings=told)
    assert 0.0 <= risk.probability <= 1.0
    total = sum(cause.contribution for cause in risk.causes)
    assert risk.probability == pytest.approx(1.0 / (1.0 + math.exp(min(-total, 700.0))))
    assert all(sentence(cause.facts) for cause in risk.causes)


@given(signals)
def test_the_order_of_the_signals_does_not_matter(held: list[Signal]) -> None:
    turned = list(reversed(held))
    assert combine(held, PRIOR).probability == combine(turned, PRIOR).probability


@given(st.floats(1e-300, 1.0), st.floats(1e-300, 1.0))
def test_stranger_is_never_less_evidence(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert evidence(low) >= evidence(high) - 1e-12
