"""What a checkpoint holds, in which order it is written, and what is restored from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import msgspec
import pytest
from faust.types import TP

from ruptura.core.contracts.record import Tick
from ruptura.worker.checkpoints.checkpoint import Checkpoints
from tests.assembly.three_services import (
    SERVICES,
    Outcome,
    apply,
    entries_of,
    feed,
    fresh,
    restored,
    stream,
)
from tests.simulation.contact_centre import HOUR, engine


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
