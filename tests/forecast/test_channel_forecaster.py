"""The forecast of a channel: what it needs, what it says, and that a restored one goes on alike."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.core.contracts.facts import Objective
from ruptura.core.detect.forecast import Forecast, Forecaster, Objectives, Readings
from ruptura.core.series.registry import Measure
from ruptura.forecast.factory import forecaster_factory
from ruptura.outputs.texts.forecasts import sentence
from tests.forecast.desk import MINUTE, Desk

EVERYTHING = Objectives(
    service_level_ratio=0.8,
    answer_within_seconds=30.0,
    longest_wait_seconds=120.0,
    abandonment_ratio=0.1,
    backlog_contacts=20.0,
    errors_ratio=0.05,
    request_seconds=2.0,
)
ANSWER = Objectives(service_level_ratio=0.8, answer_within_seconds=30.0)
TOLD_OF_THE_QUEUE: set[Measure] = {
    "opened_contacts",
    "handle_time",
    "abandoned_contacts",
    "waiting_contacts",
    "agents",
}


def forecaster(objectives: Objectives) -> Forecaster:
    made = forecaster_factory(MINUTE, 900.0, 1800.0, lambda *_: objectives)("service", "channel")
    assert made is not None
    return made


def steady(_: float) -> float:
    return 4.0


def rising(at: float) -> float:
    """From 4 contacts a minute to 8 in an hour, after four."""
    return 4.0 * (1.0 + min(max(at / MINUTE - 240.0, 0.0) / 60.0, 1.0))


def desk(rate: Callable[[float], float], agents: Callable[[float], int] = lambda _: 28) -> Desk:
    """Some 20 erlangs before 28 agents."""
    return Desk(5, rate, agents, aht=300.0, patience=240.0, target=30.0)


def told(
    subject: Forecaster, by: Desk, minutes: int, only: set[Measure] | None = None
) -> list[dict[Objective, Forecast]]:
    found = []
    for _ in range(minutes):
        readings = {k: v for k, v in by.minute().items() if only is None or k in only}
        found.append({f.objective: f for f in subject.update(readings, is_open=True)})
    return found


def first(found: list[dict[Objective, Forecast]], objective: Objective, probability: float) -> int:
    return next(
        minute
        for minute, by_objective in enumerate(found)
        if objective in by_objective and by_objective[objective].probability >= probability
    )


def text_of(forecast: Forecast) -> str:
    """What is said of a breach."""
    assert forecast.breach is not None
    return sentence(forecast.breach)


class TestWhatItNeeds:
    def test_without_objectives_there_is_no_forecast(self) -> None:
        make = forecaster_factory(MINUTE, 900.0, 1800.0, lambda *_: Objectives())
        assert make("service", "channel") is None

    def test_what_was_never_measured_is_not_forecast(self) -> None:
        assert told(forecaster(EVERYTHING), desk(steady), 60, only=set())[-1] == {}

    def test_agents_handle_times_and_arrivals_are_enough_for_the_queue(self) -> None:
        found = told(forecaster(EVERYTHING), desk(steady), 60, only=TOLD_OF_THE_QUEUE)[-1]
        assert set(found) == {"answer", "abandonment", "longest_wait", "backlog"}

    def test_without_agents_each_is_led_by_its_own_measurements(self) -> None:
        only: set[Measure] = {"waiting_contacts", "oldest_wait", "service_level"}
        found = told(forecaster(EVERYTHING), desk(steady), 60, only=only)[-1]
        assert set(found) == {"answer", "longest_wait", "backlog"}

    def test_mean_waits_stand_in_where_nobody_tells_who_was_late(self) -> None:
        subject = forecaster(ANSWER)
        for minute in range(60):
            found = subject.update({"wait": (2.0 + minute % 3, 0.0)}, is_open=True)
        assert found[0].now == pytest.approx(3.0, abs=0.3)
        assert found[0].probability < 0.1
        for minute in range(30):
            found = subject.update({"wait": (3.0 + minute, 0.0)}, is_open=True)
        # 80 % within 30 s is a mean of 18.6 s, where waits are exponential.
        assert found[0].probability > 0.8
        assert "now 1" in text_of(found[0])

    def test_a_closed_service_has_no_forecast_and_begins_anew(self) -> None:
        subject, by = forecaster(ANSWER), desk(steady)
        assert told(subject, by, 60)[-1]
        assert [subject.update({}, is_open=False) for _ in range(120)] == [()] * 120
        assert told(subject, by, 1)[-1] == {}
        assert told(subject, by, 30)[-1]

    def test_numbers_of_agents_stand_for_a_quarter_of_an_hour(self) -> None:
        subject, by = forecaster(ANSWER), desk(steady)
        told(subject, by, 60, only=TOLD_OF_THE_QUEUE)
        found = told(subject, by, 30, only=TOLD_OF_THE_QUEUE - {"agents"})
        assert all(found[:14])
        assert not any(found[16:])


class TestWhatItSays:
    def test_a_calm_desk_has_nothing_to_say(self) -> None:
        found = told(forecaster(EVERYTHING), desk(steady), 300)[30:]
        said = [f for by_objective in found for f in by_objective.values() if f.breach]
        assert len(said) < 0.05 * len(found)

    def test_a_rising_load_is_warned_of_before_the_objective_is_broken(self) -> None:
        found = told(forecaster(ANSWER), desk(rising), 330)
        warned = first(found, "answer", 0.5)
        broken = next(m for m, f in enumerate(found) if m > 30 and f["answer"].now > 0.2)
        assert warned > 240
        assert warned + 5 <= broken
        expected = found[warned]["answer"].seconds
        assert expected is not None
        assert 0.0 < expected <= 900.0
        assert expected == int(expected)

    def test_agents_who_leave_are_a_breach_to_come(self) -> None:
        found = told(
            forecaster(ANSWER), desk(steady, lambda at: 28 if at < 240 * MINUTE else 15), 300
        )
        assert max(f["answer"].probability for f in found[60:239]) < 0.5
        warned = first(found, "answer", 0.5)
        broken = next(m for m, f in enumerate(found) if m > 30 and f["answer"].now > 0.2)
        assert warned <= 241
        assert warned + 8 <= broken

    def test_what_is_broken_is_certain_and_now(self) -> None:
        found = told(forecaster(ANSWER), desk(rising), 330)[-1]["answer"]
        assert (found.probability, found.seconds) == (1.0, 0.0)
        assert "is broken now" in text_of(found)

    def test_the_text_gives_the_terms_of_the_load_and_they_add_up(self) -> None:
        found = told(forecaster(ANSWER), desk(rising), 330)
        text = text_of(found[first(found, "answer", 0.7)]["answer"])
        assert "0.8 of contacts are answered within 30 s" in text
        whole, agents, arrivals, queue = map(
            float,
            re.findall(r"(\d+)% of what (\d+) agents.* = (\d+)% arrivals .* \+ (\d+)% queue", text)[
                0
            ],
        )
        assert agents == 28
        assert whole == pytest.approx(arrivals + queue, abs=1.0)
        product, contacts, aht, fewer = map(
            float,
            re.findall(
                r"weigh ([\d.]+) times .* = ([\d.]+) cont.* x ([\d.]+) AHT x ([\d.]+)", text
            )[0],
        )
        assert product == pytest.approx(contacts * aht * fewer, abs=0.03)
        assert contacts > 1.1
        assert fewer == 1.0

    def test_a_bot_or_agents_of_several_chats_are_learned_from_what_gets_done(self) -> None:
        by = desk(steady)
        reported = forecaster(ANSWER)
        for _ in range(600):
            readings = dict(by.minute())
            readings["agents"] = (9.0, 0.0)  # each in three chats at once
            found = reported.update(readings, is_open=True)
        assert found[0].probability < 0.3


readings = st.fixed_dictionaries(
    {},
    optional={
        name: st.tuples(st.floats(0.0, 1e12), st.one_of(st.just(0.0), st.floats(0.0, 1e12)))
        for name in (
            *sorted(TOLD_OF_THE_QUEUE),
            "oldest_wait",
            "service_level",
            "abandonment",
            "errors",
            "latency",
            "wait",
        )
    },
)


class TestRestored:
    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.tuples(readings, st.booleans()), max_size=40))
    def test_it_goes_on_without_a_difference_whatever_was_measured(
        self, buckets: list[tuple[Readings, bool]]
    ) -> None:
        subject, again = forecaster(EVERYTHING), forecaster(EVERYTHING)
        for measured, is_open in buckets:
            found = subject.update(measured, is_open=is_open)
            assert again.update(measured, is_open=is_open) == found
            for one in found:
                assert 0.0 <= one.probability <= 1.0
                numbers = (one.now, one.ahead, one.lower, one.upper, one.seconds or 0.0)
                assert all(map(math.isfinite, numbers))
            state = again.dump()
            again = forecaster(EVERYTHING)
            again.load(state)

    def test_a_desk_is_taken_over_in_the_middle_of_a_rise(self) -> None:
        subject, by = forecaster(EVERYTHING), desk(rising)
        told(subject, by, 270)
        again = forecaster(EVERYTHING)
        again.load(subject.dump())
        for _ in range(60):
            measured = by.minute()
            assert again.update(measured, is_open=True) == subject.update(measured, is_open=True)

    def test_a_changed_objective_keeps_the_rest(self) -> None:
        subject, by = forecaster(EVERYTHING), desk(steady)
        told(subject, by, 60)
        fewer = forecaster(ANSWER)
        fewer.load(subject.dump())
        assert told(fewer, by, 1)[-1]

    def test_the_state_is_small(self) -> None:
        subject = forecaster(Objectives(service_level_ratio=0.8, answer_within_seconds=30.0))
        told(subject, desk(steady), 60)
        assert sum(map(len, subject.dump().values())) < 110
        everything = forecaster(EVERYTHING)
        told(everything, desk(steady), 60)
        assert sum(map(len, everything.dump().values())) < 200

    @pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 1e38])
    def test_numbers_that_are_not_finite_or_out_of_range_are_refused(self, poison: float) -> None:
        subject = forecaster(EVERYTHING)
        told(subject, desk(steady), 60)
        tried = 0
        for name, state in subject.dump().items():
            for bad in with_number(msgspec.msgpack.decode(state), poison):
                tried += 1
                with pytest.raises(ValueError, match=r"not finite|out of range|covariance"):
                    forecaster(EVERYTHING).load({name: msgspec.msgpack.encode(bad)})
        assert tried > 20

    def test_a_state_cut_short_or_too_long_is_refused(self) -> None:
        subject = forecaster(EVERYTHING)
        told(subject, desk(steady), 60, only={"oldest_wait", "latency"})
        for name, state in subject.dump().items():
            for bad in (state[:-1], state[:3], state + b"x", state + b"four"):
                with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's own
                    forecaster(EVERYTHING).load({name: bad})
            version, parts = msgspec.msgpack.decode(state)
            for at, part in enumerate(parts):
                if isinstance(part, bytes):
                    for cut in (part[:-1], part[:-4], part + b"four", b""):
                        other = [*parts[:at], cut, *parts[at + 1 :]]
                        with pytest.raises(ValueError, match=r"not the state|vector|out of range"):
                            forecaster(EVERYTHING).load(
                                {name: msgspec.msgpack.encode((version, other))}
                            )

    def test_a_part_of_another_version_alone_starts_afresh(self) -> None:
        subject = forecaster(EVERYTHING)
        told(subject, desk(steady), 60)
        held, fresh = subject.dump(), forecaster(EVERYTHING).dump()
        for name in held:
            again = forecaster(EVERYTHING)
            again.load(held | {name: msgspec.msgpack.encode((99, "unheard of"))})
            found = again.dump()
            assert found.pop(name, None) == fresh.get(name)
            assert found == {other: state for other, state in held.items() if other != name}


def with_number(state: Any, poison: float) -> Iterator[Any]:
    """The state of a part, each time with another of its numbers put in place."""
    version, parts = state
    for at, part in enumerate(parts):
        if isinstance(part, float):
            yield version, [*parts[:at], poison, *parts[at + 1 :]]
        elif isinstance(part, bytes):
            for place in range(0, len(part), 4):
                bad = part[:place] + struct.pack("<f", poison) + part[place + 4 :]
                yield version, [*parts[:at], bad, *parts[at + 1 :]]


class TestHoursWithoutContacts:
    def test_a_queue_that_stands_still_before_idle_agents_is_forecast_without_end(self) -> None:
        subject = forecaster(Objectives(backlog_contacts=50.0))
        busy: Readings = {
            "opened_contacts": (60.0, 1.0),
            "resolved_contacts": (60.0, 1.0),
            "handle_time": (60.0, 1.0),
            "agents": (100.0, 1.0),
            "waiting_contacts": (1.0, 1.0),
        }
        for minute in range(1_500):
            idle = {**busy, "opened_contacts": (0.0, 1.0), "resolved_contacts": (0.0, 1.0)}
            for forecast in subject.update(busy if minute < 60 else idle, is_open=True):
                assert 0.0 <= forecast.probability <= 1.0

    def test_a_bad_evening_is_no_breach_the_next_morning(self) -> None:
        subject = forecaster(Objectives(abandonment_ratio=0.05))
        lost: Readings = {"opened_contacts": (10.0, 1.0), "abandonment": (3.0, 10.0)}
        well: Readings = {"opened_contacts": (10.0, 1.0), "abandonment": (0.0, 10.0)}
        for _ in range(60):
            evening = subject.update(lost, is_open=True)
        assert max(forecast.probability for forecast in evening) == 1.0
        for _ in range(14 * 60):
            assert not subject.update({}, is_open=False)
        for _ in range(30):
            for forecast in subject.update(well, is_open=True):
                assert forecast.probability < 0.5
                assert forecast.seconds is None
