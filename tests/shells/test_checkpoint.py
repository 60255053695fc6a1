"""Checkpoints: whatever was written when the worker died, restoring it and reading on gives the
state of one that never died."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable

import msgspec
import pytest
from faust.types import TP

from ruptura.core.effects import Effects, SeriesPoint
from ruptura.core.engine import Engine
from ruptura.core.record import Record, Tick
from ruptura.shells.checkpoint import PART_BYTES, Checkpoint, Checkpoints, Entry
from tests.simulation.contact_centre import (
    HOUR,
    MONDAY,
    add,
    contacts,
    day_shape,
    engine,
    lives,
    records,
)

SERVICES = ("aurora", "brisa", "cedro")


def stream(hours: float = 6.0) -> list[Record]:
    """The tickets of three services in one partition."""
    told = [
        (at, document | {"event_id": f"{service}-{document['event_id']}"})
        for number, service in enumerate(SERVICES)
        for at, document in lives(
            contacts(day_shape(60.0), 120.0, MONDAY, MONDAY + hours * HOUR, number),
            number,
            service=service,
        )
    ]
    return [msgspec.structs.replace(r, timestamp=float(r.timestamp)) for r in records(told)]


def fresh() -> Engine:
    return engine(detection={"warm_up_seconds": 3600})


def feed(subject: Engine, told: list[Record]) -> Effects:
    """Step, and say that nothing comes from the other topic, so that buckets close."""
    total = Effects()
    if told:
        silence = Tick("ruptura.channel-metrics", 0, told[-1].timestamp)
        for inputs in (told, [silence], [silence]):
            add(total, subject.step(inputs))
    return total


def apply(changelog: dict[bytes, bytes], entries: list[Entry]) -> None:
    for _, key, value in entries:
        if value is None:
            changelog.pop(key, None)
        else:
            changelog[key] = value


def entries_of(checkpoint: Checkpoint) -> list[Entry]:
    return [entry for wave in checkpoint.waves for entry in wave]


def restored(changelog: dict[bytes, bytes], part_bytes: int = PART_BYTES) -> Engine:
    subject = fresh()
    _, refused = Checkpoints(subject, part_bytes).restore(0, changelog)
    assert refused == 0
    return subject


class Run:
    """An engine that reads on, saves in portions, and dies now and then."""

    def __init__(self, told: list[Record], part_bytes: int, chance: random.Random) -> None:
        self._told = told
        self._chance = chance
        self._part_bytes = part_bytes
        self.changelog: dict[bytes, bytes] = {}
        self.engine = fresh()
        self.checkpoints = Checkpoints(self.engine, part_bytes)
        self.at = self.crashes = self.between = 0

    @property
    def is_over(self) -> bool:
        return self.at >= len(self._told)

    def read(self, most: int) -> None:
        until = min(self.at + self._chance.randint(1, most), len(self._told))
        feed(self.engine, self._told[self.at : until])
        self.at = until

    def draft(self) -> Checkpoint:
        """A checkpoint, with steps of the engine between its portions."""
        position = self.engine.position("ruptura.tickets", 0) or 0
        draft = self.checkpoints.begin({TP("ruptura.tickets", 0): position})
        while not draft.is_complete:
            if self._chance.random() < 0.5 and not self.is_over:
                self.read(40)
                self.between += 1
            draft.collect()
        assert draft.positions == {TP("ruptura.tickets", 0): position}
        return draft

    def crash(self) -> None:
        self.crashes += 1
        self.engine = fresh()
        self.checkpoints = Checkpoints(self.engine, self._part_bytes)
        assert self.checkpoints.restore(0, self.changelog)[1] == 0
        self.at = self.engine.position("ruptura.tickets", 0) or 0


@pytest.mark.parametrize("part_bytes", [PART_BYTES, 500])
@pytest.mark.parametrize("seed", range(5))
def test_a_crash_at_any_entry_of_a_checkpoint_in_portions_changes_nothing(
    seed: int, part_bytes: int
) -> None:
    chance = random.Random(seed)
    told = stream()
    run = Run(told, part_bytes, chance)
    while not run.is_over:
        run.read(120)
        if chance.random() < 0.6:
            waves = run.draft().waves
            for wave in waves:
                chance.shuffle(wave)  # within a wave, entries arrive in any order
            written = [entry for wave in waves for entry in wave]
            is_cut = chance.random() < 0.4
            apply(run.changelog, written[: chance.randint(0, len(written))] if is_cut else written)
            if is_cut:
                run.crash()
        elif chance.random() < 0.3:
            run.crash()
    assert run.crashes
    assert run.between, "no step came between two portions: nothing was tried"
    undisturbed = fresh()
    feed(undisturbed, told)
    assert Outcome.of(run.engine) == Outcome.of(undisturbed)


@pytest.mark.parametrize("part_bytes", [PART_BYTES, 500])
@pytest.mark.parametrize("seed", range(5))
def test_a_crash_between_any_two_entries_changes_nothing(seed: int, part_bytes: int) -> None:
    chance = random.Random(seed)
    told = stream()
    subject, undisturbed = fresh(), fresh()
    checkpoints = Checkpoints(subject, part_bytes)
    changelog: dict[bytes, bytes] = {}
    at = crashes = 0
    while at < len(told):
        until = min(at + chance.randint(1, 120), len(told))
        feed(subject, told[at:until])
        at = until
        if chance.random() < 0.6:
            written = entries_of(checkpoints.take())
            if chance.random() < 0.3:
                # In the middle of it; within a wave, entries arrive in any order.
                wave_ends = chance.randint(0, len(written))
                apply(changelog, written[:wave_ends])
            else:
                apply(changelog, written)
                continue
        if chance.random() < 0.5:
            crashes += 1
            subject = restored(changelog, part_bytes)
            checkpoints = Checkpoints(subject, part_bytes)
            checkpoints.restore(0, changelog)
            at = subject.position("ruptura.tickets", 0) or 0
    assert crashes
    feed(undisturbed, told)
    expected = Outcome.of(undisturbed)
    assert len(expected.points) > 100
    assert Outcome.of(subject) == expected


class Outcome(msgspec.Struct):
    """What is to come of a state: all that its alerts and series will ever be."""

    alerts: list[bytes]
    points: list[SeriesPoint]

    @classmethod
    def of(cls, subject: Engine) -> Outcome:
        last = stream()[-1]
        later = [
            msgspec.structs.replace(
                record,
                offset=last.offset + 1 + number,
                timestamp=record.timestamp + 12 * HOUR,
                value=(record.value or b"").replace(b"2026-03-02T0", b"2026-03-02T1"),
            )
            for number, record in enumerate(stream(3.0))
        ]
        effects = feed(subject, later)
        return cls(
            [msgspec.json.encode(alert) for alert in effects.alerts],
            sorted(effects.points, key=lambda point: (point.service, point.series, point.start)),
        )


def test_a_checkpoint_holds_what_changed_since_the_last_one() -> None:
    subject = fresh()
    checkpoints = Checkpoints(subject)
    assert not checkpoints.is_due()
    told = stream(1.0)
    subject.step(told)
    assert checkpoints.is_due()
    assert checkpoints.take().services == len(SERVICES)
    assert not checkpoints.is_due()
    again = msgspec.structs.replace(
        told[-1],
        offset=told[-1].offset + 1,
        value=(told[-1].value or b"").replace(b'"event_id":"', b'"event_id":"again-'),
    )
    subject.step([again])
    assert checkpoints.take().services == 1


def test_the_clock_is_written_after_the_services_and_what_is_obsolete_last() -> None:
    subject = fresh()
    checkpoints = Checkpoints(subject, part_bytes=300)
    subject.step(stream(1.0))
    checkpoints.take()
    subject.step(stream(2.0))
    written: list[tuple[int, bytes]] = []
    open_: set[int] = set()

    async def write(
        _partition: int, key: bytes, value: bytes | None, epoch: int
    ) -> Awaitable[object]:
        assert epoch == 7
        number = len(written)
        written.append((number, key if value is not None else b"deleted " + key))
        open_.add(number)

        async def acknowledge() -> None:
            await asyncio.sleep(0)
            open_.discard(number)

        return asyncio.ensure_future(acknowledge())

    taken = checkpoints.begin(epochs={0: 7})
    while not taken.is_complete:
        taken.collect()
    size = asyncio.run(taken.write(write))
    assert size == sum(len(value or b"") for _, _, value in entries_of(taken))
    assert not open_, "all of it is acknowledged"
    kinds = [key.split(b"/")[1] if not key.startswith(b"del") else b"-" for _, key in written]
    assert kinds == sorted(kinds, key=[b"part", b"service", b"clock", b"-"].index)
    assert {b"part", b"service", b"clock", b"-"} == set(kinds)


def test_a_large_state_is_cut_into_entries_that_a_broker_takes() -> None:
    subject = fresh()
    subject.step(stream())
    checkpoints = Checkpoints(subject, part_bytes=400)
    changelog: dict[bytes, bytes] = {}
    apply(changelog, entries_of(checkpoints.take()))
    assert max(map(len, changelog.values())) <= 401
    assert any(key.startswith(b"0/part/") for key in changelog)
    assert Outcome.of(restored(changelog, 400)) == Outcome.of(subject)


def test_a_state_that_fits_again_leaves_no_parts_behind() -> None:
    subject = fresh()
    feed(subject, stream(2.0))
    changelog: dict[bytes, bytes] = {}
    apply(changelog, entries_of(Checkpoints(subject, part_bytes=400).take()))
    whole = Checkpoints(subject := restored(changelog, 400))
    whole.restore(0, changelog)
    feed(subject, stream(3.0)[len(stream(2.0)) :])
    apply(changelog, entries_of(whole.take()))
    assert set(changelog) == {b"0/clock", *(b"0/service/" + s.encode() for s in SERVICES)}
    assert Outcome.of(restored(changelog)) == Outcome.of(subject)


def test_a_service_that_is_gone_is_deleted() -> None:
    subject = engine(window={"expire_seconds": 3600})
    checkpoints = Checkpoints(subject)
    told = stream(0.2)
    subject.step(told)
    changelog: dict[bytes, bytes] = {}
    apply(changelog, entries_of(checkpoints.take()))
    assert b"0/service/aurora" in changelog
    other = msgspec.structs.replace(
        told[-1],
        offset=told[-1].offset + 1,
        timestamp=told[-1].timestamp + 30 * HOUR,
        key=b"duna",
        value=b'{"event_id":"1","ticket_id":"1","type":"opened","service":"duna","channel":"c",'
        b'"occurred_at":"2026-03-03T05:00:00Z"}',
    )
    subject.step([other, *[Tick("ruptura.channel-metrics", 0, other.timestamp) for _ in range(3)]])
    apply(changelog, entries_of(checkpoints.take()))
    assert set(changelog) == {b"0/clock", b"0/service/duna"}


def test_partitions_do_not_mix() -> None:
    changelog: dict[bytes, bytes] = {}
    for partition in (0, 1, 10):
        subject = fresh()
        told = [msgspec.structs.replace(r, partition=partition) for r in stream(1.0)]
        subject.step(told[: 20 + partition])
        apply(changelog, entries_of(Checkpoints(subject).take()))
    for partition in (0, 1, 10):
        subject = fresh()
        Checkpoints(subject).restore(partition, changelog)
        assert subject.partitions() == (partition,)
        assert subject.position("ruptura.tickets", partition) == 20 + partition


def test_nothing_is_restored_without_a_clock() -> None:
    subject = fresh()
    subject.step(stream(1.0))
    changelog: dict[bytes, bytes] = {}
    apply(changelog, entries_of(Checkpoints(subject).take()))
    del changelog[b"0/clock"]
    other = fresh()
    assert Checkpoints(other).restore(0, changelog) == (0, 0)
    assert other.services(0) == ()


def test_state_of_other_settings_is_refused_as_a_whole() -> None:
    subject = fresh()
    subject.step(stream(1.0))
    changelog: dict[bytes, bytes] = {}
    apply(changelog, entries_of(Checkpoints(subject).take()))
    other = engine(window={"bucket_seconds": 120})
    assert Checkpoints(other).restore(0, changelog) == (0, 1)
    assert other.services(0) == ()
    assert other.position("ruptura.tickets", 0) is None


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\x00",
        b"\x00rubbish",
        b"\x01",
        b"\x01\x92\x00\x05",
        b"\x01\x92\x00\xcf" + (1 << 62).to_bytes(8, "big"),  # more parts than memory has keys for
        b"\x01\x92\xff\x01",
        b"\x02abc",
        b"\x01\x93",
        b"\xff" * 9,
    ],
)
def test_a_damaged_entry_costs_its_service_and_no_other(damage: bytes) -> None:
    subject = fresh()
    subject.step(stream(1.0))
    changelog: dict[bytes, bytes] = {}
    apply(changelog, entries_of(Checkpoints(subject).take()))
    changelog[b"0/service/brisa"] = damage
    other = fresh()
    assert Checkpoints(other).restore(0, changelog) == (2, 1)
    assert set(other.services(0)) == {"aurora", "cedro"}


def test_a_flipped_bit_is_noticed() -> None:
    subject = fresh()
    subject.step(stream(1.0))
    changelog: dict[bytes, bytes] = {}
    apply(changelog, entries_of(Checkpoints(subject).take()))
    entry = bytearray(changelog[b"0/service/brisa"])
    entry[len(entry) // 2] ^= 4
    changelog[b"0/service/brisa"] = bytes(entry)
    assert Checkpoints(fresh()).restore(0, changelog)[1] == 1


def test_a_frame_that_claims_to_be_huge_is_refused_unopened() -> None:
    subject = fresh()
    subject.step(stream(1.0))
    changelog: dict[bytes, bytes] = {}
    apply(changelog, entries_of(Checkpoints(subject).take()))
    # A Zstandard header with a content size of 2^62 bytes.
    changelog[b"0/service/brisa"] = b"\x00\x28\xb5\x2f\xfd\xe0" + (1 << 62).to_bytes(8, "little")
    assert Checkpoints(fresh()).restore(0, changelog) == (2, 1)


def test_a_partition_that_is_taken_from_us_in_the_midst_is_not_written() -> None:
    subject = fresh()
    for partition in (0, 1):
        subject.step([msgspec.structs.replace(r, partition=partition) for r in stream(0.5)])
    checkpoints = Checkpoints(subject, part_bytes=400)
    sources = {TP("ruptura.tickets", 0): 5, TP("ruptura.tickets", 1): 6}
    draft = checkpoints.begin(sources, {0: 3, 1: 4})
    for _ in range(len(SERVICES) + 1):  # all of the first, and one of the second
        draft.collect()
    checkpoints.forget(1)
    draft.forget(1)
    subject.forget(1)
    assert draft.is_complete
    assert draft.positions == {TP("ruptura.tickets", 0): 5}
    written: list[tuple[int, int]] = []

    async def write(
        partition: int, _key: bytes, _value: bytes | None, epoch: int
    ) -> Awaitable[object]:
        written.append((partition, epoch))
        if len(written) == 2:
            draft.forget(0)  # while the brokers are slow
        return asyncio.sleep(0)

    asyncio.run(draft.write(write))
    assert written == [(0, 3), (0, 3)]


def test_nothing_is_written_to_partitions_without_an_epoch() -> None:
    subject = fresh()
    for partition in (0, 1):
        subject.step([msgspec.structs.replace(r, partition=partition) for r in stream(0.2)])
    draft = Checkpoints(subject).begin(epochs={1: 9})
    while not draft.is_complete:
        draft.collect()
    seen: set[tuple[int, int]] = set()

    async def write(
        partition: int, _key: bytes, _value: bytes | None, epoch: int
    ) -> Awaitable[object]:
        seen.add((partition, epoch))
        return asyncio.sleep(0)

    asyncio.run(draft.write(write))
    assert seen == {(1, 9)}


def test_a_service_that_goes_while_the_checkpoint_is_collected_is_left_out() -> None:
    subject = fresh()
    subject.step(stream(0.5))
    draft = Checkpoints(subject).begin()
    subject.forget(0)
    while not draft.is_complete:
        draft.collect()
    assert draft.services == 0
    assert [len(wave) for wave in draft.waves] == [0, 0, 1, 0]


def test_restoring_in_steps_is_a_service_at_a_time_and_gives_what_restoring_at_once_gives() -> None:
    subject = fresh()
    subject.step(stream(1.0))
    changelog: dict[bytes, bytes] = {}
    apply(changelog, entries_of(Checkpoints(subject).take()))
    other = fresh()
    steps = Checkpoints(other).restore_in_steps(0, changelog)
    restored_by_step = []
    try:
        while True:
            next(steps)
            restored_by_step.append(len(other.services(0)))
    except StopIteration as done:
        assert done.value == (len(SERVICES), 0)  # noqa: PT017 - it is how a generator returns
    assert restored_by_step == [0, 1, 2, 3]
    assert Outcome.of(other) == Outcome.of(restored(changelog))
