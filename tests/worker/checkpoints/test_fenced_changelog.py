"""A worker that was replaced may still write: what a reader believes is the newest owner's."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.worker.checkpoints.fenced_changelog import (
    EPOCH_HEADER,
    FencedChangelog,
    epoch_header,
    epoch_of,
)

KEYS = [b"0/clock", b"0/service/a", b"0/service/b"]


def test_the_newest_value_of_a_key_counts_and_none_deletes() -> None:
    changelog = FencedChangelog()
    changelog.apply(0, b"a", b"1", 1)
    changelog.apply(1, b"b", b"22", 1)
    changelog.apply(2, b"a", b"333", 1)
    assert changelog.entries == {b"a": b"333", b"b": b"22"}
    assert (changelog.size, changelog.offset) == (5, 2)
    changelog.apply(3, b"a", None, 1)
    changelog.apply(4, b"c", None, 1)
    assert (changelog.entries, changelog.size, changelog.offset) == ({b"b": b"22"}, 2, 4)


def test_what_a_replaced_worker_writes_is_left_out() -> None:
    changelog = FencedChangelog()
    changelog.apply(0, b"a", b"old", 1)
    changelog.apply(1, b"a", b"new", 2)
    changelog.apply(2, b"a", b"zombie", 1)
    changelog.apply(3, b"a", None, 1)
    assert changelog.entries == {b"a": b"new"}
    assert (changelog.outdated, changelog.foreign, changelog.epoch, changelog.offset) == (
        2,
        0,
        2,
        3,
    )


def test_entries_of_a_replaced_worker_from_before_stay_until_they_are_overwritten() -> None:
    changelog = FencedChangelog()
    changelog.apply(0, b"a", b"1", 1)
    changelog.apply(1, b"b", b"2", 2)
    assert changelog.entries == {b"a": b"1", b"b": b"2"}


def test_what_bears_no_epoch_or_key_is_foreign() -> None:
    changelog = FencedChangelog()
    changelog.apply(0, None, b"x", 5)
    changelog.apply(1, b"a", b"x", None)
    assert changelog.entries == {}
    assert (changelog.foreign, changelog.epoch, changelog.offset) == (2, 0, 1)


def test_an_entry_that_is_handed_over_once_more_takes_nothing_back() -> None:
    # Faust had read our own claim, kept it in a buffer, and flushed it at the next rebalance.
    changelog = FencedChangelog()
    changelog.apply(63, b"clock", b"old", 10)
    changelog.apply(64, b"clock", b"old", 12)
    changelog.apply(65, b"clock", b"new", 12)
    changelog.apply(64, b"clock", b"old", 12)
    assert changelog.entries == {b"clock": b"new"}
    assert (changelog.offset, changelog.outdated) == (65, 0)


@settings(deadline=None)
@given(
    log=st.lists(st.tuples(st.sampled_from(KEYS), st.none() | st.binary(max_size=3))),
    again=st.data(),
)
def test_however_often_entries_come_again_the_changelog_is_that_of_the_log(
    log: list[tuple[bytes, bytes | None]], again: st.DataObject
) -> None:
    once, often = FencedChangelog(), FencedChangelog()
    for offset, (key, value) in enumerate(log):
        once.apply(offset, key, value, 1)
        often.apply(offset, key, value, 1)
        for former in again.draw(st.lists(st.integers(0, offset), max_size=3)):
            often.apply(former, *log[former], 1)
    assert often == once


def test_a_hostile_epoch_does_not_shut_out_those_who_follow() -> None:
    changelog = FencedChangelog()
    changelog.apply(0, b"a", b"1", 3)
    for number, hostile in enumerate(((1 << 64) - 1, 1 << 63, 1 << 40), 1):
        changelog.apply(number, b"a", b"hostile", hostile)
    assert changelog.foreign == 3
    changelog.apply(4, b"a", b"2", 4)
    assert changelog.entries == {b"a": b"2"}


def test_taking_over_exceeds_every_epoch_that_was_seen() -> None:
    assert FencedChangelog().takeover(1) == 1
    assert FencedChangelog(epoch=7).takeover(9) == 9
    # The group was deleted, and its generations count from 1 again.
    assert FencedChangelog(epoch=7).takeover(1) == 8
    assert FencedChangelog(epoch=7).takeover(7) == 8


def test_the_entries_of_one_who_took_over_after_the_group_counts_anew_are_believed() -> None:
    changelog = FencedChangelog()
    changelog.apply(0, b"a", b"1", 40)
    changelog.apply(1, b"a", b"2", changelog.takeover(1))
    assert changelog.entries == {b"a": b"2"}


@settings(deadline=None)  # other work on the machine is no fault
@given(st.integers(0, 2**64 - 1))
def test_an_epoch_comes_back_out_of_its_header(epoch: int) -> None:
    assert epoch_of(epoch_header(epoch)) == epoch


@settings(deadline=None)  # other work on the machine is no fault
@given(st.none() | st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9))))
def test_headers_of_others_hold_no_epoch(headers: list[tuple[str, bytes | None]] | None) -> None:
    kept = [each for each in headers or () if each[0] != EPOCH_HEADER]
    assert epoch_of(kept) is None
    odd = [(EPOCH_HEADER, None), (EPOCH_HEADER, b""), (EPOCH_HEADER, b"1" * 9)]
    assert epoch_of([*kept, *odd]) is None
    assert epoch_of([*kept, *odd, *epoch_header(5)]) == 5


class Writer:
    """A worker: owns the partition from its takeover until the next one, and then is a zombie."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.written: dict[bytes, bytes] = {}


