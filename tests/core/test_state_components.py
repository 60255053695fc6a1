"""State by component: what does not fit begins anew by itself; all else is as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ruptura.core import state as states
from ruptura.core.engine import Engine
from tests.core.test_state import INPUTS, SETTINGS, time_of
from tests.simulation.contact_centre import HOUR, MONDAY, engine, run

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
