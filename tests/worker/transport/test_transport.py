"""Where our transport differs from Faust's. The parts are tried one by one, without a broker; that
they hold together is tried on the embedded one, and proved on real Kafka."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaConnectionError,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import TopicPartition as KafkaPartition
from confluent_kafka import Consumer, Producer, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from ruptura.tools.demo.embedded import PARTITIONS, embedded_broker
from ruptura.worker.transport import internals, reader
from ruptura.worker.transport.batch import ReadOffsets
from ruptura.worker.transport.reader import Thread
from tests.worker.transport.bare_consumer import CHANGELOG, HELD, OTHERS, SETTINGS, consumer
from tests.worker.transport.fetches import batch, with_odd_header


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


# What Faust and aiokafka have inside.


def test_the_pinned_versions_are_built_as_expected() -> None:
    internals.check_internals()


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in internals.EXPECTED for name in names]
)
def test_whatever_moves_in_another_version_is_named(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    for each in owner.__mro__:
        if name in vars(each):
            monkeypatch.delattr(each, name)
    with pytest.raises(RuntimeError, match=rf"{owner.__qualname__}\.{name} has moved"):
        internals.check_internals()


@pytest.mark.parametrize(("function", "text"), internals.EXPECTED_SOURCE)
def test_whatever_is_written_otherwise_in_another_version_is_named(
    monkeypatch: pytest.MonkeyPatch, function: Any, text: str
) -> None:
    sources = inspect.getsource
    monkeypatch.setattr(
        inspect,
        "getsource",
        lambda asked: sources(asked).replace(text, "") if asked is function else sources(asked),
    )
    with pytest.raises(RuntimeError) as refused:
        internals.check_internals()
    assert str(refused.value).endswith(f"{function.__qualname__} does without `{text}`")


async def read_settings() -> dict[str, Any]:
    """What our thread has made of the aiokafka consumer that Faust made."""
    thread: Any = object.__new__(Thread)
    thread._not_before = {}
    thread.batching = SETTINGS
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


# Positions.


def test_offsets_that_faust_notes_are_heeded_of_other_topics_only() -> None:
    noted = ReadOffsets(SETTINGS.topics)
    noted[HELD] = noted[CHANGELOG] = 99
    assert (noted[HELD], noted[CHANGELOG], noted[TP("log", 1)]) == (None, 99, None)
    assert noted.pop(CHANGELOG, None) == 99
    assert noted[CHANGELOG] is None


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
    assert consumer().committed(OTHERS) is None
    assert consumer().committed(HELD) == 5


# Commits beside the queue of Faust's other calls.


class Group:
    """A consumer whose commits are answered in turn."""

    def __init__(self, *answers: Exception | None) -> None:
        self._answers = list(answers)
        self._closed = False
        self.told: list[dict[Any, int]] = []

    async def commit(self, positions: Mapping[Any, Any]) -> None:
        self.told.append({tuple(tp): each.offset for tp, each in positions.items()})
        answer = self._answers.pop(0) if self._answers else None
        if answer is not None:
            raise answer


def commit(group: Group, offsets: dict[TP, int], *, is_stopping: bool = False) -> bool:
    thread: Any = object.__new__(Thread)
    thread._not_before = {}
    thread._ensure_consumer = lambda: group
    thread.assignment = lambda: {HELD}
    thread.consumer = SimpleNamespace(should_stop=is_stopping)
    thread.log = logging.getLogger("tests.transport")
    return bool(asyncio.run(thread._commit(offsets)))


def test_only_offsets_of_what_we_hold_are_committed() -> None:
    group = Group()
    assert commit(group, {HELD: 7, OTHERS: 9})
    assert group.told == [{HELD: 7}]
    assert not commit(group, {OTHERS: 9})
    assert len(group.told) == 1


@pytest.mark.parametrize("error", [CommitFailedError("moved on"), IllegalStateError("no")])
def test_a_group_that_has_moved_on_takes_nothing_and_it_is_no_crash(error: Exception) -> None:
    assert not commit(Group(error), {HELD: 7})


def test_without_brokers_the_commit_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_FAULT_PAUSE_SECONDS", 0.0)
    group = Group(KafkaConnectionError("gone"), KafkaConnectionError("gone"))
    assert commit(group, {HELD: 7})
    assert group.told == [{HELD: 7}] * 3


def test_a_stop_does_not_wait_for_brokers_that_are_gone() -> None:
    group = Group(KafkaConnectionError("gone"))
    assert not commit(group, {HELD: 7}, is_stopping=True)
    assert len(group.told) == 1


def test_commits_that_are_under_way_when_partitions_are_taken_away_are_given_up() -> None:
    async def scenario() -> bool:
        thread: Any = object.__new__(reader.Thread)
        thread._commits = set()
        thread._commit = lambda _offsets: None
        thread._beside = lambda _work: asyncio.sleep(3600.0)
        committing = asyncio.ensure_future(thread.commits({HELD: 9}))
        await asyncio.sleep(0.0)
        thread.drop_commits()
        found: bool = await committing
        assert not thread._commits
        return found

    assert asyncio.run(scenario()) is False


def test_what_will_never_be_allowed_is_an_error() -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        commit(Group(GroupAuthorizationFailedError("g")), {HELD: 7})


# An ordinary app, as in the docstring of the module.

COUNTING = """
import sys
from pathlib import Path
import faust
from ruptura.worker.transport.transport import Batching, batching

