"""Batches are acknowledged whole and in order, and bounded in bytes, fairly by partition."""

from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport import consumer as faust_consumer
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.worker.transport.batch import Batch, Budget
from tests.worker.transport.bare_consumer import CHANGELOG, HELD, OTHERS, consumer


class Delivery:
    """A consumer that hands out batches of one partition."""

    def __init__(self, committed: int | None) -> None:
        self.consumer = consumer()
        self.consumer._committed_offset[HELD] = committed
        self.messages: list[Any] = []

    def deliver(self, start: int, next_offset: int) -> Any:
        batch = Batch(HELD, start, next_offset, [], 1)
        self.consumer._delivered.setdefault(HELD, deque()).append(next_offset - 1)
        message = self.consumer._batch_message(batch, 1)
        self.messages.append(message)
        return message

    def commit(self) -> int | None:
        """Commit as Faust does; return what is committed then."""
        found: dict[TP, int] = self.consumer._filter_committable_offsets([HELD])
        self.consumer._committed_offset.update(found)
        committed: int | None = self.consumer._committed_offset[HELD]
        return committed


def test_batches_are_committed_up_to_the_first_that_is_not_acknowledged() -> None:
    delivery = Delivery(committed=5)
    first, second, third = (delivery.deliver(*at) for at in ((5, 10), (10, 300), (300, 301)))
    assert delivery.commit() == 5
    delivery.consumer.ack(third)
    delivery.consumer.ack(second)
    assert delivery.commit() == 5, "whatever gaps there are, the first one is missing"
    delivery.consumer.ack(first)
    assert delivery.commit() == 301
    assert not delivery.consumer._delivered[HELD]
    assert not delivery.consumer._acked_index[HELD]


def test_a_batch_that_begins_with_a_gap_is_committed_over_it() -> None:
    # Faust's own would wait for the offsets from 5 to 899, which the topic does not hold.
    delivery = Delivery(committed=5)
    delivery.consumer.ack(delivery.deliver(5, 1_000))
    assert delivery.commit() == 1_000


def test_with_nothing_committed_the_first_batch_may_end_at_zero() -> None:
    delivery = Delivery(committed=None)
    delivery.consumer.ack(delivery.deliver(0, 1))
    assert delivery.commit() == 1


def test_batches_that_come_again_after_a_seek_take_nothing_back() -> None:
    delivery = Delivery(committed=5)
    delivery.consumer.ack(delivery.deliver(5, 10))
    assert delivery.commit() == 10
    again, new = delivery.deliver(5, 10), delivery.deliver(10, 12)
    delivery.consumer.ack(again)
    assert delivery.commit() == 10
    delivery.consumer.ack(new)
    assert delivery.commit() == 12


def test_a_batch_that_was_delivered_twice_does_not_wait_for_its_twin() -> None:
    delivery = Delivery(committed=5)
    for message in (delivery.deliver(5, 10), delivery.deliver(5, 10), delivery.deliver(10, 20)):
        delivery.consumer.ack(message)
    assert delivery.commit() == 10
    assert delivery.commit() == 20


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
    rounds=st.lists(st.integers(0, 3), max_size=8),
)
def test_what_is_committed_is_always_acknowledged_and_in_the_end_all_is(
    sizes: list[int], order: Any, rounds: list[int]
) -> None:
    delivery = Delivery(committed=0)
    bounds, at = [], 0
    for size in sizes:
        bounds.append((at, at + size))
        delivery.deliver(at, at + size)
        at += size
    waiting = list(range(len(sizes)))
    order.shuffle(waiting)
    acked: set[int] = set()
    for count in [*rounds, len(sizes)]:
        for number in waiting[:count]:
            delivery.consumer.ack(delivery.messages[number])
            acked.add(number)
        del waiting[:count]
        first_open = next((n for n in range(len(sizes)) if n not in acked), None)
        assert delivery.commit() == (at if first_open is None else bounds[first_open][0])


def test_gaps_of_batches_need_no_note_and_those_of_others_do() -> None:
    noted: list[tuple[Any, ...]] = []

    async def add_gap(_self: Any, *gap: Any) -> None:
        noted.append(gap)

    async def scenario(subject: Any) -> None:
        await subject._add_gap(HELD, 1, 9)
        await subject._add_gap(CHANGELOG, 1, 9)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faust_consumer.Consumer, "_add_gap", add_gap)
        asyncio.run(scenario(consumer()))
    assert noted == [(CHANGELOG, 1, 9)]


def test_what_was_delivered_of_revoked_partitions_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def revoked(_self: Any, _revoked: set[TP]) -> None:
        pass

    monkeypatch.setattr(faust_consumer.Consumer, "on_partitions_revoked", revoked)
    delivery = Delivery(committed=5)
    delivery.deliver(5, 10)
    asyncio.run(delivery.consumer.on_partitions_revoked({HELD, OTHERS}))
    delivery.consumer.ack(delivery.deliver(10, 20))
    assert delivery.commit() == 20, "it does not wait for what another worker has now"


# Positions that the app keeps itself.


