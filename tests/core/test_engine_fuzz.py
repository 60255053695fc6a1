"""Whatever the bytes and the values: each record is counted, each refusal is told once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import Rejection
from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.outputs.texts.alerts import alert_document
from tests.simulation.contact_centre import (
    DAY,
    HOUR,
    METRICS,
    MONDAY,
    TICKETS,
    add,
    engine,
    metric,
    record,
    rfc3339,
    run,
    ticket,
)

TOKENS = [
    *(b"[", b"{", b"}", b'"', b",", b":", b"-", b"e", b"\\", b"\x00", b"null", b"NaN", b"1e999"),
    *(b"\\ud800", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"9" * 400, b"[" * 1500),
    *(b"2026-03-02", b"9999-12-31T23:59:59Z", b"0001-01-01T00:00:00+14:00", b"1e15", b"5e-324"),
]


def mutated(chance: Random, at: float, number: int) -> bytes | None:
    """A document, whole or with a few of its bytes cut, changed or doubled; or mere noise."""
    shape = chance.random()
    if shape < 0.15:
        return chance.randbytes(chance.choice((0, 1, 8, 200, 3000)))
    if shape < 0.17:
        return None
    if chance.random() < 0.5:
        document = ticket(
            at,
            number,
            chance.choice(("opened", "resolved", "rated", "closed")),
            channel=chance.choice(("whatsapp", "voice", "é\n", "a" * 128)),
            rating=chance.choice((1, 5)),
            wait_seconds=chance.choice((0, 1e9, 5e-324)),
            attributes={},
        )
    else:
        parts: dict[str, Any] = chance.choice(
            (
                {"value": 1e15},
                {"value": -1e15},
                {"numerator": 0, "denominator": 0},
                {"numerator": 5e-324, "denominator": 5e-324},
            )
        )
        document = metric(at, chance.choice(("wait", "requests", "errors_ratio")), **parts)
    value = bytearray(msgspec.json.encode(document))
    for _ in range(chance.choice((0, 0, 1, 2, 5))):
        begin = chance.randrange(len(value) + 1)
        end = min(len(value), begin + chance.choice((0, 1, 4, 40)))
        value[begin:end] = chance.choice((b"", chance.choice(TOKENS), chance.randbytes(2)))
    return bytes(value)


def test_ten_thousand_broken_documents_are_each_counted_and_each_refused_once() -> None:
    chance = Random(20_260_302)
    inputs: list[Input] = []
    for offset in range(10_000):
        at = MONDAY + offset * 7.0
        topic = chance.choice((TICKETS, METRICS))
        key = chance.choice((None, b"loja-aurora", b"\xff\x00"))
        value = mutated(chance, at + chance.uniform(-60, 400), offset)
        headers = (("trace", b"\x00"),) if offset % 9 == 0 else ()
        inputs.append(Record(topic, 0, offset, at, key, value, headers))
    subject, total = engine(), Effects()
    begun = 0
    while begun < len(inputs):
        size = chance.choice((1, 10, 1000))
        add(total, subject.step(inputs[begun : begun + size]))
        begun += size
    assert sum(total.consumed.values()) == 10_000
    refused = {r.record.offset: r for r in total.rejections}
    assert len(refused) == len(total.rejections)
    assert 3_000 < len(refused) < 9_000
    for offset, rejection in refused.items():
        assert rejection.record is inputs[offset]
        assert " - at `$" in rejection.text
        rejection.text.encode()
    assert len({r.reason for r in total.rejections}) >= 5
    dropped = sum(total.late.values()) + sum(total.duplicates.values())
    assert 0 < dropped < 10_000 - len(refused)


# Models settle in a calm phase first with seed 0, in a wild one with seed 2.
@pytest.mark.parametrize(
    "seeds", [(0, 2), pytest.param(range(1, 13), marks=pytest.mark.quality)], ids=str
)
def test_hostile_numbers_never_reach_what_is_published(root: Path, seeds: Sequence[int]) -> None:
    schema = msgspec.json.decode((root / "schemas" / "alert.schema.json").read_bytes())
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    alerts = 0
    for seed in seeds:
        effects = run(engine(detection={"warm_up_seconds": 7200}), hostile(seed))
        assert not [r for r in effects.rejections if not isinstance(r, Rejection)]
        assert len(effects.points) > 10_000
        for point in effects.points:
            for number in (point.observed, point.expected, point.lower, point.upper):
                assert number is None or math.isfinite(number), point
            for probability in (point.score, point.evidence):
                assert probability is None or 0.0 < probability <= 1.0, point
            if point.lower is not None and point.upper is not None:
                assert point.lower <= point.upper, point
        for channel in effects.channels:
            assert 0.0 <= channel.risk <= 1.0
        for alert in effects.alerts:
            validator.validate(msgspec.json.decode(msgspec.json.encode(alert_document(alert))))
        alerts += len(effects.alerts)
    assert alerts > 5


def hostile(seed: int) -> list[Input]:
    """Two days of documents that are valid and absurd, in phases so that models settle first."""
    chance = Random(seed)
    extremes = [1e15, -1e15, 0.0, 5e-324, 1e-300, -1e-300, 1.0, 1e9, -0.0]
    sizes = [0.0, 5e-324, 1e-300, 1.0, 1e15, 1e-12]
    inputs: list[Input] = []
    for n in range(int(2 * DAY / 30)):
        at = MONDAY + 30.0 * n
        wild = (n // 240 + seed) % 3 > 0
        number = n * 10
        value = chance.choice(extremes) if wild else 1.0
        size = chance.choice(sizes) if wild else 1e-300
        share = chance.choice((0.0, 0.5, 1.0))
        documents: list[tuple[str, dict[str, Any]]] = [
            (METRICS, metric(at, "level", value=value, event_id=f"a{n}")),
            (METRICS, metric(at, "requests", value=value, event_id=f"b{n}")),
            (METRICS, metric(at, "answer_seconds", value=value, event_id=f"c{n}")),
            (
                METRICS,
                metric(
                    at, "errors_ratio", numerator=size * share, denominator=size, event_id=f"d{n}"
                ),
            ),
            (
                METRICS,  # the same name with both forms, in turns
                metric(at, "mixed", event_id=f"e{n}")
                | ({"value": value} if n % 2 else {"numerator": 0.0, "denominator": size}),
            ),
            (
                METRICS,
                metric(at, "turned", event_id=f"f{n}")
                | (
                    {"value": value}
                    if n > 1000 and n % 3
                    else {"numerator": size * share, "denominator": size}
                ),
            ),
        ]
        for _ in range(chance.choice((0, 1, 40)) if wild else 1):
            number += 1
            documents.append(
                (
                    TICKETS,
                    ticket(
                        at,
                        number,
                        chance.choice(("opened", "rated", "abandoned", "resolved")),
                        rating=5 if wild else 3,
                        wait_seconds=chance.choice((0.0, 5e-324, 1e9)) if wild else 3.0,
                        resolution_seconds=chance.choice((0, 1e9)),
                        exception="policy",
                        attributes={},
                    ),
                )
            )
        inputs += [
            record(document, n * 100 + i, at, topic=topic)
            for i, (topic, document) in enumerate(documents)
        ]
    end = MONDAY + 2 * DAY
    inputs += [Tick(t, 0, end + 60.0 * k) for k in range(60) for t in (TICKETS, METRICS)]
    return inputs


def test_the_edges_of_time_do_no_harm() -> None:
    inputs: list[Input] = []
    for n, at in enumerate((0.0, 59.9, 8 * 365 * DAY, 221_845_391_000.0)):
        inputs.append(record(ticket(0, n) | {"occurred_at": rfc3339(at)}, n, at))
    for n, text in enumerate(
        ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "1969-12-31T23:59:59Z")
    ):
        document = ticket(0, n + 10) | {"occurred_at": text}
        inputs.append(record(document, n + 10, 221_845_391_000.0))
    inputs += [Tick(t, 0, 221_845_391_000.0 + HOUR) for t in (TICKETS, METRICS)] * 3
    effects = run(engine(window={"expire_seconds": 3600}), inputs)
    assert effects.consumed == {TICKETS: 7}
    assert len(effects.rejections) == 3
    assert effects.buckets < 500
