"""An engine with three services in one partition, its changelog, and all that is to come of it."""

from __future__ import annotations

import msgspec

from ruptura.core.contracts.effects import Effects, SeriesPoint
from ruptura.core.contracts.record import Record, Tick
from ruptura.core.engine import Engine
from ruptura.outputs.texts.alerts import alert_document
from ruptura.worker.checkpoints.checkpoint import PART_BYTES, Checkpoint, Checkpoints, Entry
from tests.simulation.contact_centre import (
    HOUR,
    MONDAY,
    add,
    contacts,
    day_shape,
    engine,
    lives,
    records,
)

SERVICES = ("aurora", "brisa", "cedro")


def stream(hours: float = 6.0) -> list[Record]:
    """The tickets of three services in one partition."""
    told = [
        (at, document | {"event_id": f"{service}-{document['event_id']}"})
        for number, service in enumerate(SERVICES)
        for at, document in lives(
            contacts(day_shape(60.0), 120.0, MONDAY, MONDAY + hours * HOUR, number),
            number,
            service=service,
        )
    ]
    return [msgspec.structs.replace(r, timestamp=float(r.timestamp)) for r in records(told)]


def fresh() -> Engine:
    return engine(detection={"warm_up_seconds": 3600})


def feed(subject: Engine, told: list[Record]) -> Effects:
    """Step, and say that nothing comes from the other topic, so that buckets close."""
    total = Effects()
    if told:
        silence = Tick("ruptura.channel-metrics", 0, told[-1].timestamp)
        for inputs in (told, [silence], [silence]):
            add(total, subject.step(inputs))
    return total


def apply(changelog: dict[bytes, bytes], entries: list[Entry]) -> None:
    for _, key, value in entries:
        if value is None:
            changelog.pop(key, None)
        else:
            changelog[key] = value


def entries_of(checkpoint: Checkpoint) -> list[Entry]:
    return [entry for wave in checkpoint.waves for entry in wave]


def restored(changelog: dict[bytes, bytes], part_bytes: int = PART_BYTES) -> Engine:
    subject = fresh()
    _, refused = Checkpoints(subject, part_bytes).restore(0, changelog)
    assert refused == 0
    return subject


class Outcome(msgspec.Struct):
    """What is to come of a state: all that its alerts and series will ever be."""

    alerts: list[bytes]
    points: list[SeriesPoint]

    @classmethod
    def of(cls, subject: Engine) -> Outcome:
        last = stream()[-1]
        later = [
            msgspec.structs.replace(
                record,
                offset=last.offset + 1 + number,
                timestamp=record.timestamp + 12 * HOUR,
                value=(record.value or b"").replace(b"2026-03-02T0", b"2026-03-02T1"),
            )
            for number, record in enumerate(stream(3.0))
        ]
        effects = feed(subject, later)
        return cls(
            [msgspec.json.encode(alert_document(alert)) for alert in effects.alerts],
            sorted(effects.points, key=lambda point: (point.service, point.series, point.start)),
        )
