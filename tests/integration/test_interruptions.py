"""`publish` and `record` when a signal, a kill or a crash of the broker comes between."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from typing import IO

import msgspec
import pytest

from ruptura.core.contracts.record import Record
from ruptura.settings import Settings
from ruptura.tools import publish as publishing
from ruptura.tools import topics
from ruptura.tools.publish import publish
from ruptura.tools.record import record
from tests.integration.conftest import settings_for
from tests.integration.kafka_server import KafkaServer
from tests.integration.recordings import NOON, essence, kcat, numbered, read, write

pytestmark = pytest.mark.integration


def output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"])
def test_what_was_flushed_survives_kill_minus_nine(topic_settings, tmp_path, name):
    publish(topic_settings, [write(tmp_path / "1.jsonl", numbered(500))])
    out = tmp_path / name
    process = command(
        "record", topic_settings, f"[], Path({str(out)!r}), progress=lambda *_: print('.')"
    )
    try:
        grown = wait_until(lambda: out.exists() and len(read(out)) >= 500, process)
        assert grown
        publish(topic_settings, [write(tmp_path / "2.jsonl", numbered(300))])
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        output(process).close()
    found = read(out)
    assert 500 <= len(found) <= 800
    # Every line that is there is whole, and none is missing before it.
    by_partition = defaultdict(list)
    for one in found:
        by_partition[one.topic, one.partition].append(one.offset)
    assert all(offsets == list(range(len(offsets))) for offsets in by_partition.values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_recording_in_order(topic_settings, tmp_path, number):
    publish(topic_settings, [write(tmp_path / "in.jsonl", numbered(50))])
    out = tmp_path / "out.jsonl.gz"
    process = command(
        "record", topic_settings, f"[], Path({str(out)!r}), progress=lambda n, *_: print(n)"
    )
    lines = iter(output(process).readline, b"")
    assert any(int(line) == 50 for line in lines)
    process.send_signal(number)
    rest = output(process).read()
    output(process).close()
    assert process.wait(30) == 0
    assert b"reason='interrupted'" in rest
    assert len(read(out)) == 50


def test_a_signal_ends_publishing_in_order_and_what_was_sent_arrives(topic_settings, tmp_path):
    source = write(tmp_path / "in.jsonl", numbered(3))  # seconds apart: at this speed, days
    process = command(
        "publish", topic_settings, f"[Path({str(source)!r})], 1e-5, progress=lambda *_: print(1)"
    )
    assert output(process).readline() == b"1\n"  # it waits for the second record
    process.send_signal(signal.SIGINT)
    rest = output(process).read()
    output(process).close()
    assert process.wait(30) == 0
    assert b"records=1" in rest
    assert b"ended='interrupted'" in rest
    assert len(kcat(topic_settings, topic_settings.topics.tickets, "-J")) == 1


@pytest.fixture(scope="module")
def mortal_kafka(kafka_cache, tmp_path_factory):
    """A broker that may be killed."""
    with KafkaServer(kafka_cache, tmp_path_factory.mktemp("kafka") / "mortal") as server:
        yield server


@pytest.fixture
def mortal_settings(mortal_kafka, request, caplog):
    """Topics on it. kafka-python's log lines would hold on to the sockets that it leaves open."""
    caplog.set_level(logging.CRITICAL, "kafka")
    settings = settings_for(mortal_kafka.bootstrap_servers, request.node.name)
    assert topics.create(settings).ok
    yield settings
    gc.collect()


# kafka-python does not close the sockets of refused connections.
leaks_sockets = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@leaks_sockets
def test_publishing_outlives_a_crash_of_the_broker_and_loses_nothing(
    mortal_kafka, mortal_settings, tmp_path
):
    sent = [Record("ruptura.tickets", 0, n, NOON, b"%d" % (n % 50), b"%d" % n) for n in range(8000)]
    source = write(tmp_path / "in.jsonl", sent)
    crashed = threading.Event()

    def crash(records: int, _bytes: int, _time: float) -> None:
        if records >= 3000 and not crashed.is_set():
            crashed.set()
            mortal_kafka.kill()
            mortal_kafka.start()

    summary = publish(mortal_settings, [source], progress=crash)
    assert crashed.is_set()
    assert (summary.records, summary.failed, summary.ended) == (len(sent), 0, "end")
    out = tmp_path / "out.jsonl.zst"
    record(mortal_settings, [], out, until_end=True)
    # Once each: the producer numbers its batches, and the broker drops what it has.
    assert essence(read(out)) == essence(sent)


@leaks_sockets
def test_recording_outlives_a_crash_of_the_broker_and_loses_nothing(
    mortal_kafka, mortal_settings, tmp_path
):
    sent = numbered(200)
    first = write(tmp_path / "1.jsonl", sent[:100])
    second = write(tmp_path / "2.jsonl", sent[100:])
    out = tmp_path / "out.jsonl"
    halfway = threading.Event()
    thread = threading.Thread(
        target=record,
        args=(mortal_settings, [], out),
        kwargs={"count": 200, "progress": lambda n, *_: halfway.set() if n >= 100 else None},
    )
    publish(mortal_settings, [first])
    thread.start()
    assert halfway.wait(30)
    mortal_kafka.kill()
    mortal_kafka.start()
    publish(mortal_settings, [second])
    thread.join(60)
    assert not thread.is_alive()
    assert essence(read(out)) == essence(sent)


@leaks_sockets
def test_publishing_gives_up_on_a_broker_that_does_not_come_back(
    mortal_kafka, mortal_settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(publishing, "_DELIVERY_SECONDS", 2.0)
    monkeypatch.setattr(publishing, "_IN_FLIGHT_BYTES", 100_000)
    source = write(tmp_path / "in.jsonl", numbered(50_000))

    def crash(records: int, _bytes: int, _time: float) -> None:
        if records >= 3000:
            mortal_kafka.kill()

    summary = publish(mortal_settings, [source], progress=crash)
    mortal_kafka.start()
    assert summary.ended == "unavailable"
    assert set(summary.failures) == {"KafkaTimeoutError"}
    # What is unacknowledged is bounded, and the rest of the recording is not tried at all.
    assert 0 < summary.failed <= 100_000 // 500
    assert summary.records + summary.failed < 4000
    # What it says has arrived is there.
    recorded = record(mortal_settings, [], tmp_path / "out.jsonl", until_end=True)
    assert recorded.records >= summary.records


def command(name: str, settings: Settings, arguments: str) -> subprocess.Popen[bytes]:
    """A tool in a process of its own, as the command line runs it; prints its summary."""
    text = msgspec.json.encode(settings).decode()
    code = (
        "import msgspec\nfrom pathlib import Path\nfrom ruptura.settings import Settings\n"
        f"from ruptura.tools.{name} import {name}\n"
        f"settings = msgspec.json.decode({text!r}, type=Settings)\n"
        f"print({name}(settings, {arguments}))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, env=dict(os.environ)
    )


def wait_until(condition, process: subprocess.Popen[bytes], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if condition():
            return True
        time.sleep(0.05)
    return False
