"""The embedded broker is a broker, and leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from ruptura.tools.demo import child_guard
from ruptura.tools.demo.embedded import PARTITIONS, EmbeddedBrokerError, embedded_broker

HOLDER = """
import time
from ruptura.tools.demo.embedded import embedded_broker
with embedded_broker() as address:
    print(address, flush=True)
    time.sleep(60)
"""


def is_open(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def test_a_record_that_one_client_sends_another_reads() -> None:
    with embedded_broker() as address:
        producer = Producer({"bootstrap.servers": address})
        producer.produce("ruptura.tickets", key=b"desk", value=b"{}", partition=3)
        assert producer.flush(10) == 0
        consumer = Consumer({"bootstrap.servers": address, "group.id": "test"})
        try:
            consumer.assign([TopicPartition("ruptura.tickets", 3, OFFSET_BEGINNING)])
            [message] = consumer.consume(1, timeout=10)
        finally:
            consumer.close()
    assert (message.error(), message.key(), message.value()) == (None, b"desk", b"{}")


def test_a_topic_appears_with_its_partitions_when_it_is_asked_for() -> None:
    with embedded_broker() as address:
        client = Producer({"bootstrap.servers": address})
        topic = client.list_topics("a.new-topic", timeout=10).topics["a.new-topic"]
    assert topic.error is None
    assert sorted(topic.partitions) == list(range(PARTITIONS))


def test_it_listens_on_loopback_and_only_as_long_as_it_is_wanted() -> None:
    with embedded_broker() as address:
        assert address.startswith("127.0.0.1:")
        assert is_open(address)
    assert not is_open(address)


def test_it_ends_with_its_parent_even_if_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        address = holder.stdout.readline().decode().strip()
        assert is_open(address)
        holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while is_open(address) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_open(address)


def test_a_broker_that_does_not_start_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('no port is free')"]
    monkeypatch.setattr(child_guard, "guarded", lambda *_: failing)
    with (
        pytest.raises(EmbeddedBrokerError, match="ended with code 1: no port is free"),
        embedded_broker(),
    ):
        pytest.fail("there is no broker")
