"""Replayed records a second, against a bare loop that decodes the same file and does no more."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec

from ruptura.core.contracts.event import TicketEvent
from ruptura.core.contracts.record import Record
from ruptura.files.recording import Envelope, to_line
from ruptura.outputs.memory import AlertList
from ruptura.settings import Settings
from ruptura.tools.replay import replay
from tests.bench.broker import Ground
from tests.bench.children import Child
from tests.bench.figures import Outcome, Row, against
from tests.bench.load import TICKETS, Load, messages

LOAD = Load(minutes=60, events_per_bucket=6_000)
_ANSWER_SECONDS = 300.0


class Pace(msgspec.Struct, frozen=True):
    """How fast a file was read.

    Attributes:
        records: In the file.
        seconds, cpu: That it took, without the start of the interpreter.
        alerts: Documents that it led to.
    """

    records: int
    seconds: float
    cpu: float
    alerts: int


def measure(ground: Ground, _names: frozenset[str], say: Callable[[str], None]) -> Outcome:
    """Measure both in turn, each time in a process of its own."""
    path = write(ground.folder / "load.jsonl", LOAD)
    pairs: list[tuple[Pace, Pace]] = []
    for _ in range(ground.runs):
        ours, bare = _pace(ground, "replay", path), _pace(ground, "bare", path)
        pairs.append((ours, bare))
        say(f"{ours.records / ours.seconds:,.0f}/s, bare {bare.records / bare.seconds:,.0f}/s")
    path.unlink()
    entry = against(
        "replay-events",
        "events/s",
        "msgspec decoding of the same lines, nothing else",
        [(a.records / a.seconds, b.records / b.seconds) for a, b in pairs],
    )
    note = f"{LOAD.events_per_bucket:,} events a bucket, {pairs[0][0].alerts} alert documents"
    costs = (
        ("replay", median(1e6 * ours.cpu / ours.records for ours, _ in pairs), note),
        ("bare decoding", median(1e6 * bare.cpu / bare.records for _, bare in pairs), ""),
    )
    rows = [Row(what, value, "µs of CPU per event", said) for what, value, said in costs]
    return Outcome([entry], rows)


def write(path: Path, load: Load) -> Path:
    """Write a load as a recording."""
    topics = Settings().topics
    with path.open("wb") as stream:
        for offset, message in enumerate(messages(load)):
            topic = topics.tickets if message.kind == TICKETS else topics.channel_metrics
            record = Record(
                topic, message.partition, offset, message.at, message.key, message.value
            )
            stream.write(to_line(record) + b"\n")
    return path


def _pace(ground: Ground, how: str, path: Path) -> Pace:
    log = ground.folder / "replay.log"
    arguments = [how, str(path)]
    with Child("tests.bench.replay_events", arguments, log, python=ground.python) as child:
        return msgspec.json.decode(child.result(_ANSWER_SECONDS), type=Pace)


def timed(how: str, path: Path) -> Pace:
    """Read a recording in this process: `replay` through an engine, or `bare`."""
    before, started = _cpu(), time.monotonic()
    records, alerts = _replayed(path) if how == "replay" else _decoded(path)
    return Pace(records, time.monotonic() - started, _cpu() - before, alerts)


def _replayed(path: Path) -> tuple[int, int]:
    told = AlertList()
    settings = msgspec.convert({"detection": {"warm_up_seconds": 1_800}}, Settings)
    records = replay([path], settings, sink=told).records
    return records, len(told.alerts)


def _decoded(path: Path) -> tuple[int, int]:
    lines = msgspec.json.Decoder(Envelope)
    tickets = msgspec.json.Decoder(TicketEvent)
    topic = Settings().topics.tickets
    records = 0
    with path.open("rb") as stream:
        for line in stream:
            envelope = lines.decode(line)
            if envelope.topic == topic and envelope.payload is not None:
                tickets.decode(envelope.payload)
            records += 1
    return records, 0


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(timed(sys.argv[1], Path(sys.argv[2]))).decode() + "\n")
