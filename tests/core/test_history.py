"""What was learned from history spares channels their warm-up, and nothing else comes with it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.assembly.build import build_engine
from ruptura.core import history
from ruptura.core.contracts.effects import Effects
from ruptura.core.engine import Engine
from ruptura.settings import Settings
from tests.simulation.contact_centre import (
    DAY,
    HOUR,
    METRICS,
    MONDAY,
    SERVICE,
    TICKETS,
    contacts,
    day_shape,
    lives,
    merged,
    metric,
    records,
    run,
    ticks,
)

SETTINGS = Settings()
PAST = 2 * DAY
LATER = MONDAY + 30 * DAY


def days(start: float, span: float, seed: int, quiet_from: float = float("inf")) -> list[Any]:
    """Contacts and metrics of a channel; from a moment on, no more contacts."""
    moments = contacts(day_shape(120.0), 216.0, start, start + span, seed)
    told = [
        each
        for each in lives(moments[moments < quiet_from].tolist(), seed)
        if each[0] < start + span
    ]
    measured = [
        (at, metric(at, "errors_ratio", numerator=1, denominator=90))
        for at in (start + 60.0 * n + 5.0 for n in range(int(span / 60)))
    ]
    return merged(
        records(told),
        records(measured, topic=METRICS),
        ticks(start, start + span + 120.0),
        ticks(start, start + span + 120.0, topic=METRICS),
    )


def learned() -> bytes:
    engine = build_engine(SETTINGS)
    run(engine, days(MONDAY, PAST, seed=1))
    return history.dump((name, engine.dump(0, name)) for name in engine.services(0))


@pytest.fixture(scope="module")
def past() -> bytes:
    return learned()


def judged(engine: Engine, inputs: list[Any]) -> Effects:
    return run(engine, inputs)


def test_a_channel_that_begins_is_judged_from_its_first_bucket(past: bytes) -> None:
    told = days(LATER, HOUR, seed=2)
    cold, warm = judged(build_engine(SETTINGS), told), judged(build_engine(SETTINGS, past), told)
    assert all(point.score is None for point in cold.points)
    assert all(point.score is not None for point in warm.points)
    assert {point.series for point in warm.points} >= {"tickets.opened", "errors_ratio"}
    assert not warm.alerts, "what is as ever raises nothing, however long ago it was learned"


def test_a_rupture_in_the_first_hours_is_found(past: bytes) -> None:
    told = days(LATER + 9 * HOUR, 2 * HOUR, seed=3, quiet_from=LATER + 10 * HOUR)
    [opened] = [a for a in judged(build_engine(SETTINGS, past), told).alerts if a.sequence == 0]
    assert (opened.kind, opened.status) == ("silence", "warning") or opened.status == "critical"
    assert not judged(build_engine(SETTINGS), told).alerts


def test_nothing_of_the_past_itself_is_taken_over(past: bytes) -> None:
    engine = build_engine(SETTINGS, past)
    assert engine.partitions() == ()
    found = judged(engine, days(LATER, HOUR, seed=2))
    assert min(point.start for point in found.points) == LATER
    backlog = [p.observed for p in found.points if p.series == "tickets.backlog"]
    assert backlog[0] is not None
    assert backlog[0] < 20.0, "open tickets of the past are not counted"
    assert engine.position(TICKETS, 0) is not None


def test_a_restored_engine_does_not_need_it_again(past: bytes) -> None:
    told = days(LATER, 2 * HOUR, seed=4)
    cut = len(told) // 2
    whole, begun = build_engine(SETTINGS, past), build_engine(SETTINGS, past)
    expected = judged(whole, told)
    first = judged(begun, told[:cut])
    heir = build_engine(SETTINGS)
    heir.load_clock(0, begun.dump_clock(0))
    heir.load(0, SERVICE, begun.dump(0, SERVICE))
    second = judged(heir, told[cut:])
    assert [*first.points, *second.points] == expected.points


def test_a_service_whose_records_lay_in_several_partitions_keeps_all_channels(
    past: bytes,
) -> None:
    engine = build_engine(SETTINGS)
    run(engine, days(MONDAY, PAST, seed=1))
    state = engine.dump(0, SERVICE)
    twice = history.dump([(SERVICE, state), (SERVICE, state), ("other", state)])
    warm = build_engine(SETTINGS, twice)
    assert all(point.score is not None for point in judged(warm, days(LATER, HOUR, 2)).points)
    assert history.dump([(SERVICE, state)]) == past


def test_what_was_learned_does_not_make_the_order_of_topics_matter(past: bytes) -> None:
    """Zero tickets are counted from the first ticket on, whenever it was delivered."""
    start = LATER + 10 * HOUR
    tickets = records(list(lives([start + 540.0, start + 545.0], 1)))
    measured = records(
        [
            (at, metric(at, "errors_ratio", numerator=1, denominator=90))
            for at in (start + 60.0 * n + 5.0 for n in range(90))
        ],
        topic=METRICS,
    )
    ends = [
        *ticks(start + HOUR, start + 2 * HOUR),
        *ticks(start + HOUR, start + 2 * HOUR, topic=METRICS),
    ]
    early = build_engine(SETTINGS, past)
    late = build_engine(SETTINGS, past)
    one = judged(early, [*tickets, *measured, *ends])
    other = judged(late, [*merged(tickets, measured), *ends])
    assert sorted(one.points, key=repr) == sorted(other.points, key=repr)
    opened = [p for p in one.points if p.series == "tickets.opened"]
    assert opened
    assert min(p.start for p in opened) == start + 540.0


def test_a_history_of_other_settings_is_refused(past: bytes) -> None:
    other = msgspec.convert({"window": {"bucket_seconds": 300}}, Settings)
    with pytest.raises(ValueError, match="shaped by other settings"):
        build_engine(other, past)


@pytest.mark.parametrize(
    ("damaged", "text"),
    [
        (b"", "not a history"),
        (b"\x93\x01\x02\x03", "not a history"),
        (msgspec.msgpack.encode({"format": "x", "version": 1, "services": {}}), "'x' 1"),
        (
            msgspec.msgpack.encode({"format": history.FORMAT, "version": 9, "services": {}}),
            "'ruptura-history' 9, expected 'ruptura-history' 1",
        ),
    ],
)
def test_what_is_no_history_is_refused(damaged: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        build_engine(SETTINGS, damaged)


@settings(deadline=None, max_examples=60)
@given(at=st.floats(0.0, 1.0, exclude_max=True), flip=st.integers(1, 255))
def test_damaged_bytes_are_refused_or_give_an_engine_that_runs(at: float, flip: int) -> None:
    whole = bytearray(SMALL)
    whole[int(at * len(whole))] ^= flip
    try:
        engine = build_engine(SETTINGS, bytes(whole))
    except ValueError:
        return
    engine.step(days(LATER, 120.0, seed=5))


def _small() -> bytes:
    engine = build_engine(SETTINGS)
    run(engine, days(MONDAY, HOUR, seed=1))
    return history.dump((name, engine.dump(0, name)) for name in engine.services(0))


SMALL = _small()
