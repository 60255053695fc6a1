"""Snapshots: a restored engine goes on undisturbed; what is no snapshot is refused."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import msgspec
import pytest

from ruptura.core import state as states
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.core.engine import Engine
from ruptura.outputs.texts.alerts import alert_document
from tests.simulation.contact_centre import (
    HOUR,
    METRICS,
    MONDAY,
    TICKETS,
    add,
    engine,
    merged,
    metric,
    record,
    records,
    run,
    ticket,
    ticks,
)

SETTINGS: dict[str, Any] = {"detection": {"warm_up_seconds": 3600}}
SPAN = 7 * HOUR


def inputs() -> list[Input]:
    """Seven hours of three channels; in the last two, one goes silent and one is flooded."""
    chance = Random(7)
    tickets, metrics = [], []
    for n in range(int(SPAN / 15)):
        at = MONDAY + 15 * n
        broken = at > MONDAY + 5 * HOUR
        if not broken:
            tickets.append((at, ticket(at, n, service="aurora", wait_seconds=chance.random())))
        for m in range(8 if broken else 1):
            number = n * 10 + m + 100_000
            tickets.append(
                (at, ticket(at, number, service="boreal", channel="voice", customer_id=f"c{m}"))
            )
            done = at + 400
            tickets.append(
                (done, ticket(done, number, "resolved", service="boreal", channel="voice"))
            )
        metrics.append((at, metric(at, "errors_ratio", numerator=n % 3, denominator=40)))
    delay = lambda: chance.random() * 20  # noqa: E731 - said once, used twice
    return merged(
        records(tickets, delay=delay),
        records(metrics, topic=METRICS, delay=delay),
        ticks(MONDAY + SPAN, MONDAY + SPAN + HOUR),
        ticks(MONDAY + SPAN, MONDAY + SPAN + HOUR, topic=METRICS),
    )


INPUTS = inputs()


def copied(subject: Engine) -> Engine:
    """A fresh engine with the state of another, carried over as bytes."""
    fresh = engine(**SETTINGS)
    for partition in subject.partitions():
        fresh.load_clock(partition, bytes(subject.dump_clock(partition)))
        for service in subject.services(partition):
            fresh.load(partition, service, bytes(subject.dump(partition, service)))
    return fresh


@pytest.fixture(scope="module")
def undisturbed() -> Effects:
    total = run(engine(**SETTINGS), INPUTS)
    assert {(a.service, a.kind) for a in total.alerts} >= {
        ("aurora", "silence"),
        ("boreal", "surge"),
    }
    return total


@pytest.fixture(scope="module")
def snapshots() -> tuple[bytes, bytes]:
    """The state of a service with an open alert, and of its partition's clock."""
    subject = engine(**SETTINGS)
    total = run(subject, [i for i in INPUTS if time_of(i) < MONDAY + 5.5 * HOUR])
    assert any(a.service == "boreal" for a in total.alerts)
    return subject.dump(0, "boreal"), subject.dump_clock(0)


