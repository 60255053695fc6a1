"""How alerts end: soon after the rupture does, and without coming back for nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ruptura.core.contracts.facts import AlertFacts
from tests.simulation.contact_centre import HOUR, MINUTE, day_shape, engine, run
from tests.simulation.test_ruptures import BREAK, history, replaced


def errors_alerts(errors: Callable[[float], float], seed: int) -> list[AlertFacts]:
    inputs = history(day_shape(20.0), 40.0, 3.7, seed, errors=errors)
    return [a for a in run(engine(), inputs).alerts if a.started_at.timestamp() >= BREAK - HOUR]


def alert_ids(alerts: list[AlertFacts]) -> list[str]:
    return list(dict.fromkeys(alert.alert_id for alert in alerts))


@pytest.mark.parametrize(("minutes", "seed"), [(10, 21), (90, 22)])
def test_a_failure_is_over_within_an_hour_of_its_end_however_long_it_was(
    minutes: int, seed: int
) -> None:
    end = BREAK + minutes * MINUTE
    alerts = errors_alerts(lambda at: 0.2 if BREAK <= at < end else 0.01, seed)
    assert len(alert_ids(alerts)) == 1
    assert alerts[-1].reason == "recovered"
    assert end + 15 * MINUTE <= alerts[-1].updated_at.timestamp() <= end + HOUR


def test_a_surge_is_over_within_two_hours_of_its_end() -> None:
    normal = day_shape(60.0)
    end = BREAK + 45 * MINUTE
    inputs = history(replaced(normal, BREAK, end, lambda at: 5.0 * normal(at)), 600.0, 3.7, 21)
    alerts = [a for a in run(engine(), inputs).alerts if a.started_at.timestamp() >= BREAK - HOUR]
    assert len(alert_ids(alerts)) == 1
    assert alerts[-1].reason == "recovered"
    assert end + 15 * MINUTE <= alerts[-1].updated_at.timestamp() <= end + 2 * HOUR


def test_a_failure_that_comes_and_goes_is_one_alert() -> None:
    """Ten minutes of each half hour, for two hours and a half."""
    alerts = errors_alerts(
        lambda at: (
            0.2
            if BREAK <= at < BREAK + 150 * MINUTE and (at - BREAK) % (30 * MINUTE) < 10 * MINUTE
            else 0.01
        ),
        21,
    )
    assert len(alert_ids(alerts)) == 1
    assert alerts[-1].reason == "recovered"


def test_a_mild_failure_is_not_taken_to_be_over_while_it_lasts() -> None:
    """Twice the errors: hardly to be seen in five minutes, plain in an hour."""
    alerts = errors_alerts(lambda at: 0.025 if at >= BREAK else 0.01, 22)
    assert len(alert_ids(alerts)) == 1
    assert alerts[-1].status != "resolved"
