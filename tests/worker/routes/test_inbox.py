"""The inbox hands over every record once, in order, and says when a batch was used up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.core.contracts.record import Input, Record
from ruptura.worker.routes.inbox import Inbox, Parcel


def records(partition: int, first: int, count: int) -> list[Record]:
    return [Record("t", partition, first + n, 0.0, None, b"") for n in range(count)]


def parcel(done: list[str], name: str, told: list[Record], partition: int = 0) -> Parcel:
    return Parcel(partition, told, 10, lambda: done.append(name))


def test_an_empty_parcel_is_done_with_in_its_turn() -> None:
    inbox, done = Inbox(), list[str]()
    inbox.put(parcel(done, "a", records(0, 0, 2)))
    inbox.put(parcel(done, "empty", []))
    assert (len(inbox.take(1)), done) == (1, []), "what goes before it still waits"
    assert (len(inbox.take(9)), done) == (1, ["a", "empty"])
    inbox.put(parcel(done, "alone", []))
    assert inbox
    assert (inbox.take(1), done[2:]) == ([], ["alone"])
    assert not inbox


def test_a_parcel_is_done_with_when_its_last_record_was_taken() -> None:
    inbox, done = Inbox(), list[str]()
    told = records(0, 0, 5)
    inbox.put(parcel(done, "a", told))
    assert (inbox.take(4), done) == (told[:4], [])
    assert inbox
    assert (inbox.take(4), done) == (told[4:], ["a"])
    assert not inbox
    assert inbox.take(4) == []


def test_a_portion_reaches_over_parcels() -> None:
    inbox, done = Inbox(), list[str]()
    first, second = records(0, 0, 3), records(1, 0, 3)
    inbox.put(parcel(done, "a", first))
    inbox.put(parcel(done, "b", second, 1))
    assert inbox.take(5) == [*first, *second[:2]]
    assert done == ["a"]


def test_a_partition_that_is_dropped_is_done_with_and_others_keep_their_order() -> None:
    inbox, done = Inbox(), list[str]()
    kept, begun = records(1, 0, 2), records(0, 0, 2)
    inbox.put(parcel(done, "begun", begun))
    inbox.put(parcel(done, "kept", kept, 1))
    inbox.put(parcel(done, "waiting", records(0, 2, 2)))
    inbox.take(1)
    inbox.drop(0)
    assert done == ["begun", "waiting"]
    assert inbox.take(9) == kept
    assert done == ["begun", "waiting", "kept"]


@settings(deadline=None)  # other work on the machine is no fault
@given(
    sizes=st.lists(st.integers(0, 6), max_size=8), portions=st.lists(st.integers(1, 9), min_size=60)
)
def test_however_it_is_cut_everything_comes_once_and_in_order(
    sizes: list[int], portions: list[int]
) -> None:
    inbox, done, told, at = Inbox(), list[str](), list[Record](), 0
    for number, size in enumerate(sizes):
        portion = records(0, at, size)
        at += size
        told += portion
        inbox.put(parcel(done, str(number), portion))
    taken: list[Input] = []
    for most in portions:
        found = inbox.take(most)
        assert len(found) <= most
        taken += found
    assert taken == told
    assert sorted(done) == sorted(map(str, range(len(sizes))))
