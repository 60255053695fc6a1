"""Static thresholds do what their table says."""

from __future__ import annotations

from collections.abc import Callable

from ruptura.assembly.registry import series_registry
from ruptura.evaluation.bucket import Bucket, is_bad
from ruptura.evaluation.thresholds import RULES, StaticThresholds

MINUTE = 60.0


def conditions(**values: float) -> dict[str, bool]:
    return dict(StaticThresholds(MINUTE, {}).observe(Bucket(0.0, values)))


def test_more_than_five_percent_errors_hold() -> None:
    assert conditions(errors_ratio=0.051)["errors_ratio"]
    assert not conditions(errors_ratio=0.05)["errors_ratio"]


def test_a_service_level_is_bad_below_its_limit() -> None:
    assert conditions(service_level_ratio=0.79)["service_level_ratio"]
    assert not conditions(service_level_ratio=0.8)["service_level_ratio"]


def test_what_was_not_measured_is_left_out() -> None:
    assert "errors_ratio" not in conditions(request_seconds=1.0)


def test_an_objective_of_the_channel_takes_the_place_of_the_table() -> None:
    strict = StaticThresholds(MINUTE, {"latency": 0.5})
    assert strict.observe(Bucket(0.0, {"request_seconds": 0.6}))["request_seconds"]
    assert not conditions(request_seconds=0.6)["request_seconds"]


def test_each_rule_speaks_of_a_known_series_on_its_bad_side_and_says_why() -> None:
    for rule in RULES:
        known = series_registry().measuring(rule.measures)
        assert known
        assert all(is_bad(series, above=rule.above) for series in known)
        assert not any(is_bad(series, above=not rule.above) for series in known)
        assert rule.reason.endswith(".")


def test_of_an_unknown_series_both_sides_are_bad() -> None:
    assert is_bad("moods", above=True)
    assert is_bad("moods", above=False)
    assert series_registry().specs["tickets.abandoned"].below is None
    assert not is_bad("tickets.abandoned", above=False)


def silent(events: Callable[[int], float], minutes: int) -> list[int]:
    rules = StaticThresholds(MINUTE, {})
    return [
        minute
        for minute in range(minutes)
        if rules.observe(Bucket(minute * MINUTE, {"tickets.opened": events(minute)}))[
            "tickets.opened silent"
        ]
    ]


def test_fifteen_minutes_without_events_hold_until_the_busy_hour_is_forgotten() -> None:
    told = silent(lambda minute: 2.0 if minute < 100 else 0.0, 300)
    assert told[0] == 114
    # At 143 the hour that ended a quarter of an hour ago (69 to 128) has 62 events, then 60.
    assert told == list(range(114, 144))


def test_a_channel_with_few_events_is_never_silent() -> None:
    assert silent(lambda minute: 1.0 if minute < 100 else 0.0, 300) == []


def test_one_event_ends_the_silence() -> None:
    assert silent(lambda minute: 2.0 if minute < 100 or minute == 116 else 0.0, 130) == [114, 115]


def test_silence_pages_at_once_since_it_has_waited_already() -> None:
    assert StaticThresholds(MINUTE, {}).patience["tickets.opened silent"] == MINUTE
