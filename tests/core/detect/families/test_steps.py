"""Where a desk opens or closes, no straight line is drawn between its hours."""

from __future__ import annotations

import numpy as np

from ruptura.core.detect.families.count import SeasonalCount
from ruptura.core.detect.profile import Grid
from ruptura.core.ingest.calendar import WORKING_DAY, Phase

MINUTES = 24 * 60


def phases() -> list[Phase]:
    return [Phase(WORKING_DAY, (minute + 0.5) / 60.0, True) for minute in range(MINUTES)]


def learned(rates: list[float], days: int = 7) -> tuple[SeasonalCount, list[Phase]]:
    """A model of so many days of contacts at rates by minute of the day."""
    model, day = SeasonalCount(60.0, Grid.of(60.0)), phases()
    chance = np.random.default_rng(1)
    for _ in range(days):
        for phase, count in zip(day, chance.poisson(rates).tolist(), strict=True):
            model.learn_one(count, 1.0, model.expect_one(phase), 1.0)
    return model, day


def test_before_a_desk_opens_nothing_is_missed_and_after_it_nothing_is_too_much() -> None:
    opening, closing = 8 * 60, 20 * 60
    model, day = learned([2.0 if opening <= m < closing else 0.0 for m in range(MINUTES)])
    for edge in (opening, closing):
        shut = range(edge - 60, edge) if edge == opening else range(edge, edge + 60)
        due = sum(model.expect_one(day[m]).low for m in shut)
        assert due < 0.5, "an hour without contacts beside the edge is no silence"
        busy = range(edge, edge + 60) if edge == opening else range(edge - 60, edge)
        assert all(model.expect_one(day[m]).high > 1.5 for m in busy)


def test_within_its_hours_the_expectation_is_one_number() -> None:
    model, day = learned([2.0 if 8 * 60 <= m < 20 * 60 else 0.0 for m in range(MINUTES)])
    expected = model.expect_one(day[14 * 60])
    assert expected.low == expected.mean == expected.high


def test_an_ordinary_day_has_no_steps() -> None:
    rates = [20.0 * (1.0 + 0.5 * float(np.cos((m / 60 - 14) / 12 * np.pi))) for m in range(MINUTES)]
    model, day = learned(rates)
    for phase in day:
        expected = model.expect_one(phase)
        assert expected.low == expected.mean == expected.high