address, report = sys.argv[1:]

class App(faust.App):
    def _new_transport(self):
        return batching(self, Batching(topics=frozenset({"clicks"}), batch_bytes=9_000))

app = App(
    "counts", broker=f"kafka://{address}", store="memory://", topic_partitions=4,
    topic_allow_declare=False, topic_disable_leader=True, web_enabled=False,
    consumer_auto_offset_reset="earliest", broker_commit_interval=0.1, stream_wait_empty=False,
    datadir=str(Path(report).parent),
)
clicks = app.topic("clicks", key_type=bytes, value_type=bytes, value_serializer="raw")
seen = set()

@app.agent(clicks)
async def count(stream):
    async for batch in stream:
        for record in batch.records:
            with open(report, "a") as told:
                told.write(f"{record.partition} {record.offset}\\n")
        batch.release()

if __name__ == "__main__":
    worker = faust.Worker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()
"""  # its web server is off, and it writes where it is told


def test_an_ordinary_app_counts_every_record_and_commits(tmp_path: Path) -> None:
    """Among them one with a header that no other reader of aiokafka's gets past."""
    script, report = tmp_path / "counts.py", tmp_path / "report"
    script.write_text(COUNTING)
    report.touch()
    with embedded_broker() as address:
        ends = produce(address, 1_000)
        ends[PARTITIONS - 1] = 3
        odd = with_odd_header(0, [b"odd", b"too"], b"\xff\xfe") + batch(2, [b"sound"])
        asyncio.run(append(address, PARTITIONS - 1, odd))
        app = subprocess.Popen([sys.executable, script, address, report])
        try:
            committed = wait_until_committed(address, ends, app)
        finally:
            app.kill()
            app.wait()
    assert committed == ends
    lines = report.read_text().splitlines()
    expected = [f"{tp} {offset}" for tp, end in ends.items() for offset in range(end)]
    # At least once, as in any Faust app: a group that settles anew reads from its commits again.
    assert set(lines) == set(expected)


def produce(address: str, count: int) -> dict[int, int]:
    """Write records; return the ends of the partitions."""
    producer = Producer({"bootstrap.servers": address})
    ends = dict.fromkeys(range(PARTITIONS), 0)
    for number in range(count):
        producer.produce("clicks", json.dumps(number), partition=number % (PARTITIONS - 1))
        ends[number % (PARTITIONS - 1)] += 1
    assert producer.flush(30) == 0
    return ends


async def append(address: str, partition: int, content: bytes) -> None:
    """Write batches as they are."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    try:
        await client.force_metadata_update()
        await client.fetch_all_metadata()
        node = client.cluster.leader_for_partition(KafkaPartition("clicks", partition))
        answer = await client.send(
            node, ProduceRequest(None, 1, 5_000, [("clicks", [(partition, content)])])
        )
        [(_, [(_, code, *_)])] = answer.topics
        assert code == 0
    finally:
        await client.close()


def wait_until_committed(
    address: str, ends: dict[int, int], app: subprocess.Popen[bytes]
) -> dict[int, int]:
    asking = Consumer({"bootstrap.servers": address, "group.id": "counts"})
    try:
        give_up = time.monotonic() + 60.0
        while True:
            asked = [TopicPartition("clicks", partition) for partition in ends]
            found = {tp.partition: max(tp.offset, 0) for tp in asking.committed(asked, 10.0)}
            if found == ends or time.monotonic() > give_up or app.poll() is not None:
                return found
            time.sleep(0.1)
    finally:
        asking.close()
