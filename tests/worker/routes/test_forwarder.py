"""Copies leave in order, and nothing goes before all that is ahead of it is there."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, NotLeaderForPartitionError
from aiokafka.partitioner import murmur2
from faust.types import TP

from ruptura.assembly.build import build_engine
from ruptura.core.contracts.event import MAX_DOCUMENT_BYTES, Reason
from ruptura.core.contracts.record import Record, Tick
from ruptura.core.ingest.routing import Repartitioned
from ruptura.settings import KafkaSettings, Settings
from ruptura.worker.routes import forwarder
from ruptura.worker.routes.forwarder import Forwarder, Shipment

PARTITIONS = 2
ROUTING = Repartitioned({"t": "tickets"}, {"t": "t-again"}, PARTITIONS, murmur2)
SERVICES = ("a", "b", "c", "d")


class Batch:
    """Takes three records, or one of any size."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def append(self, **fields: Any) -> object:
        size = sum(len(each["value"] or b"") for each in [*self.records, fields])
        if self.records and (len(self.records) == 3 or size > forwarder._BATCH_BYTES):
            return None
        self.records.append(fields)
        return object()

    def close(self) -> None:
        pass


class Broker:
    """What arrives, by partition, and which sends fail."""

    def __init__(self) -> None:
        self.log: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self.faults: list[Exception] = []
        self.under_way: dict[int, int] = defaultdict(int)
        self.most_bytes = 1 << 30  # of a value
        self.stops = 0

    def __call__(self, **_options: Any) -> Broker:
        return self

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self.stops += 1

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Any:
        assert topic == "t-again"
        assert not self.under_way[partition], "a batch was sent before the one ahead was there"
        self.under_way[partition] += 1

        async def land() -> None:
            await asyncio.sleep(0)
            self.under_way[partition] -= 1
            if self.faults:
                raise self.faults.pop(0)
            if any(len(each["value"] or b"") > self.most_bytes for each in batch.records):
                raise MessageSizeTooLargeError
            self.log[partition].extend(batch.records)

        return asyncio.ensure_future(land())

    def inputs(self, partition: int) -> list[Any]:
        """What a reader of the internal partition makes of it."""
        arrived = [
            Record("t-again", partition, number, f["timestamp"] / 1000.0, f["key"], f["value"],
                   tuple(f["headers"]))
            for number, f in enumerate(self.log[partition])
        ]  # fmt: skip
        return [item for copy in arrived for item in ROUTING.arrived(copy)]

    def offsets(self, partition: int, source: int = 0) -> list[int]:
        return [
            item.offset
            for item in self.inputs(partition)
            if isinstance(item, Record) and item.topic == f"t/{source}"
        ]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker()
    monkeypatch.setattr(forwarder, "AIOKafkaProducer", found)
    monkeypatch.setattr(forwarder, "_PAUSE_SECONDS", 0.0)
    return found


def told(count: int, first: int = 0, partition: int = 0) -> list[Record]:
    return [
        Record("t", partition, n, 1000.0 + n, None,
               json.dumps({"service": SERVICES[n % 4]}).encode())
        for n in range(first, first + count)
    ]  # fmt: skip


def shipment(
    records: Sequence[Record],
    landed: Callable[[], None],
    dropped: Callable[[], None] = lambda: None,
) -> Shipment:
    return Shipment(TP("t", records[0].partition), records, landed, dropped)


def drive(act: Callable[[Forwarder], None], until: Callable[[], bool]) -> None:
    """Let a forwarder run until something has come true."""
    is_over = False

    async def play() -> None:
        nonlocal is_over
        subject = Forwarder(ROUTING, KafkaSettings(), lambda: is_over)
        act(subject)
        running = asyncio.ensure_future(subject.run())
        while not until() and not running.done():
            await asyncio.sleep(0)
        is_over = True
        subject.mark({TP("t", 0): 1.0})  # wakes it
        await running

    asyncio.run(play())


def test_copies_land_in_the_order_of_their_source_and_only_then_are_told(broker: Broker) -> None:
    seen: list[int] = []

    def landed() -> None:
        seen.append(sum(len(broker.offsets(q)) for q in range(PARTITIONS)))

    def act(subject: Forwarder) -> None:
        subject.put(shipment(told(20), landed))
        subject.put(shipment(told(20, 20), landed))

    drive(act, lambda: len(seen) == 2)
    assert seen == [40, 40]
    for q in range(PARTITIONS):
        assert broker.offsets(q) == sorted(set(broker.offsets(q)))
    assert sorted(broker.offsets(0) + broker.offsets(1)) == list(range(40))
    assert broker.stops == 1


