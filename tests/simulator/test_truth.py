"""The breach is the first minute at which a rolling objective is violated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ruptura.simulator import Scenario
from ruptura.simulator.curves import Curves
from ruptura.simulator.figures import Figures, figures
from ruptura.simulator.happenings import Happening
from ruptura.simulator.scenario import Channel, Objectives
from ruptura.simulator.station import Log
from ruptura.simulator.truth import Truth, breach, settled

MINUTES = 1440
ONSET, ENDS = 600, 720
Make = Callable[..., Scenario]


def happening(kind: str) -> Happening:
    return Happening(
        name="it", kind=kind, channels=["chat"], onset=ONSET, grown=ONSET, ends=ENDS, size=1.0
    )


def totals(channel: Channel, log: Log, curves: Curves, target: float = 60.0) -> Figures:
    return figures(
        channel,
        log,
        target=target,
        ordinary=np.ones(MINUTES),
        present=np.full(MINUTES, 5),
        curves=curves,
        rng=np.random.default_rng(0),
    )


def truths(channel: Channel, log: Log, curves: Curves) -> dict[str, Truth]:
    return {"chat": Truth(channel, Objectives(), curves, totals(channel, log, curves))}


def every_minute(wait: Callable[[int], float]) -> Log:
    """One contact a minute, taken after a wait that depends on the minute."""
    log = Log()
    for minute in range(MINUTES):
        log.entered.append(minute * 60.0 + 1.0)
        log.left.append(minute * 60.0 + 1.0 + wait(minute))
        log.handled.append(100.0)
    return log


def test_failing_requests_breach_when_their_mean_of_ten_minutes_passes_the_objective(
    scenario: Make,
):
    channel = scenario("platform = { errors_ratio = 0 }").channels[0]
    curves = Curves(channel, MINUTES)
    curves.failing[ONSET:ENDS] = 0.11
    found = truths(channel, every_minute(lambda _: 0.0), curves)

    # Five minutes of 0.11 in ten make 0.055; the breach is the end of the fifth.
    assert breach(happening("error_creep"), found) == ONSET + 5
    assert settled(happening("error_creep"), ["chat"], found) == ENDS + 5


def test_latency_breaches_when_its_mean_of_ten_minutes_passes_the_objective(scenario: Make):
    channel = scenario("platform = { request_seconds = 1 }").channels[0]
    curves = Curves(channel, MINUTES)
    curves.latency[ONSET:ENDS] = 5.5
    found = truths(channel, every_minute(lambda _: 0.0), curves)

    # Nine minutes of 1 s and 5.5 s in turn: 3 of 5.5 s and 7 of 1 s make 2.35 s, 2 make 1.9 s.
    assert breach(happening("latency_creep"), found) == ONSET + 3


def test_the_service_level_breaches_when_a_fifth_of_the_last_half_hour_waits_too_long(
    scenario: Make,
):
    channel = scenario().channels[0]
    log = every_minute(lambda minute: 300.0 if ONSET <= minute < ENDS else 5.0)
    found = truths(channel, log, Curves(channel, MINUTES))

    # A contact is late once it has waited for a minute. So nothing is decided in the first minute,
    # and at the end of the seventh 6 of 29 are late. The last late one is decided beside one in
    # time, in the minute after the end: 25 of 31 are in time again in the 25th minute after it.
    assert breach(happening("staffing_shortage"), found) == ONSET + 7
    assert settled(happening("staffing_shortage"), ["chat"], found) == ENDS + 24


def test_abandonment_breaches_when_over_a_tenth_of_ten_minutes_give_up(scenario: Make):
    channel = scenario().channels[0]
    log = every_minute(lambda _: 5.0)
    log.handled[ONSET:ENDS] = [-1.0] * (ENDS - ONSET)
    found = truths(channel, log, Curves(channel, MINUTES))

    assert breach(happening("slow_backlog"), found) == ONSET + 2


def test_waves_of_exceptions_breach_at_a_multiple_of_their_rate_and_nothing_else_does(
    scenario: Make,
):
    channel = scenario().channels[0]
    curves = Curves(channel, MINUTES)
    curves.exceptions["policy"][ONSET:ENDS] = 6.0
    found = truths(channel, every_minute(lambda _: 0.0), curves)

    # Five minutes of 6 and five of 1 make 3.5, four make 3, which is not over it.
    assert breach(happening("exceptions_policy"), found) == ONSET + 5
    assert breach(happening("exceptions_product"), found) is None
    assert breach(happening("staffing_shortage"), found) is None


@pytest.mark.parametrize("kind", ["outage", "silent_feed"])
def test_an_outage_and_a_silence_are_felt_at_once(scenario: Make, kind: str):
    channel = scenario().channels[0]
    found = truths(channel, every_minute(lambda _: 0.0), Curves(channel, MINUTES))

    assert breach(happening(kind), found) == ONSET
    assert settled(happening(kind), ["chat"], found) == ENDS


def test_who_waits_is_counted_at_the_end_of_each_minute(scenario: Make):
    channel = scenario().channels[0]
    log = Log(entered=[10.0, 50.0, 130.0], left=[200.0, 55.0, 170.0], handled=[60.0, 60.0, -1.0])

    found = totals(channel, log, Curves(channel, MINUTES))

    assert found.queue[:4].tolist() == [1, 1, 1, 0]
    assert found.oldest[:4].tolist() == [50.0, 110.0, 170.0, 0.0]
    assert found.offered[:3].tolist() == [2, 0, 1]
    assert found.answered[:4].tolist() == [1, 0, 0, 1]
    assert found.given_up[:4].tolist() == [0, 0, 1, 0]
    assert found.in_time.sum() == 1
    assert found.due[:3].tolist() == [1, 1, 1]
