"""What is material: one large deviation, or several slight ones of different things."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.document import Direction, Kind
from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.decide.materiality import contacts_rise, material
from ruptura.core.detect.signals import Signal

REGISTRY = series_registry()
MINUTES = 60.0
NOW = 100 * MINUTES


def signal(
    series: str,
    share: float,
    kind: Kind = "surge",
    direction: Direction = "above",
    lasting: float = 30 * MINUTES,
) -> Signal:
    point = SeriesPoint("s", "c", series, NOW, 5.0, 1.0, 0.0, 2.0, 0.5, 0.5)
    return Signal(series, kind, direction, 1e-8, 1.0, NOW - lasting, point, share=share)


def contacts(share: float, direction: Direction = "above") -> Signal:
    kind: Kind = "surge" if direction == "above" else "failure"
    return signal("tickets.opened", share, kind, direction)


def wait(share: float, lasting: float = 30 * MINUTES) -> Signal:
    return signal("tickets.wait_seconds", share, lasting=lasting)


def errors(share: float) -> Signal:
    return signal("errors_ratio", share, "failure")


def forecast(probability: float) -> Signal:
    return signal("forecast.answer", probability, "forecast", lasting=0.0)


def is_material(*signals: Signal, is_queue_seen: bool = True, elsewhere: float = 0.0) -> bool:
    found = material(signals, REGISTRY, is_queue_seen=is_queue_seen, elsewhere=elsewhere)
    assert found in ([], list(signals))
    return bool(found)


def test_what_is_large_is_material_by_itself_and_what_is_slight_is_not() -> None:
    assert is_material(errors(1.0))
    assert not is_material(errors(0.99))
    assert not is_material()


def test_slight_deviations_of_different_things_add_up() -> None:
    assert is_material(errors(0.6), wait(0.4))
    assert not is_material(errors(0.6), wait(0.3))


def test_what_tells_of_the_same_thing_does_not_add_up() -> None:
    assert not is_material(wait(0.7), signal("queue_contacts", 0.7))
    assert not is_material(wait(0.7), signal("service_level_ratio", 0.7, "failure", "below"))
    assert not is_material(errors(0.7), signal("request_seconds", 0.7, "failure"))


def test_a_queue_that_has_just_formed_counts_for_as_long_as_it_has_lasted() -> None:
    assert not is_material(wait(3.0, lasting=9 * MINUTES))
    assert is_material(wait(3.0, lasting=10 * MINUTES))
    assert is_material(wait(3.0, lasting=6 * MINUTES), errors(0.4))


def test_a_forecast_alone_or_with_the_queue_it_saw_is_no_rupture_but_with_a_change_it_is() -> None:
    assert not is_material(forecast(1.0))
    assert not is_material(forecast(1.0), wait(0.9))
    assert is_material(forecast(0.6), contacts(0.4))
    assert not is_material(forecast(0.5), contacts(0.4))


def test_before_anything_can_be_judged_a_forecast_stands_alone() -> None:
    told = [forecast(0.5)]
    assert material(told, REGISTRY, is_warm=False, is_queue_seen=False) == told


def test_more_contacts_that_are_all_served_are_no_rupture_before_they_are_a_flood() -> None:
    assert not is_material(contacts(1.9))
    assert is_material(contacts(2.0))
    assert is_material(contacts(1.9), wait(0.3))


def test_where_nobody_tells_how_contacts_wait_more_of_them_are_enough() -> None:
    assert is_material(contacts(1.0), is_queue_seen=False)


def test_contacts_that_are_lost_need_no_queue() -> None:
    assert is_material(contacts(1.0, "below"))


def test_more_contacts_on_several_channels_tell_more_than_on_one() -> None:
    assert is_material(contacts(0.7), elsewhere=0.6)
    assert not is_material(contacts(0.7), elsewhere=0.5)
    assert not is_material(wait(0.7), elsewhere=1.0), "only a rise here can be the same rise"


def test_the_rise_of_contacts_is_the_largest_of_those_upwards() -> None:
    assert (
        contacts_rise([contacts(0.4), signal("requests", 0.6), contacts(0.9, "below")], REGISTRY)
        == 0.6
    )
    assert contacts_rise([errors(1.0)], REGISTRY) == 0.0


def test_a_silence_is_always_material_and_brings_nothing_slight_with_it() -> None:
    silence = signal("heartbeats", 1.0, "silence", "below")
    assert material([silence, contacts(0.5)], REGISTRY, is_queue_seen=True) == [silence]


_SIGNALS = st.lists(
    st.builds(
        signal,
        st.sampled_from(["tickets.opened", "requests", "queue_contacts", "errors_ratio", "x"]),
        st.floats(0.01, 3.0),
        st.sampled_from(["surge", "failure", "silence", "forecast"]),
        st.sampled_from(["above", "below"]),
        st.floats(0.0, 3600.0),
    ),
    max_size=6,
)


@given(_SIGNALS, _SIGNALS, st.booleans(), st.floats(0.0, 2.0))
def test_more_to_tell_never_makes_less_material(
    some: list[Signal], others: list[Signal], is_queue_seen: bool, elsewhere: float
) -> None:
    before = material(some, REGISTRY, is_queue_seen=is_queue_seen, elsewhere=elsewhere)
    after = material([*some, *others], REGISTRY, is_queue_seen=is_queue_seen, elsewhere=elsewhere)
    assert all(any(kept is one for kept in after) for one in before)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_signals_does_not_matter(order: tuple[int, ...]) -> None:
    signals = [contacts(0.5), wait(0.3), errors(0.3)]
    assert is_material(*(signals[at] for at in order))
