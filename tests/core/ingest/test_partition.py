"""Ingest: what it keeps at hand from record to record of a run never changes the outcome.

A record alone in its step finds nothing at hand: all its checks are made. A run of records must
come to the same effects and the same state, byte for byte.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.assembly.build import build_config
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import LAST_MOMENT
from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.core.engine import Engine
from ruptura.settings import Settings
from tests.simulation.contact_centre import METRICS, MONDAY, TICKETS, add, engine, metric, ticket

SETTINGS: dict[str, Any] = {
    "window": {
        "bucket_seconds": 60,
        "lateness_seconds": 30.0,
        "duplicate_seconds": 120.0,
        "max_channels": 3,
        "max_metrics": 2,
        "expire_seconds": 3600,
        "idle_seconds": 10.0,
    },
    "detection": {"warm_up_seconds": 3600},
}


def forgetful() -> Engine:
    """An engine that remembers few event ids."""
    config = build_config(msgspec.convert(SETTINGS, Settings))
    window = msgspec.structs.replace(config.ingest.window, duplicate_ids=12)
    ingest = msgspec.structs.replace(config.ingest, window=window)
    return Engine(msgspec.structs.replace(config, ingest=ingest))


moves = st.tuples(
    st.sampled_from([TICKETS, TICKETS, METRICS]),
    st.sampled_from([-90.0, -20.0, -1.0, 0.0, 1.0, 5.0, 17.0, 59.0, 200.0, 1500.0]),  # of time
    st.sampled_from(["aurora", "aurora", "boreal"]),
    st.sampled_from(["voice", "voice", "app"]),
    st.integers(0, 30),  # of the event_id and the metric
    st.sampled_from([1, 1, 1, 1, 2, -3]),  # of the offset
    st.sampled_from(["key", "key", "key", "other key", "no document", "future", "tick"]),
)


def inputs(steps: list[tuple[Any, ...]]) -> list[Input]:
    """Records of two topics: late, twice, misrouted, read again, unreadable."""
    found: list[Input] = []
    now, newest = MONDAY + 3600.0, MONDAY + 3600.0
    offsets = {TICKETS: 0, METRICS: 0}
    for topic, pace, service, channel, number, stride, form in steps:
        at = now + pace
        newest = max(newest, at)
        if pace > 0.0:
            now = at
        if form == "tick":
            found.append(Tick(topic, 0, newest))
            continue
        offsets[topic] = max(offsets[topic] + stride, 0)
        where = {"service": service, "channel": channel, "event_id": f"e{number}"}
        document = (
            ticket(at, number, ("opened", "closed", "rated")[number % 3], **where)
            if topic == TICKETS
            else metric(at, f"m{number % 4}", value=float(number), **where)
        )
        value = b"{" if form == "no document" else msgspec.json.encode(document)
        key = b"other" if form == "other key" else service.encode()
        timestamp = newest - (4000.0 if form == "future" else 0.0)
        found.append(Record(topic, 0, offsets[topic], timestamp, key, value))
    return found


def state(subject: Engine) -> tuple[Any, ...]:
    """All that an engine remembers of its partition, and who changed."""
    if not subject.partitions():
        return ()
    changed = subject.services(0, changed=True)
    return (
        changed,
        {name: msgspec.msgpack.decode(subject.dump(0, name)) for name in subject.services(0)},
        subject.dump_clock(0),
    )


def split(subject: Engine, held: list[Input], edges: list[int]) -> Effects:
    """Drive an engine in steps that end at these places."""
    total = Effects()
    for begin, end in pairwise([0, *edges, len(held)]):
        add(total, subject.step(held[begin:end]))
    return total


@given(st.lists(moves, max_size=60), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_a_run_comes_to_what_its_records_come_to_one_by_one(
    steps: list[tuple[Any, ...]], restart: int
) -> None:
    held = inputs(steps)
    whole, single = forgetful(), forgetful()
    before, after = held[:restart], held[max(restart - 5, 0) :]
    for part in (before, after):
        assert whole.step(part) == split(single, part, list(range(1, len(part))))
        assert state(whole) == state(single)
        if part is before:  # the rest meets what a state reflects: five records, and those behind
            whole, single = (restored(subject) for subject in (whole, single))


def restored(subject: Engine) -> Engine:
    """A new engine with the services of another; their clock is lost."""
    fresh = forgetful()
    for name in subject.services(0):
        fresh.load(0, name, subject.dump(0, name))
    return fresh


def at_once(*found: Record) -> Effects:
    """A run that ends with the ticks that close its buckets."""
    end = max(r.timestamp for r in found) + 300.0
    ticks = [Tick(topic, 0, end + 60.0 * n) for n in range(4) for topic in (TICKETS, METRICS)]
    return forgetful().step([*found, *ticks])


def opened(at: float, offset: int, **fields: Any) -> Record:
    service = fields.get("service", "aurora")
    document = ticket(at, offset, **({"service": "aurora", "channel": "voice"} | fields))
    return Record(TICKETS, 0, offset, at, service.encode(), msgspec.json.encode(document))


def test_events_in_turns_on_both_sides_of_an_edge_go_to_their_own_buckets() -> None:
    edge = MONDAY + 60.0
    effects = at_once(*(opened(edge + (5 if n % 2 else -5), n) for n in range(11)))
    counts = {p.start: p.observed for p in effects.points if p.series == "tickets.opened"}
    assert counts[MONDAY] == 6
    assert counts[edge] == 5


def test_what_is_at_hand_is_let_go_when_its_bucket_closes() -> None:
    heard = Tick(METRICS, 0, MONDAY + 4000.0)
    run: list[Input] = [heard, Tick(METRICS, 0, MONDAY + 4060.0)]
    run += [opened(MONDAY + 10, 0), opened(MONDAY + 200, 1), opened(MONDAY + 11, 2)]
    assert forgetful().step(run).late == {TICKETS: 1}


def test_a_record_read_again_is_a_repeat_though_a_later_one_came_first() -> None:
    subject = forgetful()
    subject.step([opened(MONDAY + n, n) for n in range(3)])
    run = [opened(MONDAY + 9, 3), opened(MONDAY + 8, 1, event_id="new"), opened(MONDAY + 9, 4)]
    effects = restored(subject).step(run)
    assert effects.repeated == {TICKETS: 1}
    assert not effects.duplicates


@pytest.mark.parametrize(("at", "refused"), [(LAST_MOMENT - 1.0, 0), (LAST_MOMENT, 1)])
def test_the_last_bucket_ends_with_the_last_moment(at: float, refused: int) -> None:
    long = engine(window={"bucket_seconds": 420})  # the last moment lies within a bucket
    assert LAST_MOMENT % 420
    effects = long.step([opened(LAST_MOMENT - 9.0, 0), opened(at, 1)])
    assert len(effects.rejections) == refused
