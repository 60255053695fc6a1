"""Whatever the bytes: the decoder gives an event that can be worked with, or a rejection."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.core.contracts.event import MAX_DOCUMENT_BYTES, Reason, Rejection
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.decode import (
    FAULTS,
    decode_channel_metric,
    decode_measurement,
    decode_ticket,
    time_fault,
)
from ruptura.core.ingest.handlers import HANDLERS

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
PATH = re.compile(r" - at `\$[^`]*`\Z")
MAX_TEXT = 1000

TICKET: dict[str, Any] = {
    "event_id": "e-1",
    "ticket_id": "ATD-1",
    "type": "opened",
    "occurred_at": "2026-03-02T09:00:00-03:00",
    "service": "loja-aurora",
    "channel": "whatsapp",
    "customer_id": "c_7f3e",
    "category": "reclamação 😀",
    "exception": "service",
    "priority": "alta",
    "queue": "pos-venda",
    "handled_by": "human",
    "wait_seconds": 12.5,
    "handle_seconds": 600,
    "resolution_seconds": 1e4,
    "rating": 4,
    "attributes": {"uf": "SP", "canal \n": "\u0000"},
    "unknown": [{"a": [1, -2.5e-3, None, True]}, "\\ud800"],
}
RATIO: dict[str, Any] = {
    "event_id": "e-2",
    "occurred_at": "2026-03-02T12:00:00Z",
    "service": "loja-aurora",
    "channel": "whatsapp",
    "metric": "request_error_ratio",
    "numerator": 3,
    "denominator": 40,
}
TOKENS = [
    *(b"[", b"{", b"}", b'"', b",", b":", b"-", b"e", b"\\", b"\x00", b"null", b"NaN", b"1e999"),
    *(b"\\ud800", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"9" * 400, b"[" * 1500),
]

fuzz = settings(deadline=None, max_examples=500)


def encode(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def explained(rejection: Rejection) -> bool:
    """Whether the reason names a path, and can be sent on."""
    rejection.text.encode()
    return bool(PATH.search(rejection.text)) and len(rejection.text) <= MAX_TEXT


def texts(value: object) -> list[str]:
    """Every string in an event."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    return []


def judge(value: bytes | None) -> list[Reason | None]:
    """Try all decoders on the bytes; None stands for an event."""
    source = Record("ruptura.tickets", 1, 42, NOON, b"loja-aurora", value)
    verdicts: list[Reason | None] = []
    for decode in (decode_ticket, decode_channel_metric):
        outcome = decode(source)
        verdicts.append(outcome.reason if isinstance(outcome, Rejection) else None)
        if isinstance(outcome, Rejection):
            assert outcome.record is source
            assert explained(outcome), outcome.text
            continue
        for field in msgspec.structs.astuple(outcome):
            for text in texts(field):
                text.encode()
            assert not isinstance(field, float) or math.isfinite(field)
        assert outcome.occurred_at.utcoffset() is not None
        fault = time_fault(source, outcome.occurred_at.timestamp(), 300.0)
        assert fault is None or explained(fault)
    assert same(decode_measurement(source), decode_channel_metric(source))
    if value is not None and len(value) <= MAX_DOCUMENT_BYTES:
        for kind, handler in HANDLERS.items():
            try:
                event = handler.read(value)
            except FAULTS:
                event = None
            told = handler.decode(source)
            if event is not None:
                assert same(event, told)
            elif (value.count(b"[") + value.count(b"{")) < 1_000:  # see `same`
                # Measurements may also take the long way.
                assert isinstance(told, Rejection) or kind == "channel_metrics"
    return verdicts


def same(one: msgspec.Struct, other: msgspec.Struct) -> bool:
    """Whether two outcomes say the same; the quick decoder's events are of a type of their own.

    How deep is too deep depends on the stack that is left, which differs by a call or two.
    """
    if any(isinstance(each, Rejection) and "too deeply" in each.text for each in (one, other)):
        return True
    assert isinstance(one, Rejection) == isinstance(other, Rejection)
    return msgspec.structs.asdict(one) == msgspec.structs.asdict(other)


