"""State by component: what does not fit begins anew by itself; all else is as it was."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import msgspec
import pytest

from ruptura.assembly.build import build_config
from ruptura.assembly.registry import series_registry
from ruptura.core import state as states
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input
from ruptura.core.detect.series_detector import SeriesDetectorState
from ruptura.core.engine import Engine
from ruptura.core.series.registry import Registry, parse
from ruptura.settings import Settings
from tests.core.test_state import INPUTS, SETTINGS, time_of
from tests.simulation.contact_centre import (
    CHANNEL,
    HOUR,
    METRICS,
    MONDAY,
    SERVICE,
    engine,
    merged,
    metric,
    record,
    run,
    ticket,
    ticks,
)

CUT = MONDAY + 5.5 * HOUR
OBJECTIVES = {"default": {"errors_ratio": 0.1, "backlog_contacts": 20.0}}


class TestComponents:
    @pytest.fixture
    def objectives(self) -> dict[str, Any]:
        return {**SETTINGS, "services": {"default": {"objectives": OBJECTIVES}}}

    @pytest.fixture
    def subject(self, objectives: dict[str, Any]) -> Engine:
        """An engine in a rupture: an alert is open, breaches are forecast."""
        subject = engine(**objectives)
        total = run(subject, [i for i in INPUTS if time_of(i) < CUT])
        assert any(alert.service == "boreal" for alert in total.alerts)
        return subject

    def restored(
        self, subject: Engine, sections: dict[str, Any], change: Callable[[Any], None]
    ) -> tuple[Engine, list[str]]:
        """A fresh engine with a state in which something was changed; what begins anew in it."""
        state = msgspec.msgpack.decode(subject.dump(0, "boreal"))
        change(state)
        fresh = engine(**sections)
        fresh.load_clock(0, subject.dump_clock(0))
        return fresh, list(fresh.load(0, "boreal", msgspec.msgpack.encode(state)))

    @pytest.mark.parametrize("name", states.COMPONENTS)
    @pytest.mark.parametrize("change", ["version", "kind", "absent"])
    def test_one_that_does_not_fit_begins_anew_and_the_others_are_as_they_were(
        self, name: str, change: str, subject: Engine, objectives: dict[str, Any]
    ) -> None:
        def spoil(state: Any) -> None:
            if change == "version":
                state[3][name][0][0] += 1
            elif change == "kind":
                state[3][name][1] = {"voice": 7}
            else:
                del state[3][name]

        fresh, anew = self.restored(subject, objectives, spoil)
        assert [each.split(": ")[0] for each in anew] == [name]
        shape = msgspec.msgpack.decode(subject.dump(0, "boreal"))[1]
        before, after = (
            states.load_service(shape, each.dump(0, "boreal")).components
            for each in (subject, fresh)
        )
        same = {each for each in states.COMPONENTS if before[each] == after[each]}
        detectors = {states.DETECTORS} if name == states.DETECTORS else set()
        assert same == states.COMPONENTS.keys() - {name} - detectors

    def test_without_its_open_buckets_a_service_counts_nothing_in_part(
        self, subject: Engine, objectives: dict[str, Any]
    ) -> None:
        fresh, _ = self.restored(
            subject, objectives, lambda state: state[3].pop(states.OPEN_BUCKETS)
        )
        effects = run(fresh, [i for i in INPUTS if CUT <= time_of(i) < CUT + HOUR / 2])
        opened = [p for p in effects.points if p.series == "tickets.opened"]
        assert min(point.start for point in opened) == CUT
        assert all(p.observed == 32 for p in opened if p.service == "boreal")
        assert all(p.score is not None for p in opened if p.service == "boreal")

    def test_nor_does_a_service_that_is_ahead_of_the_clocks_saved_before_it(
        self, subject: Engine, objectives: dict[str, Any]
    ) -> None:
        # A worker writes clocks and services one after the other, and may die in between.
        clock = subject.dump_clock(0)
        run(subject, [i for i in INPUTS if CUT <= time_of(i) < CUT + 90.0])
        state = msgspec.msgpack.decode(subject.dump(0, "boreal"))
        del state[3][states.OPEN_BUCKETS]
        fresh = engine(**objectives)
        fresh.load_clock(0, clock)
        fresh.load(0, "boreal", msgspec.msgpack.encode(state))
        effects = run(fresh, [i for i in INPUTS if CUT <= time_of(i) < CUT + HOUR / 2])
        opened = [
            p for p in effects.points if (p.service, p.series) == ("boreal", "tickets.opened")
        ]
        assert opened
        assert {point.observed for point in opened} == {32}

    def test_an_alert_of_a_channel_that_is_not_there_is_left_out(
        self, subject: Engine, objectives: dict[str, Any]
    ) -> None:
        def haunt(state: Any) -> None:
            lifecycles = state[3][states.LIFECYCLES][1]
            lifecycles["nowhere"] = next(iter(lifecycles.values()))

        fresh, anew = self.restored(subject, objectives, haunt)
        assert anew == []
        kept, were = (
            msgspec.msgpack.decode(each.dump(0, "boreal"))[3][states.LIFECYCLES]
            for each in (fresh, subject)
        )
        assert kept == were

    def test_without_its_event_ids_all_else_goes_on(
        self, subject: Engine, objectives: dict[str, Any]
    ) -> None:
        rest = [i for i in INPUTS if time_of(i) >= CUT]
        whole, _ = self.restored(subject, objectives, lambda _: None)
        fresh, _ = self.restored(subject, objectives, lambda state: state[3].pop(states.EVENT_IDS))
        assert run(fresh, rest).points == run(whole, rest).points

    def test_without_its_detectors_a_service_warms_up_and_its_alert_stays_open(
        self, subject: Engine, objectives: dict[str, Any]
    ) -> None:
        fresh, _ = self.restored(subject, objectives, lambda state: state[3].pop(states.DETECTORS))
        effects = run(fresh, [i for i in INPUTS if CUT <= time_of(i) < CUT + 300.0])
        told = [p for p in effects.channels if p.service == "boreal"]
        assert {point.state for point in told} <= {"warning", "critical"}
        assert all(p.score is None for p in effects.points if p.service == "boreal")

    def test_without_its_forecasters_a_service_is_judged_as_before(
        self, subject: Engine, objectives: dict[str, Any]
    ) -> None:
        rest = [i for i in INPUTS if CUT <= time_of(i) < CUT + 300.0]
        whole, _ = self.restored(subject, objectives, lambda _: None)
        fresh, _ = self.restored(
            subject, objectives, lambda state: state[3].pop(states.FORECASTERS)
        )
        before, after = run(whole, rest), run(fresh, rest)
        assert after.points == before.points
        assert [p.breach_probability for p in after.channels] != [
            p.breach_probability for p in before.channels
        ]

    def test_without_its_lifecycles_a_service_has_no_open_alert_and_is_judged_as_before(
        self, subject: Engine, objectives: dict[str, Any]
    ) -> None:
        rest = [i for i in INPUTS if CUT <= time_of(i) < CUT + 60.0]
        whole, _ = self.restored(subject, objectives, lambda _: None)
        fresh, _ = self.restored(subject, objectives, lambda state: state[3].pop(states.LIFECYCLES))
        before, after = run(whole, rest), run(fresh, rest)
        assert after.points == before.points
        assert any(p.alert for p in before.channels)
        assert not any(p.alert for p in after.channels)

    def test_without_how_far_it_has_come_a_service_is_refused(
        self, subject: Engine, objectives: dict[str, Any]
    ) -> None:
        def older(state: Any) -> None:
            state[2][0][0] -= 1

        with pytest.raises(ValueError, match="state of version 0, expected 1"):
            self.restored(subject, objectives, older)


METRIC = "handling_seconds"
"""A metric that the registry does not know."""

ENTRY = """
[{name}]
family = "{family}"
scale = "{scale}"
above = "failure"
role = "supply"
unit = "s"
definition = "For this test."
source = "None."
"""
TICKET_ENTRY = 'tickets.sum = ["{total}"]\n'


def with_entry(name: str, family: str, scale: str = "linear", total: str = "") -> Registry:
    """The registry with one entry more."""
    entry = ENTRY.format(name=f'"{name}"', family=family, scale=scale)
    if total:
        entry += TICKET_ENTRY.format(total=total)
    path = files("ruptura.core.series").joinpath("registry.toml")
    return parse(path.read_bytes() + entry.encode())


def engine_of(registry: Registry) -> Engine:
    """An engine with another registry than the one that is shipped."""
    config = build_config(msgspec.convert(SETTINGS, Settings))
    return Engine(
        msgspec.structs.replace(
            config,
            detect=msgspec.structs.replace(config.detect, registry=registry),
            decide=msgspec.structs.replace(config.decide, registry=registry),
        )
    )


def sent(start: float, end: float) -> list[Input]:
    """Tickets of a channel, and about 5 seconds of an unheard-of metric, each minute."""
    offsets = range(int((start - MONDAY) / 60.0), int((end - MONDAY) / 60.0))
    minutes = [(n, MONDAY + 60.0 * n + 1.0) for n in offsets]
    return merged(
        [record(ticket(at, n), n, at) for n, at in minutes],
        [
            record(metric(at, METRIC, value=5.0 + n % 7 / 10), n, at, topic=METRICS)
            for n, at in minutes
        ],
        ticks(end, end + 120.0),
        ticks(end, end + 120.0, topic=METRICS),
    )


class TestRegistry:
    """A series whose entry in the registry changes, while it is being sent."""

    def changed(self, before: Registry, after: Registry) -> tuple[list[str], Effects]:
        """What begins anew under another registry, and the next half hour under it."""
        subject, fresh = engine_of(before), engine_of(after)
        run(subject, sent(MONDAY, MONDAY + 3 * HOUR))
        fresh.load_clock(0, subject.dump_clock(0))
        anew = list(fresh.load(0, SERVICE, subject.dump(0, SERVICE)))
        return anew, run(fresh, sent(MONDAY + 3 * HOUR, MONDAY + 3.5 * HOUR))

    @pytest.mark.parametrize(
        ("family", "scale", "now"), [("gauge", "log", "gauge, log"), ("count", "linear", "count")]
    )
    def test_one_that_is_judged_otherwise_now_warms_up_and_the_others_go_on(
        self, family: str, scale: str, now: str
    ) -> None:
        known = with_entry(METRIC, family, scale)
        anew, effects = self.changed(series_registry(), known)
        assert len(anew) == 1
        assert anew[0].startswith("detectors: learned as 'gauge, linear', judged as '" + now)
        assert anew[0].endswith(f": {CHANNEL} {METRIC}")
        points = [p for p in effects.points if p.series == METRIC]
        assert points
        assert all(p.expected is None for p in points)
        others = [p for p in effects.points if p.series == "tickets.opened"]
        assert others
        assert all(p.expected is not None for p in others)

    def test_one_whose_entry_is_removed_warms_up_as_an_unknown_one(self) -> None:
        known = with_entry(METRIC, "gauge", "log")
        anew, effects = self.changed(known, series_registry())
        assert anew == [
            f"detectors: learned as 'gauge, log', judged as 'gauge, linear': {CHANNEL} {METRIC}"
        ]
        assert {p.expected for p in effects.points if p.series == METRIC} == {None}

    def test_one_of_the_same_family_and_scale_goes_on(self) -> None:
        known = with_entry(METRIC, "gauge")
        anew, effects = self.changed(series_registry(), known)
        assert anew == []
        assert None not in {p.expected for p in effects.points if p.series == METRIC}

    def test_one_of_tickets_that_is_made_of_other_totals_warms_up(self) -> None:
        name = "tickets.for_this_test"
        before, after = (with_entry(name, "count", total=each) for each in ("opened", "customers"))
        anew, _ = self.changed(before, after)
        assert anew == [
            "detectors: learned as 'count, linear, opened', judged as "
            f"'count, linear, customers': {CHANNEL} {name}"
        ]

    def test_one_of_tickets_that_is_removed_is_gone_and_the_others_go_on(self) -> None:
        name = "tickets.for_this_test"
        anew, effects = self.changed(with_entry(name, "count", total="opened"), series_registry())
        assert anew == [f"detectors: no such series any more: {CHANNEL} {name}"]
        assert name not in {p.series for p in effects.points}
        assert all(p.expected is not None for p in effects.points if p.series == "tickets.opened")


def test_a_part_of_a_forecaster_of_another_version_is_named() -> None:
    sections: dict[str, Any] = {**SETTINGS, "services": {"default": {"objectives": OBJECTIVES}}}
    subject, fresh = engine(**sections), engine(**sections)
    run(subject, [i for i in INPUTS if time_of(i) < CUT])
    state = msgspec.msgpack.decode(subject.dump(0, "boreal"))
    parts = state[3][states.FORECASTERS][1]["voice"]
    parts["queue"] = msgspec.msgpack.encode((99, "unheard of"))
    fresh.load_clock(0, subject.dump_clock(0))
    anew = fresh.load(0, "boreal", msgspec.msgpack.encode(state))
    assert anew == ["forecasters: queue of another version: voice"]


def test_a_part_of_a_series_of_another_version_is_named_once_for_all_series() -> None:
    subject, fresh = engine(**SETTINGS), engine(**SETTINGS)
    run(subject, [i for i in INPUTS if time_of(i) < CUT])
    state = msgspec.msgpack.decode(subject.dump(0, "boreal"))
    series = state[3][states.DETECTORS][1]["voice"][0]
    calibration = SeriesDetectorState.__struct_fields__.index("calibration")
    for held in series.values():
        held[calibration] = (99, "unheard of")
    fresh.load_clock(0, subject.dump_clock(0))
    anew = fresh.load(0, "boreal", msgspec.msgpack.encode(state))
    assert len(series) > 3
    assert len(anew) == 1
    assert anew[0].startswith("detectors: calibration of another version: voice tickets.")
    assert anew[0].endswith(f" and {len(series) - 3} more")
