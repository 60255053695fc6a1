"""What the crash tests publish, and what an undisturbed engine makes of it."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

import msgspec

from ruptura.assembly.build import build_engine
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Record
from ruptura.core.engine import Engine
from ruptura.files.recording import to_line
from ruptura.outputs.files import AlertLines
from ruptura.outputs.sink import ImmediateSink, Sinks
from ruptura.settings import Settings
from ruptura.tools.replay import replay
from tests.integration.publisher import named
from tests.integration.workers import (
    END,
    Outcome,
    scenario,
    tuned,
)
from tests.simulation.contact_centre import METRICS, TICKETS, metric, ticket

LATENESS = 120.0
"""A broker that is down holds producers up; what they send then is not to count as late."""

UNTIL = END - LATENESS
"""Up to here buckets close by records alone, whatever the time that passes after them."""

Position = tuple[str, int, int]
"""Topic, partition and offset."""


def patient(settings: Settings) -> Settings:
    """Settings under which only records decide what is late and which buckets close."""
    tuning = tuned(settings)
    window = msgspec.structs.replace(
        tuning.window, lateness_seconds=LATENESS, idle_seconds=86_400.0
    )
    return msgspec.structs.replace(tuning, window=window)


def recorded(seed: int, settings: Settings) -> list[Record]:
    """The scenario with a handful of bad records in it, under the names of these topics."""
    chance = Random(seed)
    told = list(scenario(seed))
    for topic, value in _bad():
        at = chance.randrange(len(told))
        beside = next(record for record in told[at::-1] + told if record.topic == topic)
        told.insert(at, msgspec.structs.replace(beside, value=value))
    return named(_numbered(told), settings)


def _bad() -> Iterator[tuple[str, bytes | None]]:
    """Values that are refused whatever the time of the record."""
    whole = ticket(END, 1)
    yield TICKETS, b"\x00 no JSON"
    yield TICKETS, None
    yield TICKETS, json.dumps(whole | {"rating": 9}).encode()
    yield TICKETS, json.dumps({"event_id": "alone"}).encode()
    yield METRICS, b"[]"
    yield METRICS, json.dumps(metric(END, "errors", numerator=2, denominator=1)).encode()


def _numbered(told: Iterable[Record]) -> Iterator[Record]:
    following: Counter[tuple[str, int]] = Counter()
    for record in told:
        source = record.topic, record.partition
        yield msgspec.structs.replace(record, offset=following[source])
        following[source] += 1


class Undisturbed(msgspec.Struct):
    """What the recording leads to where nothing goes wrong.

    Attributes:
        outcome: The alerts of a replay, up to `UNTIL`.
        bad: Where the records are that are refused.
        engine: An engine that has stepped all records.
        ends: Offset after the last record, by topic and partition.
    """

    outcome: Outcome
    bad: set[Position]
    engine: Engine
    ends: dict[tuple[str, int], int]


class Refused(ImmediateSink):
    """The positions of refused records."""

    def __init__(self) -> None:
        self.positions: set[Position] = set()

    def apply(self, effects: Effects) -> None:
        self.positions.update(
            (r.record.topic, r.record.partition, r.record.offset) for r in effects.rejections
        )


def undisturbed(told: Sequence[Record], settings: Settings, folder: Path) -> Undisturbed:
    """Replay a recording and step an engine with it; the recording stays in the folder."""
    path = folder / "recording.jsonl"
    path.write_bytes(b"".join(to_line(record) + b"\n" for record in told))
    lines, refused = io.BytesIO(), Refused()
    replay([path], settings, sink=Sinks(AlertLines(lines), refused))
    bad = refused.positions
    outcome = Outcome({}, UNTIL)
    outcome.alerts = outcome.comparable(lines.getvalue().splitlines())
    engine = build_engine(settings)
    engine.step(told)
    ends = {(record.topic, record.partition): record.offset + 1 for record in told}
    return Undisturbed(outcome, bad, engine, ends)