@given(
    st.lists(
        st.one_of(
            st.integers(0xD780, 0xE07F).map(lambda unit: b"\\u%04x" % unit),
            st.sampled_from([b"\\ud83d\\ude00", b"a", b"\\n", b"\xc3\xa7", b"\\u0000"]),
        ),
        min_size=1,
        max_size=6,
    )
)
@fuzz
def test_no_half_of_a_surrogate_pair_gets_into_an_event(units: list[bytes]) -> None:
    text = b"".join(units)
    start = encode(TICKET)[:-1]
    judge(start + b',"category":"%s"}' % text)
    judge(start + b',"attributes":{"%s":"%s"}}' % (text, text))


@given(st.binary(max_size=200))
@fuzz
def test_any_bytes_are_an_event_or_a_rejection(value: bytes) -> None:
    judge(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
fields = st.sampled_from([*TICKET, *RATIO, "value", ""])


@given(st.sampled_from([TICKET, RATIO]), st.dictionaries(fields, json_values, max_size=3))
@fuzz
def test_any_value_in_any_field_is_an_event_or_a_rejection(
    document: dict[str, Any], changes: dict[str, Any]
) -> None:
    judge(json.dumps(document | changes).encode())


def mutate(value: bytes, chance: random.Random) -> bytes:
    """One accident of the kind that storage, networks and careless producers make."""
    at = chance.randrange(len(value) + 1)
    end = min(len(value), at + chance.randrange(1, 9))
    accident = chance.randrange(6)
    if accident == 0 and at < len(value):
        return value[:at] + bytes([value[at] ^ (1 << chance.randrange(8))]) + value[at + 1 :]
    if accident == 1:
        return value[:at]
    if accident == 2:
        return value[:at] + value[end:]
    if accident == 3:
        return value[:at] + value[at:end] * chance.randrange(2, 9) + value[end:]
    if accident == 4:
        return value[:at] + chance.randbytes(end - at) + value[end:]
    return value[:at] + chance.choice(TOKENS) + value[at:]


def test_ten_thousand_damaged_documents_are_events_or_rejections() -> None:
    chance = random.Random(20260302)
    originals = [encode(TICKET), encode(RATIO), json.dumps(TICKET).encode()]
    seen: Counter[Reason | None] = Counter()
    for _ in range(10_000):
        value = chance.choice(originals)
        for _ in range(chance.randrange(1, 4)):
            value = mutate(value, chance)
        seen.update(judge(value))
    assert seen.total() == 20_000
    common = {None, Reason.MALFORMED_JSON, Reason.INVALID_FIELD, Reason.MISSING_FIELD}
    assert all(seen[verdict] > 500 for verdict in common), seen


@given(st.integers(1, 3000), st.sampled_from([b"[", b'{"a":', b'[{"":']), st.booleans())
@fuzz
def test_any_depth_is_an_event_or_a_rejection(depth: int, level: bytes, closed: bool) -> None:
    end = level.replace(b'{"a":', b"}").replace(b'[{"":', b"}]").replace(b"[", b"]")
    nested = level * depth + b"1" + (end * depth if closed else b"")
    judge(nested)
    judge(encode(TICKET)[:-1] + b',"unknown":' + nested + b"}")


@given(
    st.floats(),
    st.datetimes(timezones=st.timezones()).map(datetime.timestamp),
    st.floats(0, 86_400),
)
@fuzz
def test_no_pair_of_times_raises(timestamp: float, occurred_at: float, limit: float) -> None:
    fault = time_fault(Record("t", 0, 0, timestamp, None, b"{}"), occurred_at, limit)
    assert fault is None or explained(fault)


@given(
    st.lists(st.sampled_from(["ok", "a b", "", "1", "x" * 129, "é", "a:b"]), max_size=3),
    st.booleans(),
)
@fuzz
def test_names_of_metrics_are_judged_alike_however_often_and_however_they_are_written(
    names: list[str], escaped: bool
) -> None:
    source = RATIO.copy()
    del source["metric"]
    document = encode(source)[:-1]
    for n, name in enumerate(names):
        field = b"\\u006detric" if escaped and n == 0 else b"metric"
        document += b',"%s":%s' % (field, encode(name))
    judge(document + b"}")