def test_positions_are_offered_until_the_group_has_them() -> None:
    subject, offered, answers = consumer(), list[dict[TP, int]](), [False, True]

    async def commits(offsets: dict[TP, int]) -> bool:
        offered.append(offsets)
        return answers.pop(0)

    async def scenario() -> list[bool]:
        subject._thread.commits = commits
        return [await subject.commit_positions({HELD: 9, OTHERS: 5}) for _ in range(3)]

    subject._committed_offset[OTHERS] = 5
    assert asyncio.run(scenario()) == [False, True, True]
    assert offered == [{HELD: 9}, {HELD: 9}], "what is committed already is left out"
    assert subject.committed(HELD) == 9


# The bytes that are handed out.


def batch_of(tp: TP, size: int) -> Batch:
    return Batch(tp, 0, 1, [b"record"], size)


def test_each_partition_has_its_share_and_no_more_is_fetched_beyond_it() -> None:
    budget = Budget(1_000)
    both = {HELD, OTHERS}
    assert budget.open(both) == both
    flood = batch_of(HELD, 500)
    budget.take(flood)
    assert budget.open(both) == {OTHERS}
    assert budget.open({HELD}) == {HELD}, "alone it may have it all"
    budget.take(batch_of(HELD, 500))
    assert budget.open({HELD}) == set()
    assert budget.held_bytes == 1_000
    flood.release()
    assert budget.open({HELD}) == {HELD}
    assert budget.open(()) == set()


def test_a_batch_is_released_once_and_drops_its_records() -> None:
    budget = Budget(1_000)
    batch, other = batch_of(HELD, 400), batch_of(HELD, 100)
    budget.take(batch)
    budget.take(other)
    batch.release()
    batch.release()
    assert budget.held_bytes == 100
    assert batch.records == []
    assert other.records


def test_a_release_tells_who_waits_for_room() -> None:
    budget = Budget(1_000)
    batch = batch_of(HELD, 1_000)
    budget.take(batch)
    budget.has_room.clear()
    batch.release()
    assert budget.has_room.is_set()


def test_what_was_handed_out_before_faust_cleared_its_queues_is_not_counted_twice() -> None:
    budget = Budget(1_000)
    old, new = batch_of(HELD, 900), batch_of(HELD, 300)
    budget.take(old)
    budget.has_room.clear()
    budget.clear()
    assert budget.has_room.is_set()
    assert budget.held_bytes == 0
    budget.take(new)
    old.release()
    assert budget.held_bytes == 300


def test_full_partitions_are_not_fetched_and_others_and_changelogs_are() -> None:
    asked: list[set[TP]] = []

    async def getmany(active: set[TP], _timeout: float) -> dict[TP, Any]:
        asked.append(active)
        return {}

    async def scenario() -> None:
        subject = consumer()
        subject._thread.getmany = getmany
        subject._budget.take(batch_of(HELD, 500))
        await subject._getmany({HELD, OTHERS, CHANGELOG}, 0.0)
        subject._budget.take(batch_of(OTHERS, 500))
        await subject._getmany({HELD, OTHERS, CHANGELOG}, 0.0)

    asyncio.run(scenario())
    assert asked == [{OTHERS, CHANGELOG}, {CHANGELOG}]


def test_when_all_are_full_it_waits_for_room_without_asking() -> None:
    async def scenario() -> None:
        subject = consumer()
        batch = batch_of(HELD, 1_000)
        subject._budget.take(batch)

        async def wait_first(waiting: Any, timeout: float) -> None:
            batch.release()
            await waiting
            assert timeout == 0.25

        subject.wait_first = wait_first
        assert await subject._getmany({HELD}, 0.25) == {}
        assert subject._budget.has_room.is_set()

    asyncio.run(scenario())


def test_batches_come_first_one_of_each_partition_and_are_counted() -> None:
    async def scenario() -> list[tuple[TP, Any]]:
        subject = consumer()
        found = {HELD: Batch(HELD, 0, 7, [1], 40), CHANGELOG: ["one", "two"], OTHERS: None}
        found[OTHERS] = Batch(OTHERS, 2, 3, [], 0)

        async def wait_next_records(_timeout: float) -> Any:
            return found, set(found)

        subject._wait_next_records = wait_next_records
        subject.scheduler = SimpleNamespace(
            iterate=lambda records: ((tp, r) for tp, many in records.items() for r in many)
        )
        subject.flow_active = True
        subject._stopped = subject._crashed = asyncio.Event()
        subject.highwater = lambda _tp: 9
        subject._to_message = lambda _tp, record: f"message {record}"
        got = [each async for each in subject.getmany(0.0)]
        assert subject.held_bytes == 40
        assert {tp: list(ends) for tp, ends in subject._delivered.items()} == {
            HELD: [6],
            OTHERS: [2],
        }
        return got

    got = asyncio.run(scenario())
    assert [tp for tp, _ in got] == [HELD, OTHERS, CHANGELOG, CHANGELOG]
    message = got[0][1]
    assert (message.topic, message.partition, message.offset) == ("t", 0, 6)
    assert message.value.next_offset == 7
    assert message.generation_id == 1
    assert [each for _, each in got[2:]] == ["message one", "message two"]