class TestRestored:
    @pytest.mark.parametrize("share", [0.0, 0.001, 0.13, 0.5, 0.71, 0.85, 0.99, 1.0])
    def test_an_engine_restored_anywhere_goes_on_undisturbed(
        self, share: float, undisturbed: Effects
    ) -> None:
        cut = int(len(INPUTS) * share)
        subject, total = engine(**SETTINGS), Effects()
        add(total, run(subject, INPUTS[:cut]))
        add(total, run(copied(subject), INPUTS[cut:]))
        assert total == undisturbed

    def test_an_engine_restored_again_and_again_goes_on_undisturbed(
        self, undisturbed: Effects
    ) -> None:
        subject, total = engine(**SETTINGS), Effects()
        for at in range(0, len(INPUTS), 1777):
            subject = copied(subject)
            add(total, run(subject, INPUTS[at : at + 1777]))
        assert total == undisturbed

    def test_a_dump_changes_nothing_and_marks_the_service_clean(self) -> None:
        subject = engine(**SETTINGS)
        run(subject, INPUTS[:3000])
        assert set(subject.services(0, changed=True)) == {"aurora", "boreal", "loja-aurora"}
        first = subject.dump(0, "boreal")
        assert "boreal" not in subject.services(0, changed=True)
        run(subject, INPUTS[3000:3050])
        assert "boreal" in subject.services(0, changed=True)
        assert first

    def test_records_that_a_state_reflects_are_not_applied_again_but_move_the_clock(
        self, undisturbed: Effects
    ) -> None:
        cut, back = 9000, 700
        subject, total = engine(**SETTINGS), Effects()
        add(total, run(subject, INPUTS[:cut]))
        fresh = engine(**SETTINGS)
        for service in subject.services(0):
            fresh.load(0, service, subject.dump(0, service))
        again = run(fresh, INPUTS[cut - back :])
        repeated = sum(again.repeated.values())
        assert repeated == back
        assert set(again.repeated) == {TICKETS, METRICS}
        assert total.alerts + again.alerts == undisturbed.alerts
        assert not again.late
        assert not again.duplicates

    def test_only_records_below_the_position_of_their_own_topic_are_repeats(self) -> None:
        subject = engine(**SETTINGS)
        run(subject, [record(ticket(MONDAY + n, n), n, MONDAY + n) for n in range(5)])
        fresh = engine(**SETTINGS)
        fresh.load(0, "loja-aurora", subject.dump(0, "loja-aurora"))
        effects = run(
            fresh,
            [
                record(ticket(MONDAY + 4, 4), 4, MONDAY + 4),
                record(ticket(MONDAY + 5, 5), 5, MONDAY + 5),
                record(metric(MONDAY, "wait", value=1.0), 0, MONDAY, topic=METRICS),
            ],
        )
        assert effects.repeated == {TICKETS: 1}
        assert effects.consumed == {TICKETS: 2, METRICS: 1}
        assert effects.event_times == {(TICKETS, 0): MONDAY + 5, (METRICS, 0): MONDAY}

    def test_a_repeat_alone_moves_the_clock(self) -> None:
        subject = engine(**SETTINGS)
        run(subject, [record(ticket(MONDAY, 0), 7, MONDAY)])
        fresh = engine(**SETTINGS)
        fresh.load(0, "loja-aurora", subject.dump(0, "loja-aurora"))
        effects = run(fresh, [record(ticket(MONDAY, 0), 7, MONDAY)])
        assert effects.event_times == {(TICKETS, 0): MONDAY}
        assert effects.repeated == {TICKETS: 1}

    def test_a_dump_made_while_repeats_are_read_keeps_the_higher_position(self) -> None:
        subject = engine(**SETTINGS)
        history = [record(ticket(MONDAY + n, n), n, MONDAY + n) for n in range(200)]
        run(subject, history)
        second = engine(**SETTINGS)
        second.load(0, "loja-aurora", subject.dump(0, "loja-aurora"))
        run(second, history[50:60])
        third = engine(**SETTINGS)
        third.load(0, "loja-aurora", second.dump(0, "loja-aurora"))
        assert run(third, history[60:]).repeated == {TICKETS: 140}

    def test_a_forgotten_partition_is_gone_and_may_come_back(self) -> None:
        subject = engine(**SETTINGS)
        run(subject, INPUTS[:3000])
        assert len(subject.forget(0)) == 3
        assert subject.partitions() == ()
        assert subject.forget(0) == ()
        with pytest.raises(KeyError):
            subject.dump(0, "boreal")


