"""An embedded broker: librdkafka's mock cluster, in a process of its own, on loopback.

Good for a demo and for fast tests of a worker, for nothing else. It has no CreateTopics (a topic
appears, with 4 partitions, when a client first asks for it), lists no groups, and keeps everything
in memory, about the last 65,000 records of a partition. librdkafka keeps it for its own tests:
`test.mock.num.brokers` in its CONFIGURATION.md.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from confluent_kafka import Producer

from ruptura.tools.demo import child_guard

PARTITIONS = 4
"""Partitions of each of its topics."""

_START_SECONDS = 15.0
_STOP_SECONDS = 5.0
_METADATA_SECONDS = 5.0


class EmbeddedBrokerError(Exception):
    """The broker did not start; one line says why."""


@contextmanager
def embedded_broker() -> Iterator[str]:
    """Run a broker for as long as the `with` lasts; give its address, `127.0.0.1:port`.

    It ends with this process, however that ends.

    Raises:
        EmbeddedBrokerError: it did not start within 15 s.
    """
    with tempfile.TemporaryFile() as log:
        child = child_guard.start(child_guard.guarded(__name__), stdout=subprocess.PIPE, stderr=log)
        try:
            yield _address(child, log)
        finally:
            child_guard.stop(child, _STOP_SECONDS)


def _address(child: subprocess.Popen[bytes], log: BinaryIO) -> str:
    """Wait for the line in which the child tells its address."""
    stdout = cast(BinaryIO, child.stdout)
    deadline = time.monotonic() + _START_SECONDS
    while not select.select([stdout], [], [], 0.1)[0]:
        if time.monotonic() > deadline:
            raise EmbeddedBrokerError(
                f"the embedded broker did not start within {_START_SECONDS:g} s"
            )
    line = stdout.readline()
    if not line:
        child.wait()
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
        raise EmbeddedBrokerError(
            f"the embedded broker ended with code {child.returncode}: "
            f"{lines[-1] if lines else 'no output'}"
        )
    return str(json.loads(line)["bootstrap_servers"])


def serve() -> None:
    """Be the broker: tell the address on stdout, then serve until the guard ends it."""
    # The cluster lives inside the client that asks for it, and as long.
    client = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    [broker] = client.list_topics(timeout=_METADATA_SECONDS).brokers.values()
    sys.stdout.write(json.dumps({"bootstrap_servers": f"{broker.host}:{broker.port}"}) + "\n")
    sys.stdout.flush()
    while True:
        client.poll(3600.0)


if __name__ == "__main__":
    serve()
