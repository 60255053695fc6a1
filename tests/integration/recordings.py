"""Small recordings for the tests of Kafka, and ways to read them back."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ruptura.core.contracts.record import Record
from ruptura.files.recording import read_envelopes, to_line, to_record
from ruptura.settings import Settings

NOON = 1_460_000_000.0


def write(path: Path, records: list[Record]) -> Path:
    path.write_bytes(b"".join(to_line(record) + b"\n" for record in records))
    return path


def read(path: Path) -> list[Record]:
    return [to_record(envelope) for batch in read_envelopes(path) for envelope in batch]


def essence(records: list[Record]) -> list[tuple[object, ...]]:
    """All of the records but topic and position, in a stable order."""
    parts = [(r.key, r.value, r.headers) for r in records]
    return sorted(parts, key=repr)


def numbered(count: int, topic: str = "ruptura.tickets") -> list[Record]:
    return [
        Record(topic, n % 4, n // 4, NOON + n, b"service-%d" % (n % 7), b'{"n": %d}' % n)
        for n in range(count)
    ]


def kcat(settings: Settings, topic: str, *arguments: str) -> list[str]:
    """What kcat reads of a topic from its beginning to its end."""
    done = subprocess.run(
        ["kcat", "-b", settings.kafka.bootstrap_servers, "-C", "-t", topic,
         "-o", "beginning", "-e", "-q", *arguments],
        capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    return done.stdout.decode().splitlines()