def poisoned(component: list[Any], poison: float) -> Iterator[tuple[int, Any]]:
    """Places of a component's state, each with what it holds once a number is another one."""
    first = next(at for at, value in enumerate(component) if isinstance(value, float))
    yield first, poison
    for at, value in enumerate(component):
        if isinstance(value, bytes):
            for place in (0, len(value) // 2 & ~7, len(value) - 8):
                yield at, value[:place] + struct.pack("<d", poison) + value[place + 8 :]


class TestDamage:
    def test_a_snapshot_cut_short_anywhere_is_refused(self, snapshots: tuple[bytes, bytes]) -> None:
        service, clock = snapshots
        fresh = engine(**SETTINGS)
        for length in range(0, len(service), 97):
            with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's own
                fresh.load(0, "boreal", service[:length])
        for length in range(len(clock)):
            with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's own
                fresh.load_clock(0, clock[:length])
        assert fresh.services(0) == ()

    def test_any_bytes_changed_are_refused_or_harmless(
        self, snapshots: tuple[bytes, bytes]
    ) -> None:
        chance = Random(1)
        rest = [i for i in INPUTS if time_of(i) >= MONDAY + 5.5 * HOUR][:800]
        refused = 0
        for attempt in range(300):
            service, clock = (bytearray(part) for part in snapshots)
            for _ in range(chance.choice((1, 2, 30))):
                part = clock if chance.random() < 0.2 else service
                part[chance.randrange(len(part))] = chance.choice((0, 0x7F, 0xC0, 0xFF, 0xCB, 200))
            fresh = engine(**SETTINGS)
            try:
                fresh.load_clock(0, bytes(clock))
                fresh.load(0, "boreal", bytes(service))
            except ValueError:
                refused += 1
                continue
            if attempt % 10 == 0:
                _assert_publishable(fresh.step(rest))
        assert refused > 30

    @pytest.mark.parametrize(
        "garbage", [b"", b"\xc1", b"\x90", b"\x91" * 50_000, b"{}", b"\xff" * 9]
    )
    def test_garbage_is_refused(self, garbage: bytes) -> None:
        fresh = engine(**SETTINGS)
        with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's own
            fresh.load(0, "boreal", garbage)
        with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's own
            fresh.load_clock(0, garbage)

    def test_states_of_another_shape_or_version_are_refused(
        self, snapshots: tuple[bytes, bytes]
    ) -> None:
        other = engine(window={"bucket_seconds": 120})
        with pytest.raises(ValueError, match="other settings"):
            other.load(0, "boreal", snapshots[0])
        with pytest.raises(ValueError, match="other settings"):
            other.load_clock(0, snapshots[1])
        newer = msgspec.msgpack.decode(snapshots[0])
        newer[0] += 1
        with pytest.raises(ValueError, match="version"):
            engine(**SETTINGS).load(0, "boreal", msgspec.msgpack.encode(newer))

    @pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 1e300])
    def test_numbers_of_a_snapshot_have_to_be_finite(
        self, poison: float, snapshots: tuple[bytes, bytes]
    ) -> None:
        tried = 0
        state = msgspec.msgpack.decode(snapshots[0], strict=False)
        for put in _floats(state):
            tried += 1
            undo = put(poison)
            assert _refusals(state)
            put(undo)
        assert tried > 50
        assert not _refusals(state)

    @pytest.mark.parametrize("poison", [math.nan, -math.inf, -1e9, 1e300])
    def test_numbers_of_a_model_have_to_be_finite(
        self, poison: float, snapshots: tuple[bytes, bytes]
    ) -> None:
        state = msgspec.msgpack.decode(snapshots[0])
        tried = 0
        for channel in state[3][states.DETECTORS][1].values():
            for detector in channel[0].values():
                for _, component in detector[3:]:
                    for at, bad in poisoned(component, poison):
                        good, component[at] = component[at], bad
                        tried += 1
                        if not _refusals(state):
                            assert poison == -1e9  # a sum below zero is a number all the same
                            fresh = engine(**SETTINGS)
                            fresh.load(0, "boreal", msgspec.msgpack.encode(state))
                            _assert_publishable(fresh.step(INPUTS[9000:9400]))
                        component[at] = good
        assert tried > 20

    @pytest.mark.parametrize("next_bucket", [-(10**18), -2, 0, 10**18])
    def test_a_state_out_of_its_time_is_refused(
        self, next_bucket: int, snapshots: tuple[bytes, bytes]
    ) -> None:
        state = msgspec.msgpack.decode(snapshots[0])
        state[2][1][0] = next_bucket
        with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's own
            engine(**SETTINGS).load(0, "boreal", msgspec.msgpack.encode(state))

    def test_a_refused_state_leaves_the_engine_as_it_was(
        self, snapshots: tuple[bytes, bytes]
    ) -> None:
        subject = engine(**SETTINGS)
        run(subject, INPUTS[:3000])
        before = subject.dump(0, "aurora")
        with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's own
            subject.load(0, "aurora", snapshots[0][:-1])
        assert subject.dump(0, "aurora") == before


Put = Callable[[Any], Any]


def _refusals(state: Any) -> list[str]:
    """Why a state is not taken, or not in part."""
    try:
        return list(engine(**SETTINGS).load(0, "boreal", msgspec.msgpack.encode(state)))
    except ValueError as error:
        return [str(error)]


def _floats(node: Any) -> list[Put]:
    """A setter for every float below a node; each returns what was there."""
    found: list[Put] = []
    places = node.items() if isinstance(node, dict) else enumerate(node)
    for place, value in list(places):
        if isinstance(value, (dict, list)):
            found += _floats(value)
        elif isinstance(value, float):

            def put(new: Any, place: Any = place) -> Any:
                old, node[place] = node[place], new
                return old

            found.append(put)
    return found


def _assert_publishable(effects: Effects) -> None:
    for alert in effects.alerts:
        msgspec.json.decode(msgspec.json.encode(alert_document(alert)))
    for point in effects.points:
        for number in (point.observed, point.expected, point.lower, point.upper, point.score):
            assert number is None or math.isfinite(number)


def time_of(item: Record | Tick) -> float:
    return item.now if isinstance(item, Tick) else item.timestamp
