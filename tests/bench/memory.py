"""Resident memory of an engine per series and per channel, beyond that of an empty one."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from statistics import median

import msgspec

from ruptura.assembly.build import build_engine
from ruptura.core.contracts.record import Record
from ruptura.core.engine import Engine
from ruptura.settings import Settings
from tests.bench.broker import Ground
from tests.bench.children import Child, resident_bytes
from tests.bench.figures import Outcome, Row, against
from tests.bench.load import START, rfc3339

_AIM_BYTES = 10_000.0
_SIZES = {1_000: 60, 10_000: 60, 100_000: 12}  # series, and minutes of event time
_METRICS = 4  # of each channel, beside the series of its tickets
_STEP = 2_000
_ANSWER_SECONDS = 300.0

_encode = msgspec.json.Encoder().encode


class Memory(msgspec.Struct, frozen=True):
    """What one engine holds.

    Attributes:
        channels, series: How many it has.
        resident: Bytes beyond those before the first record.
    """

    channels: int
    series: int
    resident: int


def measure(ground: Ground, _names: frozenset[str], say: Callable[[str], None]) -> Outcome:
    """Measure each size in a process of its own. Memory varies little: the largest runs once."""
    rows: list[Row] = []
    largest: list[Memory] = []
    for series, minutes in _SIZES.items():
        runs = 1 if series == max(_SIZES) else min(ground.runs, 2)
        largest = [_held(ground, series, minutes) for _ in range(runs)]
        per_series = median(held.resident / held.series for held in largest)
        per_channel = median(held.resident / held.channels for held in largest)
        note = f"{largest[0].series:,} series of {largest[0].channels:,} channels, {minutes} min"
        say(f"{note}: {per_series:,.0f} bytes per series")
        rows.append(Row("engine, memory per series", per_series, "bytes", note))
        rows.append(Row("engine, memory per channel", per_channel, "bytes", note))
    pairs = [(held.resident / held.series, _AIM_BYTES) for held in largest]
    entry = against("bytes-per-series", "bytes", "aim: at most, at 100,000 series", pairs)
    return Outcome([entry], rows)


def _held(ground: Ground, series: int, minutes: int) -> Memory:
    log = ground.folder / "memory.log"
    arguments = [str(series), str(minutes)]
    with Child("tests.bench.memory", arguments, log, python=ground.python) as child:
        return msgspec.json.decode(child.result(_ANSWER_SECONDS), type=Memory)


def events(channel: int, minute: int) -> list[dict[str, object]]:
    """What a channel sends in a minute: five steps of tickets and four metrics, fifteen series."""
    at = START + 60.0 * minute + 5.0
    number = minute * 10
    common = {
        "occurred_at": rfc3339(at),
        "service": f"loja-{channel // 10:05d}",
        "channel": f"c-{channel % 10}",
    }
    ticket = {"ticket_id": f"T-{channel}-{minute}"} | common
    handled = {
        "wait_seconds": 30.0 + minute % 7,
        "handle_seconds": 200.0 + minute % 11,
        "handled_by": "bot",
    }
    steps: list[dict[str, object]] = [
        {"type": "opened", "customer_id": f"{channel}-{minute}", "exception": "product"},
        {"type": "transferred", "handled_by": "bot"},
        {"type": "resolved", **handled},
        {"type": "reopened"},
        {"type": "rated", "rating": 4},
    ]
    sent = [ticket | step | {"event_id": f"{channel}-{number + n}"} for n, step in enumerate(steps)]
    sent += [
        common | {"event_id": f"{channel}-{minute}-{n}", "metric": f"level_{n}", "value": 5.0 + n}
        for n in range(_METRICS)
    ]
    return sent


def hold(wanted: int, minutes: int) -> Memory:
    """Make an engine in this process hold at least so many series."""
    engine = build_engine(Settings())
    for minute in range(4):  # what is made once, whatever comes
        per_channel = _feed(engine, range(1), minute)
    engine.forget(0)
    gc.collect()
    empty = resident_bytes(os.getpid())
    channels = -(-wanted // per_channel)
    series = 0
    for minute in range(minutes):
        series = max(series, _feed(engine, range(channels), minute))
    gc.collect()
    return Memory(channels, series, resident_bytes(os.getpid()) - empty)


def _feed(engine: Engine, channels: range, minute: int) -> int:
    """Feed a minute; it closes one bucket, of which this returns the number of series."""
    topics = Settings().topics
    at = START + 60.0 * minute + 5.0
    points = offset = 0
    batch: list[Record] = []
    for topic, is_metric in ((topics.tickets, False), (topics.channel_metrics, True)):
        for channel in channels:
            for document in events(channel, minute):
                if ("metric" in document) is not is_metric:
                    continue
                offset += 1
                key = str(document["service"]).encode()
                batch.append(Record(topic, 0, offset, at, key, _encode(document)))
            if len(batch) >= _STEP:
                points += len(engine.step(batch).points)
                batch.clear()
    return points + len(engine.step(batch).points)


if __name__ == "__main__":
    held = hold(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(msgspec.json.encode(held).decode() + "\n")