@settings(deadline=None)  # other work on the machine is no fault
@given(st.data())
def test_a_reader_believes_the_newest_owner_whoever_else_still_writes(data: st.DataObject) -> None:
    """Owners take over after reading the whole log; all of them go on writing, in any order.

    The first writes of a new owner end what older ones can do. Before that, what the former owner
    writes still counts: nobody has read past it... but the new owner, which would overwrite it.
    """
    log: list[tuple[bytes | None, bytes | None, int | None]] = []
    believed: dict[bytes, bytes] = {}
    writers: list[Writer] = []
    newest_heard = -1  # the newest owner that has written
    generation = outdated = foreign = 0
    steps = st.sampled_from(["take over", "count anew", "newest", "any", "any", "hostile"])
    for step in data.draw(st.lists(steps, max_size=40)):
        value = b"%d" % len(log)
        key = data.draw(st.sampled_from(KEYS))
        if step == "count anew":
            generation = 0
        elif step == "take over":
            generation += 1
            writers.append(Writer(read(log).takeover(generation)))
        elif step == "hostile":
            far = None if data.draw(st.booleans()) else data.draw(st.integers(1 << 30, 1 << 64))
            log.append((data.draw(st.none() | st.just(key)), b"hostile", far))
            foreign += 1
        elif writers:
            number = len(writers) - 1
            if step == "any":
                number = data.draw(st.integers(0, len(writers) - 1))
            told = None if data.draw(st.booleans()) else value
            log.append((key, told, writers[number].epoch))
            if writers[number].epoch < writers[newest_heard].epoch and newest_heard >= 0:
                outdated += 1
                continue
            newest_heard = number
            believed.pop(key, None)
            if told is not None:
                believed[key] = told
    changelog = read(log)
    assert changelog.entries == believed
    assert (changelog.outdated, changelog.foreign) == (outdated, foreign)
    assert changelog.offset == len(log) - 1
    assert changelog.size == sum(map(len, believed.values()))


def read(log: list[tuple[bytes | None, bytes | None, int | None]]) -> FencedChangelog:
    changelog = FencedChangelog()
    for offset, (key, value, epoch) in enumerate(log):
        changelog.apply(offset, key, value, epoch)
    return changelog


@settings(deadline=None)  # other work on the machine is no fault
@given(st.data())
def test_no_zombie_undoes_what_the_owner_wrote(data: st.DataObject) -> None:
    """However the writes of older epochs are strewn in after an owner's own, its own stay."""
    changelog = FencedChangelog()
    for offset in range(data.draw(st.integers(0, 5))):
        changelog.apply(offset, data.draw(st.sampled_from(KEYS)), b"before", 1)
    epoch = changelog.takeover(1)
    changelog.apply(10, KEYS[0], b"owner", epoch)
    zombies = st.tuples(st.sampled_from(KEYS), st.none() | st.binary(), st.integers(0, epoch - 1))
    before = dict(changelog.entries)
    for number, (key, value, older) in enumerate(data.draw(st.lists(zombies))):
        changelog.apply(11 + number, key, value, older)
    assert changelog.entries == before
