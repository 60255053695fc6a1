"""Where our transport differs from Faust's. The parts are tried one by one, without a broker; that
they hold together is proved on real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from ruptura.shells import transport

HELD, OTHERS = TP("t", 0), TP("t", 1)


class Reader:
    """What aiokafka's consumer says of a partition."""

    def __init__(self, answered: int | None, stable: int | None, highwater: int | None) -> None:
        self._said = answered, stable, highwater

    def last_poll_timestamp(self, _tp: TP) -> int | None:
        return self._said[0]

    def last_stable_offset(self, _tp: TP) -> int | None:
        return self._said[1]

    def highwater(self, _tp: TP) -> int | None:
        return self._said[2]


def consumer(reader: Reader | None = None) -> Any:
    """Our consumer, of which nothing but what is asked for is set up."""
    bare: Any = object.__new__(transport.Consumer)
    bare._thread = SimpleNamespace(
        _ensure_consumer=lambda: reader, assignment=lambda: frozenset({HELD})
    )
    bare._committed_offset = {HELD: 5}
    return bare


async def read_settings() -> dict[str, Any]:
    """What our thread has made of the aiokafka consumer that Faust made."""
    thread: Any = object.__new__(transport._Thread)
    thread.fetch_max_wait_ms = 70
    made = thread._create_worker_consumer(None)
    try:
        return dict(vars(made))
    finally:
        made._closed = True  # it was never started: this keeps its finalizer from complaining


def test_fetches_wait_as_told_and_skip_what_was_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        driver.AIOKafkaConsumerThread,
        "_create_worker_consumer",
        lambda _self, _transport: AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1"),
    )
    found = asyncio.run(read_settings())
    assert found["_fetch_max_wait_ms"] == 70
    assert found["_isolation_level"] == "read_committed"


def test_an_aiokafka_that_names_them_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        driver.AIOKafkaConsumerThread,
        "_create_worker_consumer",
        lambda _self, _transport: SimpleNamespace(),
    )
    with pytest.raises(RuntimeError, match="aiokafka has moved _fetch_max_wait_ms"):
        asyncio.run(read_settings())


def test_offsets_that_faust_notes_are_not_heeded() -> None:
    noted = transport._NoOffsets()
    noted[HELD] = 99
    assert noted[HELD] is None


@pytest.mark.parametrize(
    ("reader", "end"),
    [
        (Reader(2_500, 40, 42), (2.5, 40)),  # behind an open transaction
        (Reader(2_500, -1, 42), (2.5, 42)),  # a broker that knows none
        (Reader(2_500, None, 42), (2.5, 42)),
        (Reader(2_500, None, None), None),
        (Reader(None, 40, 42), None),
    ],
)
def test_the_end_is_what_can_be_read_as_of_the_last_answer(
    reader: Reader, end: tuple[float, int] | None
) -> None:
    assert consumer(reader).end(HELD) == end


def test_of_partitions_that_are_not_ours_nothing_is_known() -> None:
    assert consumer(Reader(2_500, 40, 42)).end(OTHERS) is None


def test_only_positions_ahead_of_the_committed_ones_are_committed() -> None:
    subject = consumer()
    told: list[Mapping[TP, int]] = []

    async def commit(offsets: Mapping[TP, int]) -> None:
        told.append(offsets)

    subject._commit_offsets = commit
    for positions in ({HELD: 5}, {HELD: 4}, {HELD: 6}, {OTHERS: 1}, {HELD: 7, OTHERS: 0}):
        asyncio.run(subject.commit_positions(positions))
    assert told == [{HELD: 6}, {OTHERS: 1}, {HELD: 7}]
    assert subject.committed(HELD) == 5
    assert subject.committed(OTHERS) is None
