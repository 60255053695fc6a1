"""The shipped scenarios: each one loads, runs, and is what its name says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest

from ruptura.assembly.calendars import calendar_for
from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.event import DocumentKind, Rejection, TicketEvent
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.calendar import HOLIDAY, Calendar
from ruptura.core.ingest.decode import decode_ticket, time_fault
from ruptura.core.ingest.handlers import HANDLERS
from ruptura.settings import Settings, load
from ruptura.simulator import Scenario, load_scenario, shipped, simulate
from ruptura.simulator.scenario import NonEventKind, RuptureKind

NAMES = list(shipped())
TOPICS: dict[str, DocumentKind] = {
    "ruptura.tickets": "tickets",
    "ruptura.channel-metrics": "channel_metrics",
}
MAX_FUTURE_SECONDS = 300.0


def without_warm_up(scenario: Scenario) -> Scenario:
    """The same happenings without the days before them, and with fewer contacts."""
    first = scenario.warm_up_days
    most, share = (1, 20) if scenario.days > 10 else (20, 4)

    def moved(day: tuple[int, int]) -> tuple[int, int]:
        return (day[0] - first, day[1] - first)

    return msgspec.structs.replace(
        scenario,
        begins=scenario.begins + timedelta(days=first),
        days=scenario.days - first,
        warm_up_days=0,
        channels=[
            msgspec.structs.replace(
                channel,
                begins_day=max(channel.begins_day - first, 0),
                contacts_per_hour=channel.contacts_per_hour / share,
                metrics=channel.metrics[:most],
            )
            for channel in scenario.channels
        ],
        ruptures=[
            msgspec.structs.replace(table, day=moved(table.day)) for table in scenario.ruptures
        ],
        quiet=[msgspec.structs.replace(table, day=moved(table.day)) for table in scenario.quiet],
    )


def rejections(records: list[Record]) -> Iterator[Rejection]:
    for record in records:
        event = HANDLERS[TOPICS[record.topic]].decode(record)
        if isinstance(event, Rejection):
            yield event
        elif fault := time_fault(record, event.occurred_at.timestamp(), MAX_FUTURE_SECONDS):
            yield fault


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_scenario_makes_records_that_the_engine_takes_and_labels_that_agree(name: str):
    scenario = without_warm_up(load_scenario(shipped()[name], series_registry()))

    simulation = simulate(scenario, 11)

    labels = simulation.labels
    assert not list(rejections(simulation.records))
    assert len(simulation.records) > 5_000
    assert labels.scenario == name
    assert [r.kind for r in labels.ruptures] == [t.kind for t in scenario.ruptures]
    assert {q.kind for q in labels.quiet} == {t.kind for t in scenario.quiet}
    channels = {(c.service, c.channel) for c in labels.channels}
    for rupture in labels.ruptures:
        assert labels.judged_from <= rupture.onset < rupture.ends <= labels.ends
        assert rupture.breach is None or rupture.onset <= rupture.breach <= rupture.ends
        assert {(rupture.service, channel) for channel in rupture.channels} <= channels
    for quiet in labels.quiet:
        assert labels.begins <= quiet.begins < quiet.ends <= labels.ends


def settings_of(scenario: Scenario) -> Settings:
    """The settings of an engine that is to be judged by it."""
    return load(None, {"RUPTURA_SERVICES": msgspec.json.encode(scenario.services).decode()})


def calendar_of(scenario: Scenario) -> Calendar:
    first = scenario.channels[0]
    return calendar_for(first.service, first.name, settings_of(scenario))


@pytest.mark.parametrize("name", NAMES)
def test_the_services_are_settings_whose_holidays_are_those_that_happen(name: str):
    scenario = load_scenario(shipped()[name], series_registry())
    calendar = calendar_of(scenario)
    noon = scenario.begins + timedelta(hours=12)

    known = {
        day
        for day in range(scenario.days)
        if calendar.phase((noon + timedelta(days=day)).timestamp()).day_type == HOLIDAY
    }

    assert known == {table.day[0] for table in scenario.quiet if table.kind == "holiday"}
    assert calendar.phase(scenario.begins.timestamp()).hour == 0.0


def test_there_is_a_scenario_for_every_kind_of_rupture_and_of_what_is_none():
    scenarios = [load_scenario(path, series_registry()) for path in shipped().values()]

    assert {t.kind for s in scenarios for t in s.ruptures} == set(get_args(RuptureKind))
    assert {t.kind for s in scenarios for t in s.quiet} == set(get_args(NonEventKind))
    calm = load_scenario(shipped()["calm"], series_registry())
    assert not calm.ruptures
    assert not calm.quiet


def test_opening_hours_keep_to_the_clock_on_the_wall_when_it_changes():
    scenario = load_scenario(shipped()["calm_daylight_saving"], series_registry())
    phone = next(c for c in scenario.channels if c.name == "phone")
    zone = ZoneInfo("America/New_York")

    records = simulate(msgspec.structs.replace(scenario, channels=[phone]), 1).records

    opened: dict[timedelta | None, set[int]] = {}
    for record in records:
        event = decode_ticket(record) if record.topic == "ruptura.tickets" else None
        if isinstance(event, TicketEvent) and event.type == "opened":
            local = event.occurred_at.astimezone(zone)
            opened.setdefault(local.utcoffset(), set()).add(local.hour)
    assert opened == {timedelta(hours=offset): set(range(8, 18)) for offset in (-5, -4)}


@pytest.mark.parametrize("name", ["maintenance", "maintenance_planned"])
def test_maintenance_happens_while_the_service_is_known_to_be_closed_or_to_have_planned_it(
    name: str,
):
    scenario = load_scenario(shipped()[name], series_registry())
    calendar = calendar_of(scenario)

    (label,) = simulate(without_warm_up(scenario), 2).labels.quiet

    for moment in (label.begins.timestamp(), label.ends.timestamp() - 1):
        phase = calendar.phase(moment)
        assert phase.muted or not phase.open


@pytest.mark.parametrize("name", NAMES)
def test_customers_are_promised_what_the_settings_forecast(name: str):
    scenario = load_scenario(shipped()[name], series_registry())
    services = settings_of(scenario).services

    for channel in scenario.channels:
        tables = services[channel.service].objectives
        promised = msgspec.to_builtins(channel.objectives or scenario.objectives)
        stated = tables.get(channel.name) or tables["default"]
        assert stated == {key: promised[key] for key in stated}
        assert stated.keys() == promised.keys() - {"exceptions_factor"}


def test_shipped_names_are_those_of_the_files():
    assert all(isinstance(path, Path) and path.stem == name for name, path in shipped().items())
    assert len(NAMES) >= 18