@pytest.mark.parametrize("fault", [KafkaTimeoutError(), NotLeaderForPartitionError()])
def test_what_fails_is_sent_again_before_what_follows(broker: Broker, fault: Exception) -> None:
    broker.faults = [fault] * 5
    seen: list[str] = []
    drive(lambda f: f.put(shipment(told(30), lambda: seen.append("landed"))), lambda: bool(seen))
    assert not broker.faults
    assert sorted(broker.offsets(0) + broker.offsets(1)) == list(range(30))
    for q in range(PARTITIONS):
        assert broker.offsets(q) == sorted(broker.offsets(q))


def test_what_the_brokers_refuse_for_ever_ends_it_and_is_not_told_as_landed(broker: Broker) -> None:
    broker.faults = [MessageSizeTooLargeError()]
    seen: list[str] = []
    with pytest.raises(MessageSizeTooLargeError):
        drive(lambda f: f.put(shipment(told(1), lambda: seen.append("landed"))), lambda: False)
    assert not seen


@pytest.mark.parametrize(
    ("most_bytes", "reason"),
    [(MAX_DOCUMENT_BYTES + 1, Reason.TOO_LARGE), (MAX_DOCUMENT_BYTES, Reason.MALFORMED_JSON)],
)
def test_a_record_that_is_too_large_is_cut_for_the_engine_to_refuse_and_others_follow(
    broker: Broker, most_bytes: int, reason: Reason
) -> None:
    broker.most_bytes = most_bytes
    records = told(12)
    document = {"service": "a", "text": "x" * (2 * MAX_DOCUMENT_BYTES)}
    records[5] = msgspec.structs.replace(
        records[5], value=json.dumps(document).encode(), headers=(("h", b"x" * 1000),)
    )
    seen: list[str] = []
    drive(lambda f: f.put(shipment(records, lambda: seen.append("landed"))), lambda: bool(seen))
    assert sorted(broker.offsets(0) + broker.offsets(1)) == list(range(12))
    for q in range(PARTITIONS):
        assert broker.offsets(q) == sorted(broker.offsets(q))
    [cut] = [each for each in broker.inputs(0) if each.offset == 5]
    assert len(cut.headers) == 1, "those of its producer may be what is too large"
    refused = build_engine(Settings()).step([msgspec.structs.replace(cut, topic="ruptura.tickets")])
    assert [each.reason for each in refused.rejections] == [reason]


def test_an_idle_watermark_comes_behind_the_records_that_it_speaks_of_in_every_partition(
    broker: Broker,
) -> None:
    seen: list[str] = []

    def act(subject: Forwarder) -> None:
        subject.put(shipment(told(4), lambda: seen.append("landed")))
        subject.mark({TP("t", 0): 5000.0, TP("other", 0): 6000.0})
        subject.put(shipment(told(8, 4), lambda: seen.append("landed")))

    drive(act, lambda: len(seen) == 2)
    for q in range(PARTITIONS):
        items = broker.inputs(q)
        [at] = [n for n, item in enumerate(items) if isinstance(item, Tick)]
        assert items[at] == Tick("t/0", q, 5000.0)
        assert all(item.offset < 4 for item in items[:at])
        assert all(item.offset >= 4 for item in items[at + 1 :])


def test_of_partitions_that_are_taken_away_nothing_more_is_sent_or_marked(
    broker: Broker,
) -> None:
    seen: list[str] = []

    def act(subject: Forwarder) -> None:
        subject.put(
            shipment(told(4), lambda: seen.append("landed"), lambda: seen.append("dropped"))
        )
        subject.mark({TP("t", 0): 5000.0, TP("t", 1): 7000.0})
        subject.put(shipment(told(4, partition=1), lambda: seen.append("kept")))
        subject.drop({TP("t", 0)})

    drive(act, lambda: "kept" in seen)
    assert seen == ["dropped", "kept"]
    for q in range(PARTITIONS):
        assert not broker.offsets(q, source=0)
        assert [i for i in broker.inputs(q) if isinstance(i, Tick)] == [Tick("t/1", q, 7000.0)]
    assert sorted(broker.offsets(0, 1) + broker.offsets(1, 1)) == [0, 1, 2, 3]
