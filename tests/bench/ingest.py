"""Records a second into open buckets, no bucket closing, against their bare decoding."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from statistics import median

import msgspec

from ruptura.assembly.build import build_engine
from ruptura.core.contracts.event import TicketEvent
from ruptura.core.contracts.record import Record
from ruptura.settings import Settings
from tests.bench.broker import Ground
from tests.bench.children import Child
from tests.bench.figures import Outcome, Row, against
from tests.bench.load import TICKETS, Load, messages

LOAD = Load(minutes=5, events_per_bucket=6_000)
_STEP = 2_000
_REPEATS = 9
_ANSWER_SECONDS = 120.0


class Cost(msgspec.Struct, frozen=True):
    """What a record costs: the least of several passes over them.

    Attributes:
        ingest: CPU seconds of the engine.
        bare: CPU seconds of decoding the document, and nothing else.
    """

    ingest: float
    bare: float


def measure(ground: Ground, _names: frozenset[str], say: Callable[[str], None]) -> Outcome:
    """Measure both in turn, in a process of their own."""
    costs: list[Cost] = []
    for _ in range(ground.runs):
        log = ground.folder / "ingest.log"
        with Child("tests.bench.ingest", [], log, python=ground.python) as child:
            cost = msgspec.json.decode(child.result(_ANSWER_SECONDS), type=Cost)
        costs.append(cost)
        say(f"{1 / cost.ingest:,.0f}/s, bare {1 / cost.bare:,.0f}/s")
    entry = against(
        "ingest-records",
        "records/s",
        "msgspec decoding of the same documents, nothing else",
        [(1 / cost.ingest, 1 / cost.bare) for cost in costs],
    )
    micros = 1e6 * median(cost.ingest for cost in costs)
    return Outcome([entry], [Row("ingest", micros, "µs of CPU per record", "no bucket closes")])


def records() -> list[Record]:
    """Ticket events of one partition: with the other topic never heard, no bucket closes."""
    topic = Settings().topics.tickets
    found = [message for message in messages(LOAD) if message.kind == TICKETS]
    return [
        Record(topic, 0, offset, message.at, message.key, message.value)
        for offset, message in enumerate(found)
    ]


def cost() -> Cost:
    """Measure in this process."""
    held = records()
    bare = msgspec.json.Decoder(TicketEvent).decode
    ingest = [_seconds(lambda: _ingest(held)) for _ in range(_REPEATS)]
    decoding = [_seconds(lambda: _decode(held, bare)) for _ in range(_REPEATS)]
    return Cost(min(ingest) / len(held), min(decoding) / len(held))


def _ingest(held: list[Record]) -> None:
    engine = build_engine(Settings())
    for at in range(0, len(held), _STEP):
        engine.ingest(held[at : at + _STEP])
    assert engine.due() is None


def _decode(held: list[Record], bare: Callable[[bytes], TicketEvent]) -> None:
    for record in held:
        assert record.value is not None
        bare(record.value)


def _seconds(work: Callable[[], None]) -> float:
    gc.collect()
    gc.disable()
    started = time.process_time()
    work()
    spent = time.process_time() - started
    gc.enable()
    return spent


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(cost()).decode() + "\n")
