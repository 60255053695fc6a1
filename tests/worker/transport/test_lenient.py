"""A header whose name is not UTF-8: neither does it stall its partition, nor is anything lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.record.memory_records import MemoryRecords

from ruptura.worker.transport import reader
from ruptura.worker.transport.lenient import Records
from tests.worker.transport.fetches import (
    CHANGELOG,
    CLICKS,
    Fetches,
    batch,
    marker,
    of_transaction,
    with_odd_header,
)

ODD = with_odd_header(2, [b"c", b"d"], b"\xffna\xc3me")
CONTENT = batch(0, [b"a", b"b"]) + ODD + batch(4, [b"e"], codec=1)
NAME = "\\xffna\\xc3me"


def play(scenario: Callable[[], Awaitable[Any]]) -> None:
    async def scene() -> None:
        await scenario()

    asyncio.run(scene())


def test_aiokafka_itself_cannot_read_such_a_batch() -> None:
    # Once it can, ruptura.worker.transport.lenient may go.
    with pytest.raises(UnicodeDecodeError):
        list(MemoryRecords(ODD).next_batch())


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4])
def test_the_lenient_reader_reads_as_aiokafka_does(codec: int) -> None:
    headers: list[tuple[str, bytes | None]] = [("é", b"\xff"), ("n", None)]
    content = batch(3, [b"a", None, b""], codec=codec, headers=headers)
    content = of_transaction(content, producer=5) + marker(6, b"\0\0\0\0")

    def read(reader: Any) -> list[Any]:
        found: list[Any] = []
        while reader.has_next():
            piece = reader.next_batch()
            assert piece.validate_crc()
            facts = (piece.base_offset, piece.next_offset, piece.producer_id)
            found.append((facts, piece.is_control_batch, piece.is_transactional))
            found += [
                (r.offset, r.timestamp, r.timestamp_type, r.key, r.value, r.headers) for r in piece
            ]
        return found

    assert read(Records(content)) == read(MemoryRecords(content))


def test_the_partition_is_fetched_again_and_nothing_is_lost_or_doubled() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        fetches.put(CLICKS, CONTENT)
        first = await fetches.drain()
        assert first is not None
        assert (first.start, first.next_offset) == (0, 2), "what came before it"
        fetches.put(CLICKS, CONTENT, at=2)  # as aiokafka fetches next
        fetches.fetcher._client.content = CONTENT
        assert await fetches.drain() is None
        [(_, request)] = fetches.fetcher._client.asked
        assert request.topics == [("clicks", [(0, 2, 1 << 20)])]
        second = await fetches.drain()
        assert second is not None
        assert (second.start, second.next_offset) == (2, 5)
        assert [r.value for r in second.records] == [b"c", b"d", b"e"]
        assert second.records[0].headers == ((NAME, b"x"),)
        assert fetches.position() == 5

    play(scenario)


def test_a_changelog_is_read_on_too() -> None:
    async def scenario() -> None:
        fetches = Fetches()
        fetches.put(CHANGELOG, CONTENT)
        fetches.put(CLICKS, batch(0, [b"z"]))
        fetches.fetcher._client.content = CONTENT
        found = await fetches.fetch(CHANGELOG, CLICKS)
        assert set(found) == {CLICKS}
        found = await fetches.fetch(CHANGELOG, CLICKS)
        assert [each.value for each in found[CHANGELOG]] == [b"a", b"b", b"c", b"d", b"e"]
        assert found[CHANGELOG][2].headers == ((NAME, b"x"),)

    play(scenario)


def test_what_cannot_be_fetched_again_now_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_FAULT_PAUSE_SECONDS", 0.0)

    async def scenario() -> None:
        fetches = Fetches()
        broker = fetches.fetcher._client
        for broker.error, broker.failure in ((6, None), (0, KafkaConnectionError("gone"))):
            fetches.put(CLICKS, ODD, at=2)
            assert await fetches.drain() is None
            assert CLICKS not in fetches.fetcher._records
            assert fetches.position() == 2

    play(scenario)


@pytest.mark.parametrize("event", ["seek", "unassign"])
def test_what_comes_after_a_seek_or_for_another_owner_is_dropped(event: str) -> None:
    async def scenario() -> None:
        fetches = Fetches()
        fetches.put(CLICKS, ODD, at=2)
        broker = fetches.fetcher._client
        broker.content = ODD

        def move() -> None:
            if event == "seek":
                fetches.assignment.state_value(CLICKS).seek(9)
            else:
                fetches.assignment._unassign()

        broker.on_asked = move
        assert await fetches.drain() is None
        assert CLICKS not in fetches.fetcher._records
        assert await fetches.drain() is None

    play(scenario)
