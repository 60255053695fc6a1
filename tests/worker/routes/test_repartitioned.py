"""What a worker takes in, how far it is, and what it forgets."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2
from faust.types import TP

from ruptura.core.contracts.record import Record, Tick
from ruptura.core.ingest.routing import Repartitioned
from ruptura.settings import KafkaSettings
from ruptura.worker.routes.input_queue import InputQueue
from ruptura.worker.routes.repartitioned import RepartitionedRoute
from ruptura.worker.transport.batch import Batch

ROUTING = Repartitioned({"t": "tickets"}, {"t": "t-again"}, 2, murmur2)
INTERNAL = TP("t-again", 1)


def copies(*offsets: int, source: int = 0) -> list[Record]:
    """Copies of records of a source, in partition 1."""
    return [
        ROUTING.copy(Record("t", source, offset, 1000.0, b"k", b'{"service": "d"}'))
        for offset in offsets
    ]


def subject(reflected: int | None = None) -> RepartitionedRoute:
    return RepartitionedRoute(
        ROUTING, KafkaSettings(), lambda _source, _partition: reflected, lambda: True
    )


def offsets(found: list[Record | Tick]) -> list[int]:
    return [item.offset for item in found if isinstance(item, Record)]


def test_all_copies_of_the_example_go_to_one_partition() -> None:
    assert {copy.partition for copy in copies(0, 1)} == {INTERNAL.partition}


def test_what_has_come_before_is_dropped_by_source() -> None:
    one = subject()
    assert offsets(one.arrived(copies(3, 7, 3, 7, 9))) == [3, 7, 9]
    assert offsets(one.arrived(copies(7, 9, 10))) == [10]
    assert offsets(one.arrived(copies(3, source=1))) == [3]
    assert one.repeated == 4


def test_what_the_state_reflects_is_dropped_and_ticks_and_oddities_are_not() -> None:
    one = subject(reflected=8)
    odd = Record("t-again", 1, 0, 1.0, b"k", b"?")
    mark = ROUTING.mark("t", 1, {0: 5.0})
    assert one.arrived([*copies(7), mark, odd, *copies(8)])[:2] == [Tick("t/0", 1, 5.0), odd]
    assert one.repeated == 1


def batch(tp: TP, records: list[Record], next_offset: int) -> Batch:
    return Batch(tp, 0, next_offset, records, 1)


def test_a_copy_counts_when_the_engine_has_it_and_a_batch_of_repetitions_not_before_others() -> (
    None
):
    one = subject()
    first = batch(INTERNAL, copies(0, 1), 2)
    queued = one.receive(first, first.records)
    again = batch(INTERNAL, copies(0, 1), 4)
    empty = one.receive(again, again.records)
    assert queued is not None
    assert empty is not None
    assert not empty.inputs
    queue = InputQueue()
    queue.put(queued)
    queue.put(empty)
    queue.take(1)
    assert one.positions({INTERNAL}) == {}
    queue.take(1)
    assert one.positions({INTERNAL}) == {INTERNAL: 2}
    queue.take(1)
    assert one.positions({INTERNAL}) == {INTERNAL: 4}, "nothing but repetitions is committed too"


def test_what_is_forwarded_is_nothing_for_the_engine() -> None:
    one = subject()
    origin = batch(TP("t", 0), [Record("t", 0, 0, 1.0, b"k", b"{}")], 1)
    assert one.receive(origin, origin.records) is None
    assert one.positions({INTERNAL}) == {}


@pytest.mark.parametrize("position", [None, 2])
def test_after_it_was_taken_away_a_partition_begins_where_the_state_says(
    position: int | None,
) -> None:
    reflected = [position]
    one = RepartitionedRoute(ROUTING, KafkaSettings(), lambda *_: reflected[0], lambda: True)
    found = batch(INTERNAL, copies(5), 6)
    queued = one.receive(found, found.records)
    assert queued is not None
    queued.done()
    one.revoke({INTERNAL})
    assert one.positions({INTERNAL}) == {}
    assert offsets(one.arrived(copies(1, 5))) == ([5] if position else [1, 5])
