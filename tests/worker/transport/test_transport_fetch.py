"""What was fetched, as batches: real record batches in aiokafka's own fetcher."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import FetchError
from aiokafka.errors import ConsumerStoppedError, TopicAuthorizationFailedError

from ruptura.worker.transport import reader
from ruptura.worker.transport.transport import Batch, Batching
from tests.worker.transport.fetches import (
    ABORT,
    CHANGELOG,
    CLICKS,
    COMMIT,
    OTHERS,
    Fetches,
    batch,
    marker,
    of_transaction,
)


def play(scenario: Callable[[], Awaitable[Any]]) -> None:
    async def scene() -> None:
        await scenario()

    asyncio.run(scene())


def offsets(found: Batch | None) -> list[int]:
    assert found is not None
    return [record.offset for record in found.records]


def bounds(found: Batch | None) -> tuple[int, int]:
    assert found is not None
    return found.start, found.next_offset


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4])
def test_all_that_was_fetched_is_one_batch_and_the_next_fetch_may_begin(codec: int) -> None:
    async def scenario() -> None:
        fetches = Fetches()
        values: list[bytes | None] = [b"a", None, b"c"]
        fetches.put(CLICKS, batch(7, values, codec=codec) + batch(10, [b"d"]), at=7)
        found = await fetches.drain()
        assert bounds(found) == (7, 11)
        assert found is not None
        assert [record.value for record in found.records] == [*values, b"d"]
        assert offsets(found) == [7, 8, 9, 10]
        assert found.tp == CLICKS
        assert fetches.position() == 11
        assert CLICKS not in fetches.fetcher._records
        assert fetches.fetcher._wait_consume_future.done(), "aiokafka is told to fetch"

    play(scenario)


def test_gaps_of_compaction_and_markers_belong_to_the_batch() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        compacted = batch(0, [b"a", b"b"], deltas=[2, 5], next_offset=9)
        fetches.put(CLICKS, compacted + marker(9, COMMIT) + batch(10, [b"c"]), at=1)
        found = await fetches.drain()
        assert bounds(found) == (1, 11)
        assert offsets(found) == [2, 5, 10]

    play(scenario)


def test_where_there_is_nothing_but_markers_the_batch_is_empty_and_moves_on() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        fetches.put(CLICKS, marker(4, COMMIT) + marker(5, ABORT), at=4)
        found = await fetches.drain()
        assert bounds(found) == (4, 6)
        assert offsets(found) == []
        assert fetches.position() == 6

    play(scenario)


def test_records_of_aborted_transactions_are_not_handed_out() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        content = (
            of_transaction(batch(0, [b"undone"] * 2), producer=5)
            + of_transaction(batch(2, [b"kept"]), producer=6)
            + marker(3, ABORT, producer=5)
            + of_transaction(batch(4, [b"done"]), producer=5)
            + marker(5, COMMIT, producer=5)
        )
        fetches.put(CLICKS, content, aborted=[(5, 0)])
        found = await fetches.drain()
        assert bounds(found) == (0, 6)
        assert offsets(found) == [2, 4]

    play(scenario)


def test_what_exceeds_the_size_of_a_batch_is_cut_and_the_rest_comes_next() -> None:
    async def scenario() -> None:
        fetches = Fetches(Batching(topics=frozenset({"clicks"}), batch_bytes=3_000))
        fetches.put(CLICKS, batch(0, [b"x" * 1_000] * 7, next_offset=9))
        found = [await fetches.drain() for _ in range(4)]
        assert [bounds(each) for each in found[:3]] == [(0, 3), (3, 6), (6, 9)]
        assert found[3] is None
        assert [len(offsets(each)) for each in found[:3]] == [3, 3, 1]
        assert all(
            each is not None and each.size >= 1_000 * len(each.records) for each in found[:3]
        )

    play(scenario)


def test_while_a_rest_is_held_nothing_more_is_fetched() -> None:
    async def scenario() -> None:
        fetches = Fetches(Batching(topics=frozenset({"clicks"}), batch_bytes=1))
        fetches.put(CLICKS, batch(0, [b"a", b"b"]))
        await fetches.drain()
        assert CLICKS in fetches.fetcher._records
        assert not fetches.fetcher._wait_consume_future.done()
        assert fetches.position() == 1

    play(scenario)


def test_a_batch_holds_what_its_maker_makes() -> None:
    async def scenario() -> None:
        made = Batching(topics=frozenset({"clicks"}), make=lambda tp, raw: Made(tp, raw.value))
        fetches = Fetches(made)
        fetches.put(CLICKS, batch(0, [b"a"]))
        found = await fetches.drain()
        assert found is not None
        [record] = found.records
        assert (record.tp, record.value) == (CLICKS, b"a")

    play(scenario)


class Made:
    def __init__(self, tp: Any, value: bytes) -> None:
        self.tp = tp
        self.value = value


def test_damaged_bytes_are_fetched_again_after_a_pause_and_what_came_before_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "_FAULT_PAUSE_SECONDS", 0.0)
    damaged = bytearray(batch(2, [b"c"]))
    damaged[-3] ^= 1

    async def scenario() -> None:
        fetches = Fetches()
        fetches.put(CLICKS, batch(0, [b"a", b"b"]) + damaged)
        found = await fetches.drain()
        assert (bounds(found), offsets(found)) == ((0, 2), [0, 1])
        assert CLICKS not in fetches.fetcher._records
        fetches.put(CLICKS, bytes(damaged), at=2)
        assert await fetches.drain() is None
        assert CLICKS not in fetches.fetcher._records, "so that it is fetched again"
        assert fetches.position() == 2
        fetches.put(CLICKS, batch(2, [b"c"]), at=2)
        assert bounds(await fetches.drain()) == (2, 3)

    play(scenario)


def test_a_partition_that_is_unreadable_rests_and_does_not_hold_up_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0

    async def never(_seconds: float) -> None:
        pytest.fail("all partitions would wait")

    monkeypatch.setattr(reader, "time", SimpleNamespace(monotonic=lambda: now))
    damaged = bytearray(batch(0, [b"a"]))
    damaged[-3] ^= 1

    async def scenario() -> None:
        nonlocal now
        monkeypatch.setattr(asyncio, "sleep", never)
        fetches = Fetches()
        fetches.put(CLICKS, bytes(damaged))
        fetches.put(OTHERS, batch(0, [b"z"]))
        assert set(await fetches.fetch(CLICKS, OTHERS)) == {OTHERS}
        fetches.put(CLICKS, batch(0, [b"a"]))
        fetches.put(OTHERS, batch(1, [b"y"]), at=1)
        now += reader._FAULT_PAUSE_SECONDS - 0.001
        assert set(await fetches.fetch(CLICKS, OTHERS)) == {OTHERS}
        assert CLICKS in fetches.fetcher._records, "so that aiokafka does not fetch it meanwhile"
        now += 0.002
        assert bounds((await fetches.fetch(CLICKS))[CLICKS]) == (0, 1)

    play(scenario)


def test_what_was_fetched_before_a_seek_is_dropped() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        fetches.put(CLICKS, batch(5, [b"a"]), at=5)
        fetches.assignment.state_value(CLICKS).seek(2)
        assert await fetches.drain() is None
        assert CLICKS not in fetches.fetcher._records
        assert fetches.position() == 2

    play(scenario)


def test_what_was_fetched_for_an_assignment_that_is_over_is_dropped() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        fetches.put(CLICKS, batch(0, [b"a"]))
        fetches.assignment._unassign()
        assert await fetches.drain() is None
        assert await fetches.drain() is None, "nor does its absence matter"

    play(scenario)


def test_an_error_of_the_broker_is_raised_and_not_kept() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        error = TopicAuthorizationFailedError("clicks")
        fetches.fetcher._records[CLICKS] = FetchError(error=error, backoff=0.1)
        with pytest.raises(TopicAuthorizationFailedError):
            await fetches.drain()
        assert CLICKS not in fetches.fetcher._records

    play(scenario)


def test_changelogs_are_delivered_as_ever_beside_batches() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        fetches.put(CLICKS, batch(0, [b"a", b"b"]))
        fetches.put(OTHERS, batch(3, [b"z"]), at=3)
        fetches.put(CHANGELOG, batch(0, [b"1", b"2"]))
        found = await fetches.fetch(CLICKS, OTHERS, CHANGELOG)
        assert bounds(found[CLICKS]) == (0, 2)
        assert bounds(found[OTHERS]) == (3, 4)
        assert [(each.offset, each.key, each.value) for each in found[CHANGELOG]] == [
            (0, b"key", b"1"),
            (1, b"key", b"2"),
        ]

    play(scenario)


def test_only_partitions_that_are_asked_for_are_taken() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        fetches.put(CLICKS, batch(0, [b"a"]))
        fetches.put(OTHERS, batch(0, [b"z"]))
        fetches.put(CHANGELOG, batch(0, [b"1"]))
        assert set(await fetches.fetch(OTHERS)) == {OTHERS}
        assert set(fetches.fetcher._records) == {CLICKS, CHANGELOG}
        assert await fetches.fetch(OTHERS) == {}

    play(scenario)


def test_nothing_is_taken_while_the_flow_is_stopped() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        fetches.put(CLICKS, batch(0, [b"a"]))
        fetches.thread.consumer.flow_active = False
        assert await fetches.fetch(CLICKS) == {}
        assert fetches.position() == 0

    play(scenario)


def test_a_fetcher_that_is_closed_ends_the_reading() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        fetches.fetcher._closed = True
        with pytest.raises(ConsumerStoppedError):
            await fetches.fetch(CLICKS)

    play(scenario)
