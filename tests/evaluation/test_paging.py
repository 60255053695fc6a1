"""Conditions become pages as they would with Prometheus and Alertmanager."""

from __future__ import annotations

from collections.abc import Callable

from ruptura.evaluation.paging import Pager

MINUTE = 60.0


def pages(
    holds: Callable[[int], bool | None], minutes: int, patience: float | None = None
) -> list[int]:
    """The minutes at whose end a condition paged; None where it is not known."""
    pager = Pager(MINUTE, {} if patience is None else {"errors": patience})
    told = []
    for minute in range(minutes):
        known = holds(minute)
        conditions = {} if known is None else {"errors": known}
        if pager.observe(minute * MINUTE, conditions) is not None:
            told.append(minute)
    return told


def test_a_condition_pages_at_the_end_of_its_fifth_minute() -> None:
    assert pages(lambda minute: minute >= 10, 60) == [14]


def test_four_minutes_are_too_short() -> None:
    assert pages(lambda minute: 10 <= minute < 14, 60) == []


def test_a_minute_of_health_starts_it_anew() -> None:
    assert pages(lambda minute: minute != 3, 60) == [8]


def test_a_rule_may_be_quicker() -> None:
    assert pages(lambda minute: minute >= 10, 60, patience=MINUTE) == [10]


def test_one_incident_pages_once_however_long_it_lasts() -> None:
    assert pages(lambda minute: minute >= 10, 24 * 60) == [14]


def test_what_returns_within_half_an_hour_is_the_same_incident() -> None:
    assert pages(lambda minute: minute < 10 or 30 <= minute < 39, 120) == [4]


def test_what_returns_after_half_an_hour_of_calm_is_another_incident() -> None:
    assert pages(lambda minute: minute < 10 or 40 <= minute < 60, 120) == [4, 44]


def test_a_value_every_five_minutes_stands_in_between() -> None:
    assert pages(lambda minute: True if minute % 5 == 0 else None, 60) == [4]


def test_a_value_that_stops_coming_stands_for_five_minutes_and_no_longer() -> None:
    assert pages(lambda minute: True if minute == 0 else None, 60, patience=6 * MINUTE) == []


def test_conditions_of_one_channel_are_one_incident() -> None:
    pager = Pager(MINUTE, {})
    told = [
        pager.observe(minute * MINUTE, {"errors": minute >= 10, "latency": minute >= 20})
        for minute in range(60)
    ]
    assert [(minute, why) for minute, why in enumerate(told) if why] == [(14, "errors")]


def test_what_holds_is_forgotten_when_the_service_closes() -> None:
    pager = Pager(MINUTE, {})
    for minute in range(4):
        assert pager.observe(minute * MINUTE, {"errors": True}) is None
    pager.mute()
    assert pager.observe(4 * MINUTE, {"errors": True}) is None
