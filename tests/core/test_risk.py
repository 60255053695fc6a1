"""Risk: one probability, whose terms add up to its logit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.document import Kind
from ruptura.core.effects import SeriesPoint
from ruptura.core.risk import combine, evidence
from ruptura.core.signal import Signal

PRIOR = 1e-4


def signal(
    probability: float, kind: Kind = "surge", series: str = "a", weight: float = 1.0
) -> Signal:
    point = SeriesPoint("s", "c", series, 0.0, 5.0, 1.0, 0.0, 2.0, probability, probability)
    return Signal(series, kind, "above", probability, weight, 0.0, point)


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


kinds = st.sampled_from(["surge", "failure", "silence", "forecast"])
signals = st.lists(
    st.builds(
        signal,
        st.floats(1e-300, 1.0),
        kinds,
        st.sampled_from(["a", "b", "c"]),
        st.floats(0.01, 1.0),
    )
)


@given(signals, st.floats(1e-320, 1 - 1e-9))
def test_it_is_always_a_probability_and_its_causes_add_up(held: list[Signal], prior: float) -> None:
    risk = combine(held, prior)
    assert 0.0 <= risk.probability <= 1.0
    total = sum(cause.contribution for cause in risk.causes)
    assert risk.probability == pytest.approx(1.0 / (1.0 + math.exp(min(-total, 700.0))))


@given(signals)
def test_the_order_of_the_signals_does_not_matter(held: list[Signal]) -> None:
    turned = list(reversed(held))
    assert combine(held, PRIOR).probability == combine(turned, PRIOR).probability


@given(st.floats(1e-300, 1.0), st.floats(1e-300, 1.0))
def test_stranger_is_never_less_evidence(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert evidence(low) >= evidence(high) - 1e-12
