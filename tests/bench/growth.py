"""What an event costs as channels grow, in the engine alone: CPU per event at several densities."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from statistics import median

import msgspec

from ruptura.assembly.build import build_engine
from ruptura.core.contracts.record import Record
from ruptura.settings import Settings
from tests.bench.broker import Ground
from tests.bench.children import Child
from tests.bench.figures import Outcome, Row
from tests.bench.load import TICKETS, Load, messages

_CHANNELS = (30, 300, 3_000)
_DENSITIES = (2, 20, 200)  # events of a channel in a bucket
_EVENTS = 60_000  # measured, at least; and three buckets, lest the closing be left out
_SHORTEST = 3
_STEP = 2_000


class Cost(msgspec.Struct, frozen=True):
    """What one engine took.

    Attributes:
        events: How many were measured.
        seconds: CPU that they took, closing of buckets included.
    """

    events: int
    seconds: float


def measure(ground: Ground, _names: frozenset[str], say: Callable[[str], None]) -> Outcome:
    """Measure each cell in a process of its own; the first bucket of each is not counted."""
    rows: list[Row] = []
    for density in _DENSITIES:
        for channels in _CHANNELS:
            if channels * density * _SHORTEST > 4 * _EVENTS:
                continue
            costs = [_cell(ground, channels, density) for _ in range(min(ground.runs, 2))]
            each = median(1e6 * cost.seconds / cost.events for cost in costs)
            say(f"{channels:,} channels, {density} events a bucket each: {each:.1f} µs an event")
            note = f"{channels:,} channels, {density} events of each in a bucket"
            rows.append(Row("engine, cost of an event", each, "µs of CPU", note))
    return Outcome([], rows)


def _cell(ground: Ground, channels: int, density: int) -> Cost:
    log = ground.folder / "growth.log"
    arguments = [str(channels), str(density)]
    with Child("tests.bench.growth", arguments, log, python=ground.python) as child:
        return msgspec.json.decode(child.result(180.0), type=Cost)


def cost(channels: int, density: int) -> Cost:
    """Feed an engine in this process."""
    load = Load(
        services=max(channels // 10, 1),
        channels=10,
        events_per_bucket=channels * density,
        minutes=max(_EVENTS // (channels * density), _SHORTEST) + 2,
        rupture_every=0,
    )
    engine = build_engine(Settings())
    topics = Settings().topics
    records: list[Record] = []
    fresh = 0
    for offset, message in enumerate(messages(load)):
        topic = topics.tickets if message.kind == TICKETS else topics.channel_metrics
        records.append(
            Record(topic, message.partition, offset, message.at, message.key, message.value)
        )
        if message.at < load.start + 120.0:
            fresh = len(records)
    # Two buckets make channels and series; what follows is their daily bread.
    engine.step(records[:fresh])
    before = _cpu()
    for at in range(fresh, len(records), _STEP):
        engine.step(records[at : at + _STEP])
    return Cost(len(records) - fresh, _cpu() - before)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    found = cost(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
