"""Demand has the asked rate and shape, in the service's own time; agents are there for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ruptura.core.ingest.calendar import parse_opening_hours
from ruptura.simulator import Scenario
from ruptura.simulator.arrivals import PLAIN, draw_arrivals
from ruptura.simulator.curves import Curves
from ruptura.simulator.shape import busyness, ordinary_rate
from ruptura.simulator.staffing import agents_present, shifts
from ruptura.simulator.timeline import DAY_MINUTES, Timeline

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
ZONES = ("UTC", "America/Sao_Paulo", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")


def timeline(days: int = 7, zone: str = "UTC", begins: datetime = MONDAY) -> Timeline:
    return Timeline(begins, days, ZoneInfo(zone))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 9000), st.integers(0, 3 * DAY_MINUTES - 1))
def test_hour_and_weekday_are_those_of_the_clock_on_the_wall(zone: str, hours: int, minute: int):
    begins = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    found = timeline(3, zone, begins)
    local = (begins + timedelta(minutes=minute)).astimezone(ZoneInfo(zone))

    assert found.hour[minute] == pytest.approx(local.hour + local.minute / 60)
    assert found.weekday[minute] == local.weekday()
    assert found.day[minute] == (local.date() - begins.astimezone(ZoneInfo(zone)).date()).days


def test_the_rate_of_a_week_has_the_asked_mean_over_the_open_hours(
    scenario: Callable[..., Scenario],
):
    channel = scenario('hours = ["mon-fri 08:00-18:00"]').channels[0]
    week = timeline()
    opened = week.is_open(parse_opening_hours(channel.hours))

    rate = ordinary_rate(channel, week)

    assert rate[opened].mean() * 60 == pytest.approx(60.0)
    assert not rate[~opened].any()


@pytest.mark.parametrize("shape", ["flat", "office", "retail", "evening"])
def test_arrivals_of_every_hour_of_the_week_are_as_many_as_asked(
    scenario: Callable[..., Scenario], shape: str
):
    channel = scenario(f'shape = "{shape}"').channels[0]
    weeks = timeline(70)
    rate = ordinary_rate(channel, weeks)
    at, _ = draw_arrivals(channel, rate, Curves(channel, weeks.minutes), np.random.default_rng(5))

    hour = (at // 3600).astype(np.int64) % 168
    observed = np.bincount(hour, minlength=168)
    expected = rate.reshape(10, 168, 60).sum(axis=(0, 2))

    # Poisson counts, all of them large: once in 10,000 by chance.
    chi_square = float(((observed - expected) ** 2 / expected).sum())
    assert expected.min() > 5
    assert stats.chi2.sf(chi_square, 168) > 1e-4
    assert abs(observed.sum() - expected.sum()) < 4.0 * expected.sum() ** 0.5


def test_a_wave_of_exceptions_comes_on_top_of_the_demand(scenario: Callable[..., Scenario]):
    channel = scenario("exceptions = { product = 0.05 }").channels[0]
    minutes = 7 * DAY_MINUTES
    curves = Curves(channel, minutes)
    curves.exceptions["product"][minutes // 2 :] = 8.0
    rate = np.full(minutes, 10.0)
    at, codes = draw_arrivals(channel, rate, curves, np.random.default_rng(1))

    late = at >= minutes * 30.0
    product, plain = codes == 0, codes == PLAIN

    for found, expected in (
        (product & ~late, 0.5 * minutes / 2),
        (product & late, 4.0 * minutes / 2),
        (plain, 9.5 * minutes),
    ):
        assert abs(found.sum() - expected) < 4.0 * expected**0.5


def test_busyness_has_mean_one_and_the_asked_variation(scenario: Callable[..., Scenario]):
    channel = scenario("busyness = 0.2").channels[0]
    factors = busyness(channel, timeline(400), np.random.default_rng(2))
    daily = factors.reshape(400, -1).mean(axis=1)

    # 400 days: the error of a mean is 0.2 / 20, that of a deviation 0.2 / sqrt(800).
    assert abs(factors.mean() - 1.0) < 4 * 0.01
    assert abs(daily.std() - 0.2) < 4 * 0.2 / 800**0.5 + 0.02


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 90)), min_size=1, max_size=12),
)
def test_in_every_minute_as_many_shifts_run_as_agents_are_there(runs: list[tuple[int, int]]):
    present = np.repeat([agents for agents, _ in runs], [length for _, length in runs])

    found = shifts(present)

    for minute, agents in enumerate(present.tolist()):
        running = sum(first <= minute * 60.0 < last for first, last in found)
        assert running == agents


def test_agents_are_planned_for_the_load_and_its_square_root(scenario: Callable[..., Scenario]):
    lines = 'shape = "flat"\nabsence_ratio = 0\nstaffing = 1.5'
    channel = scenario(f"{lines}\nreopened_ratio = 0\nhandle_seconds = 600").channels[0]
    week = timeline()
    opened = np.ones(week.minutes, np.bool_)
    curves = Curves(channel, week.minutes)
    curves.planned[:DAY_MINUTES] = 4.0
    curves.staff[-DAY_MINUTES:] = 0.5

    present = agents_present(
        channel, ordinary_rate(channel, week), opened, curves, np.random.default_rng(0)
    )

    # 60 contacts an hour of 10 minutes are 10 erlangs: 10 + 1.5 * sqrt(10), rounded up.
    assert set(present[DAY_MINUTES:-DAY_MINUTES].tolist()) == {15}
    assert set(present[:DAY_MINUTES].tolist()) == {50}
    assert set(present[-DAY_MINUTES:].tolist()) == {8}
