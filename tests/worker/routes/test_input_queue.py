"""The queue hands over every record once, in order, and says when a batch was used up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.core.contracts.record import Input, Record
from ruptura.worker.routes.input_queue import InputQueue, QueuedBatch


def records(partition: int, first: int, count: int) -> list[Record]:
    return [Record("t", partition, first + n, 0.0, None, b"") for n in range(count)]


def batch(done: list[str], name: str, told: list[Record], partition: int = 0) -> QueuedBatch:
    return QueuedBatch(partition, told, 10, lambda: done.append(name))


def test_an_empty_batch_is_done_with_in_its_turn() -> None:
    queue, done = InputQueue(), list[str]()
    queue.put(batch(done, "a", records(0, 0, 2)))
    queue.put(batch(done, "empty", []))
    assert (len(queue.take(1)), done) == (1, []), "what goes before it still waits"
    assert (len(queue.take(9)), done) == (1, ["a", "empty"])
    queue.put(batch(done, "alone", []))
    assert queue
    assert (queue.take(1), done[2:]) == ([], ["alone"])
    assert not queue


def test_a_batch_is_done_with_when_its_last_record_was_taken() -> None:
    queue, done = InputQueue(), list[str]()
    told = records(0, 0, 5)
    queue.put(batch(done, "a", told))
    assert (queue.take(4), done) == (told[:4], [])
    assert queue
    assert (queue.take(4), done) == (told[4:], ["a"])
    assert not queue
    assert queue.take(4) == []


def test_a_portion_reaches_over_batches() -> None:
    queue, done = InputQueue(), list[str]()
    first, second = records(0, 0, 3), records(1, 0, 3)
    queue.put(batch(done, "a", first))
    queue.put(batch(done, "b", second, 1))
    assert queue.take(5) == [*first, *second[:2]]
    assert done == ["a"]


def test_a_partition_that_is_dropped_is_done_with_and_others_keep_their_order() -> None:
    queue, done = InputQueue(), list[str]()
    kept, begun = records(1, 0, 2), records(0, 0, 2)
    queue.put(batch(done, "begun", begun))
    queue.put(batch(done, "kept", kept, 1))
    queue.put(batch(done, "waiting", records(0, 2, 2)))
    queue.take(1)
    queue.drop(0)
    assert done == ["begun", "waiting"]
    assert queue.take(9) == kept
    assert done == ["begun", "waiting", "kept"]


@settings(deadline=None)  # other work on the machine is no fault
@given(
    sizes=st.lists(st.integers(0, 6), max_size=8), portions=st.lists(st.integers(1, 9), min_size=60)
)
def test_however_it_is_cut_everything_comes_once_and_in_order(
    sizes: list[int], portions: list[int]
) -> None:
    queue, done, told, at = InputQueue(), list[str](), list[Record](), 0
    for number, size in enumerate(sizes):
        portion = records(0, at, size)
        at += size
        told += portion
        queue.put(batch(done, str(number), portion))
    taken: list[Input] = []
    for most in portions:
        found = queue.take(most)
        assert len(found) <= most
        taken += found
    assert taken == told
    assert sorted(done) == sorted(map(str, range(len(sizes))))
