"""Other settings between two steps: an engine goes on with them as if it had been restored."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.assembly.build import build_config, build_engine
from ruptura.core import history
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Record
from ruptura.core.engine import Config, Engine
from ruptura.core.state import ServiceState, load_service
from ruptura.settings import Settings
from tests.core.pulled import close_all, make_due
from tests.core.test_engine_order import SHORT, rupture
from tests.simulation.contact_centre import (
    HOUR,
    METRICS,
    MONDAY,
    add,
    engine,
    merged,
    metric,
    records,
    run,
    ticks,
)

Sections = dict[str, Any]

OBJECTIVES = {"default": {"errors_ratio": 0.1, "backlog_contacts": 20.0}}
BEFORE: Sections = {**SHORT, "services": {"default": {"objectives": OBJECTIVES}}}
INPUTS = [*merged(*rupture(3), *rupture(4, partition=1))]

OTHERS: dict[str, Sections] = {
    "the same": {},
    "thresholds": {"detection": {"warm_up_seconds": 7200, "minimum_count_effect": 9.0}},
    "alerts": {"alert": {"warning_risk": 0.2, "critical_risk": 0.4, "open_buckets": 1}},
    "time": {"window": {"lateness_seconds": 5.0, "idle_seconds": 5.0, "max_future_seconds": 1.0}},
    "more time": {"window": {"lateness_seconds": 300.0}},
    "memory": {"window": {"duplicate_seconds": 4.0, "max_metrics": 1, "max_open_tickets": 3}},
    "calendar": {"services": {"default": {"opening_hours": ["sun 08:00-12:00"]}}},
    "planned": {
        "services": {
            "aurora": {
                "planned": [{"from": "2026-03-02T00:00:00Z", "until": "2026-03-03T00:00:00Z"}],
                "objectives": OBJECTIVES,
            }
        }
    },
    "no objectives": {"services": {}},
    "objectives": {
        "services": {
            "default": {
                "objectives": {
                    "default": {
                        "errors_ratio": 0.02,
                        "service_level_ratio": 0.8,
                        "answer_within_seconds": 3000.0,
                    }
                }
            }
        }
    },
    "horizon": {"forecast": {"horizon_seconds": 3600.0}},
    "plan": {"services": {"default": {"actions": {"surge": ["Call in the second shift."]}}}},
}


def config(sections: Sections) -> Config:
    return build_config(msgspec.convert({**BEFORE, **sections}, Settings))


def restored(subject: Engine, sections: Sections) -> Engine:
    """A fresh engine of these settings, with the state of another carried over as bytes."""
    fresh = engine(**{**BEFORE, **sections})
    for partition in subject.partitions():
        fresh.load_clock(partition, bytes(subject.dump_clock(partition)))
        for service in subject.services(partition):
            fresh.load(partition, service, bytes(subject.dump(partition, service)))
    return fresh


def states(subject: Engine) -> dict[tuple[int, str], bytes]:
    return {
        (partition, service): subject.dump(partition, service)
        for partition in subject.partitions()
        for service in subject.services(partition)
    }


def decoded(subject: Engine) -> dict[tuple[int, str], ServiceState]:
    """States, in which sets have no order."""
    return {name: load_service(config({}).shape, state) for name, state in states(subject).items()}


def cut_at(hours: float) -> int:
    """The first input of after so many hours."""
    return next(n for n, item in enumerate(INPUTS) if _time(item) > MONDAY + hours * HOUR)


@cache
def run_until(hours: float) -> Engine:
    """An engine after so many hours; only its states may be read."""
    subject = engine(**BEFORE)
    run(subject, INPUTS[: cut_at(hours)])
    return subject


@cache
def undisturbed() -> Effects:
    total = run(engine(**BEFORE), INPUTS)
    assert {alert.kind for alert in total.alerts} >= {"surge", "silence"}
    assert any(point.breach_probability for point in total.channels)
    return total


@given(st.lists(st.integers(0, len(INPUTS)), min_size=1, max_size=4))
@settings(max_examples=4, deadline=None)
def test_with_equal_settings_an_engine_goes_on_exactly_as_before(
    cuts: list[int],
) -> None:
    subject, total, last = engine(**BEFORE), Effects(), 0
    for cut in [*sorted(cuts), len(INPUTS)]:
        add(total, run(subject, INPUTS[last:cut]))
        subject.reconfigure(config({}))
        last = cut
    assert total == undisturbed()


@pytest.mark.parametrize("hours", [3.3, 5.97, 6.2])
@pytest.mark.parametrize("other", OTHERS)
def test_a_reconfigured_engine_goes_on_as_one_that_was_restored_under_the_same_settings(
    other: str, hours: float
) -> None:
    begin, cut, end = (cut_at(hours) + more for more in (0, 500, 2500))
    subject = restored(run_until(hours), {})
    run(subject, INPUTS[begin:cut])  # what is kept at hand is there
    fresh = restored(subject, OTHERS[other])
    subject.reconfigure(config(OTHERS[other]))
    rest = INPUTS[cut:end]
    assert run(subject, rest) == run(fresh, rest)
    assert decoded(subject) == decoded(fresh)


def test_the_settings_tell_in_all_partitions_from_the_very_next_step() -> None:
    said = {}
    for name in ("the same", "alerts"):
        subject = restored(run_until(5.9), {})
        subject.reconfigure(config(OTHERS[name]))
        opened = [a for a in run(subject, INPUTS[cut_at(5.9) :]).alerts if a.reason == "opened"]
        said[name] = {a.alert_id: a.updated_at for a in opened}
    earlier = said["alerts"].keys() & said["the same"].keys()
    assert earlier
    assert all(said["alerts"][each] < said["the same"][each] for each in earlier)


def test_series_that_are_judged_by_an_objective_are_judged_by_the_new_one() -> None:
    patient = {"service_level_ratio": 0.8, "answer_within_seconds": 3600.0}
    before = {**SHORT, "services": {"default": {"objectives": {"default": patient}}}}
    told = [
        (at, metric(at, "answer_seconds", value=20.0 + n % 3 + (200.0 if n > 240 else 0.0)))
        for n, at in enumerate(MONDAY + 30.0 + 60.0 * minute for minute in range(300))
    ]
    tickets = ticks(MONDAY, MONDAY + 5 * HOUR)
    inputs = merged(records(told, topic=METRICS), tickets)
    cut = next(n for n, item in enumerate(inputs) if _time(item) > MONDAY + 3 * HOUR)
    untold, subject, fresh = engine(**before), engine(**before), engine(**SHORT)
    for one in (untold, subject):
        run(one, inputs[:cut])
    fresh.load_clock(0, subject.dump_clock(0))
    for service in subject.services(0):
        fresh.load(0, service, subject.dump(0, service))
    subject.reconfigure(build_config(msgspec.convert(SHORT, Settings)))
    said = [run(one, inputs[cut:]) for one in (untold, subject, fresh)]
    assert said[1] == said[2]
    risks = [max(point.risk for point in each.channels) for each in said]
    assert risks[0] < risks[1]


def test_warm_up_and_open_alerts_are_kept() -> None:
    subject = engine(**BEFORE)
    cut = cut_at(6.5)
    before = run(subject, INPUTS[:cut])
    open_ids = {alert.alert_id for alert in before.alerts if alert.status != "resolved"}
    assert open_ids
    subject.reconfigure(config(OTHERS["alerts"]))
    after = run(subject, INPUTS[cut : cut + 3000])
    assert after.channels
    assert all(point.state != "warming_up" for point in after.channels)
    standing = {point.alert.alert_id for point in after.channels if point.alert is not None}
    assert standing & open_ids


def test_a_snapshot_of_before_and_one_of_after_can_be_taken_back() -> None:
    subject = engine(**BEFORE)
    run(subject, INPUTS[:9000])
    before = states(subject)
    subject.reconfigure(config(OTHERS["objectives"]))
    run(subject, INPUTS[9000:9500])
    after = states(subject)
    for sections in ({}, OTHERS["objectives"]):
        for taken in (before, after):
            fresh = engine(**{**BEFORE, **sections})
            for (partition, service), state in taken.items():
                fresh.load(partition, service, state)
            assert len(states(fresh)) == len(taken) > 1


@pytest.mark.parametrize(
    "shaping",
    [
        {"window": {"bucket_seconds": 30}},
        {"services": {"aurora": {"time_zone": "America/Sao_Paulo"}}},
        {"topics": {"tickets": "other"}},
    ],
    ids=str,
)
def test_parts_of_another_shape_or_of_other_topics_are_refused_and_nothing_changes(
    shaping: Sections,
) -> None:
    subject, twin = engine(**BEFORE), engine(**BEFORE)
    for one in (subject, twin):
        run(one, INPUTS[:3000])
    with pytest.raises(ValueError, match="shape the state, or other topics"):
        subject.reconfigure(config({**shaping, **OTHERS["alerts"]}))
    assert run(subject, INPUTS[3000:6000]) == run(twin, INPUTS[3000:6000])


def test_where_one_forecast_cannot_go_on_none_is_changed() -> None:
    subject, twin = engine(**BEFORE), engine(**BEFORE)
    for one in (subject, twin):
        run(one, INPUTS[:3000])
    good = config(OTHERS["alerts"])

    def forecaster(service: str, channel: str) -> Any:
        if channel == "voice":
            raise ValueError("does not fit")
        return good.detect.forecaster(service, channel)

    detect = msgspec.structs.replace(good.detect, forecaster=forecaster)
    with pytest.raises(ValueError, match="does not fit"):
        subject.reconfigure(msgspec.structs.replace(good, detect=detect))
    assert run(subject, INPUTS[3000:6000]) == run(twin, INPUTS[3000:6000])


def test_while_buckets_are_due_there_is_no_reconfiguring() -> None:
    subject = engine(**BEFORE)
    make_due(subject, INPUTS)
    with pytest.raises(RuntimeError, match="buckets are due"):
        subject.reconfigure(config({}))
    close_all(subject)
    subject.reconfigure(config({}))


def test_channels_that_begin_after_it_still_know_what_was_learned_elsewhere() -> None:
    teacher = run_until(3.3)
    past = history.dump((name, teacher.dump(0, name)) for name in teacher.services(0))
    subject = build_engine(msgspec.convert(BEFORE, Settings), past)
    subject.reconfigure(config(OTHERS["alerts"]))
    effects = run(subject, INPUTS[cut_at(3.3) :][:3000])
    assert {point.state for point in effects.channels} == {"normal"}


def _time(item: Input) -> float:
    return item.timestamp if isinstance(item, Record) else item.now
