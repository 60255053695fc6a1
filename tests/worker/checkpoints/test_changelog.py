"""What Faust reads reaches the fenced changelog; what we write bears our epoch and lands there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from ruptura.worker.checkpoints.changelog import StateTable
from ruptura.worker.checkpoints.fenced_changelog import epoch_header, epoch_of

CHANGELOG = "g-state-changelog"


class Topic:
    """A changelog whose broker acknowledges when it is told to."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.landings: list[asyncio.Future[Any]] = []

    async def send(self, **entry: Any) -> Awaitable[Any]:
        assert entry.pop("force"), "otherwise Faust attaches it to an event"
        self.sent.append(entry)
        self.landings.append(asyncio.get_running_loop().create_future())
        return self.landings[-1]

    def land(self, number: int, offset: int) -> None:
        self.landings[number].set_result(SimpleNamespace(offset=offset))


def table(topic: Topic | None = None) -> Any:
    """Our table, without the app around it."""
    bare: Any = object.__new__(StateTable)
    bare._changelogs = {}
    bare._topic = topic
    return bare


def event(
    offset: int, key: bytes | None, value: bytes | None, headers: Any, partition: int = 0
) -> Any:
    return SimpleNamespace(
        message=SimpleNamespace(
            partition=partition, offset=offset, key=key, value=value, headers=headers
        )
    )  # fmt: skip


def test_what_faust_reads_reaches_the_changelog_of_its_partition() -> None:
    subject = table()
    subject.apply_changelog_batch(
        [
            event(3, b"a", b"1", epoch_header(2)),
            event(4, b"b", b"2", dict(epoch_header(2))),  # Faust may make a dictionary of them
            event(9, b"a", b"3", epoch_header(1), partition=1),
            event(5, b"a", b"zombie", epoch_header(1)),
            event(6, b"a", b"foreign", None),
            event(7, None, b"foreign", epoch_header(2)),
        ]
    )
    first, second = subject.changelog(0), subject.changelog(1)
    assert first.entries == {b"a": b"1", b"b": b"2"}
    assert (first.offset, first.epoch, first.outdated, first.foreign) == (7, 2, 1, 2)
    assert (second.entries, second.offset) == ({b"a": b"3"}, 9)


def test_faust_reads_on_after_what_the_changelog_holds() -> None:
    subject = table()
    subject.apply_changelog_batch([event(3, b"a", b"1", None)])
    assert subject.persisted_offset(TP(CHANGELOG, 0)) == 3
    assert subject.persisted_offset(TP(CHANGELOG, 1)) is None
    subject.changelog(1)
    assert subject.persisted_offset(TP(CHANGELOG, 1)) is None


def test_partitions_that_are_neither_ours_nor_stood_by_for_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[set[TP], set[TP]]] = []

    async def completed(_self: Any, active: set[TP], standby: set[TP]) -> None:
        told.append((active, standby))

    monkeypatch.setattr("faust.Table.on_recovery_completed", completed)
    subject = table()
    for partition in range(3):
        subject.changelog(partition)
    active, standby = {TP(CHANGELOG, 0)}, {TP(CHANGELOG, 2)}
    asyncio.run(subject.on_recovery_completed(active, standby))
    assert set(subject.changelogs()) == {0, 2}
    assert told == [(active, standby)]


def write(scenario: Callable[[Any, Topic], Awaitable[None]], read: int) -> Any:
    """Play a scenario with a table that has read entries up to an offset."""
    topic = Topic()
    subject = table(topic)
    subject.apply_changelog_batch(
        [event(offset, b"read", b"%d" % offset, epoch_header(1)) for offset in range(read)]
    )

    async def scene() -> None:
        await scenario(subject, topic)

    asyncio.run(scene())
    return subject


def test_an_entry_counts_once_the_broker_has_it_and_bears_the_epoch() -> None:
    async def scenario(subject: Any, topic: Topic) -> None:
        landing = asyncio.ensure_future(await subject.write(0, b"k", b"v", 7))
        await asyncio.sleep(0)
        assert not landing.done()
        assert b"k" not in subject.changelog(0).entries
        [entry] = topic.sent
        assert (entry["partition"], entry["key"], entry["value"]) == (0, b"k", b"v")
        assert epoch_of(entry["headers"]) == 7
        topic.land(0, 2)
        await landing

    changelog = write(scenario, read=2).changelog(0)
    assert changelog.entries == {b"read": b"1", b"k": b"v"}
    assert (changelog.offset, changelog.epoch) == (2, 7)


def test_a_deletion_is_written_and_counts_too() -> None:
    async def scenario(subject: Any, topic: Topic) -> None:
        landing = await subject.write(0, b"read", None, 7)
        topic.land(0, 2)
        await landing
        assert topic.sent[0]["value"] is None

    assert write(scenario, read=2).changelog(0).entries == {}


def test_what_others_wrote_between_is_not_passed_over() -> None:
    """A worker that was paused writes behind its successor. Were its changelog to go on from its
    own entry, it would lack the successor's when the partition comes back to it."""

    async def scenario(subject: Any, topic: Topic) -> None:
        for number, offset in enumerate((5, 6)):  # the successor has written 2, 3 and 4
            landing = await subject.write(0, b"k", b"zombie", 1)
            topic.land(number, offset)
            await landing
        assert subject.persisted_offset(TP(CHANGELOG, 0)) == 1
        # So Faust reads what the successor wrote, and ours behind it.
        written = [(b"read", 2), (b"k", 2), (b"read", 2), (b"k", 1), (b"k", 1)]
        subject.apply_changelog_batch(
            [
                event(2 + number, key, b"%d" % epoch, epoch_header(epoch))
                for number, (key, epoch) in enumerate(written)
            ]
        )

    changelog = write(scenario, read=2).changelog(0)
    assert changelog.entries == {b"read": b"2", b"k": b"2"}
    assert (changelog.offset, changelog.outdated) == (6, 2)


def test_what_lands_after_the_partition_was_dropped_is_nobody_s() -> None:
    async def scenario(subject: Any, topic: Topic) -> None:
        landing = await subject.write(1, b"k", b"v", 1)
        topic.land(0, 0)
        await landing

    assert 1 not in write(scenario, read=2).changelogs()


def test_a_broker_that_does_not_take_it_is_an_error_and_nothing_counts() -> None:
    async def scenario(subject: Any, topic: Topic) -> None:
        landing = await subject.write(0, b"k", b"v", 1)
        topic.landings[0].set_exception(RuntimeError("not taken"))
        with pytest.raises(RuntimeError, match="not taken"):
            await landing

    assert write(scenario, read=2).changelog(0).offset == 1
