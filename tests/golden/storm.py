"""The golden recording: nine hours in which one channel is flooded, fails, and then goes silent.

Synthetic and seeded, so it carries nobody's data. After a wanted change of behaviour write the
expected alerts anew, and read the difference before committing it:

    PYTHONPATH=pipeline:. python -m tests.golden.storm
"""

from __future__ import annotations

import io
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from ruptura.core.contracts.record import Record
from ruptura.files.recording import open_for_writing, to_line
from ruptura.outputs.files import AlertLines
from ruptura.settings import Settings
from ruptura.tools.replay import replay
from tests.simulation.contact_centre import (
    HOUR,
    METRICS,
    MONDAY,
    TICKETS,
    record,
    records,
    ticket,
)
from tests.simulation.contact_centre import metric as measurement

HERE = Path(__file__).resolve().parent
RECORDING, EXPECTED = HERE / "storm.jsonl.gz", HERE / "storm.alerts.jsonl"
SETTINGS = msgspec.convert({"detection": {"warm_up_seconds": 7200}}, Settings)


def storm() -> list[Record]:
    """The records, in order of time across both topics."""
    chance = Random(2026)
    tickets: list[tuple[float, dict[str, Any]]] = []
    metrics: list[tuple[float, dict[str, Any]]] = []
    for n in range(int(9 * HOUR / 20)):
        at = MONDAY + 20.0 * n
        hour = (at - MONDAY) / HOUR
        many = 8 if 3.5 <= hour < 4.25 else 1
        for m in range(many if hour < 8.0 else 0):
            number = n * 10 + m
            tickets.append((at, ticket(at, number, customer_id=f"c-{number % 400}")))
            done = at + chance.uniform(300.0, 900.0)
            tickets.append((done, ticket(done, number, "resolved")))
        if n % 3 == 0:
            broken = 5.5 <= hour < 6.0
            errors = sum(chance.random() < (0.25 if broken else 0.01) for _ in range(100))
            metrics.append((at, measurement(at, "errors_ratio", numerator=errors, denominator=100)))
    held = records(
        [pair for pair in tickets if pair[0] < MONDAY + 8.5 * HOUR],
        delay=lambda: chance.random() * 20.0,
    )
    held.append(record(b"{not json", len(held), held[-1].timestamp + 1.0))
    held += records(metrics, topic=METRICS, delay=lambda: chance.random() * 5.0)
    assert {one.topic for one in held} == {TICKETS, METRICS}
    return sorted(held, key=lambda one: one.timestamp)


def alerts_of(path: Path) -> bytes:
    """The alert lines that a replay prints."""
    lines = io.BytesIO()
    replay([path], SETTINGS, sink=AlertLines(lines))
    return lines.getvalue()


if __name__ == "__main__":
    with open_for_writing(RECORDING) as stream:
        stream.writelines(to_line(one) + b"\n" for one in storm())
    EXPECTED.write_bytes(alerts_of(RECORDING))
