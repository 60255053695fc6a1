"""Bytes to events: what is read, what is refused, and that nothing else can happen."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ruptura.core.contracts.event import (
    MAX_DOCUMENT_BYTES,
    ChannelMetricEvent,
    Event,
    Reason,
    Rejection,
    TicketEvent,
)
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.decode import decode_channel_metric, decode_ticket, time_fault

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
PATH = re.compile(r" - at `(\$[^`]*)`\Z")
MAX_TEXT = 1000
"""A reason is read by people and repeated in logs; the bytes themselves are kept elsewhere."""

TICKET: dict[str, Any] = {
    "event_id": "e-1",
    "ticket_id": "ATD-1",
    "type": "opened",
    "occurred_at": "2026-03-02T09:00:00-03:00",
    "service": "loja-aurora",
    "channel": "whatsapp",
}
METRIC: dict[str, Any] = {
    "event_id": "e-2",
    "occurred_at": "2026-03-02T12:00:00Z",
    "service": "loja-aurora",
    "channel": "whatsapp",
    "metric": "request_error_ratio",
}
FULL_TICKET: dict[str, Any] = TICKET | {
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
RATIO = METRIC | {"numerator": 3, "denominator": 40}


def record(value: bytes | None, timestamp: float = NOON) -> Record:
    return Record("ruptura.tickets", 1, 42, timestamp, b"loja-aurora", value)


def encode(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def ticket(**fields: object) -> TicketEvent | Rejection:
    return decode_ticket(record(encode(TICKET | fields)))


def metric(**fields: object) -> ChannelMetricEvent | Rejection:
    return decode_channel_metric(record(encode(METRIC | fields)))


def refusal(outcome: Event | Rejection) -> tuple[Reason, str]:
    """The reason and the path of a rejection, which must be one."""
    assert isinstance(outcome, Rejection)
    path = PATH.search(outcome.text)
    assert path, f"no path in {outcome.text!r}"
    return outcome.reason, path[1]


def with_raw(member: bytes, document: dict[str, Any] = TICKET) -> bytes:
    """The document with one more member, written as bytes."""
    return encode(document)[:-1] + b"," + member + b"}"


# What is read


@pytest.mark.parametrize(
    "step",
    [
        "opened",
        "updated",
        "transferred",
        "escalated",
        "reopened",
        "resolved",
        "closed",
        "abandoned",
        "rated",
    ],
)
def test_every_step_of_a_contact_is_read(step: str) -> None:
    event = ticket(type=step)
    assert isinstance(event, TicketEvent)
    assert event.type == step


def test_every_field_of_a_ticket_event_is_read() -> None:
    event = decode_ticket(record(encode(FULL_TICKET)))
    assert isinstance(event, TicketEvent)
    read = msgspec.to_builtins(event)
    written = {name: value for name, value in FULL_TICKET.items() if name != "unknown"}
    assert read == written


def test_the_offset_of_a_time_is_honoured() -> None:
    in_sao_paulo = ticket(occurred_at="2026-03-02T09:00:00-03:00")
    in_utc = ticket(occurred_at="2026-03-02T12:00:00Z")
    assert isinstance(in_sao_paulo, TicketEvent)
    assert isinstance(in_utc, TicketEvent)
    assert in_sao_paulo.occurred_at == in_utc.occurred_at
    assert in_utc.occurred_at.timestamp() == NOON


def test_a_ratio_is_read_as_both_counts() -> None:
    event = metric(numerator=3, denominator=40)
    assert isinstance(event, ChannelMetricEvent)
    assert (event.value, event.numerator, event.denominator) == (None, 3.0, 40.0)


def test_a_ratio_of_nothing_is_read() -> None:
    assert isinstance(metric(numerator=0, denominator=0), ChannelMetricEvent)


def test_a_null_is_as_good_as_an_absent_field() -> None:
    assert ticket(rating=None, attributes=None, category=None) == ticket()
    assert metric(value=1, numerator=None, denominator=None) == metric(value=1)


def test_unknown_fields_are_ignored_so_that_producers_may_grow_first() -> None:
    assert ticket(sentiment={"label": "negativo", "scores": [0.1, None]}) == ticket()


def test_bytes_in_an_unknown_field_are_not_even_read() -> None:
    value = with_raw(b'"note":"\xff\xfe"')
    assert decode_ticket(record(value)) == ticket()


def test_of_a_repeated_field_the_last_one_counts_but_all_are_checked() -> None:
    event = decode_ticket(record(with_raw(b'"rating":1,"rating":5')))
    assert isinstance(event, TicketEvent)
    assert event.rating == 5
    refused = decode_ticket(record(with_raw(b'"rating":9,"rating":5')))
    assert refusal(refused) == (Reason.INVALID_FIELD, "$.rating")


def test_a_document_of_exactly_the_largest_size_is_read() -> None:
    assert decode_ticket(record(encode(TICKET).ljust(MAX_DOCUMENT_BYTES))) == ticket()


# What is refused, and how


def test_a_rejection_keeps_the_record_with_its_bytes() -> None:
    source = record(b"\x00\x01")
    outcome = decode_ticket(source)
    assert isinstance(outcome, Rejection)
    assert outcome.record is source


@pytest.mark.parametrize("field", sorted(TICKET))
def test_a_missing_field_is_named(field: str) -> None:
    outcome = decode_ticket(record(encode({k: v for k, v in TICKET.items() if k != field})))
    assert refusal(outcome) == (Reason.MISSING_FIELD, "$")
    assert isinstance(outcome, Rejection)
    assert f"`{field}`" in outcome.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", ""),
        ("event_id", "x" * 257),
        ("ticket_id", 7),
        ("type", "created"),
        ("occurred_at", "2026-03-02T09:00:00"),
        ("occurred_at", "2026-03-02"),
        ("occurred_at", "0000-01-01T00:00:00Z"),
        ("occurred_at", "2016-12-31T23:59:60Z"),
        ("occurred_at", "2026-03-02T09:00:00+24:00"),
        ("occurred_at", "9999-12-31T23:59:59.9999999Z"),
        ("occurred_at", 1772452800),
        ("service", None),
        ("channel", "x" * 129),
        ("exception", "other"),
        ("handled_by", "robot"),
        ("wait_seconds", -1e-9),
        ("handle_seconds", 1.1e9),
        ("resolution_seconds", "60"),
        ("rating", 0),
        ("rating", 6),
        ("rating", 4.5),
        ("rating", True),
        ("attributes", ["a"]),
    ],
)
def test_an_invalid_field_of_a_ticket_event_is_named(field: str, value: object) -> None:
    assert refusal(ticket(**{field: value})) == (Reason.INVALID_FIELD, f"$.{field}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metric", "error-ratio"),
        ("metric", "9_lives"),
        ("metric", ""),
        ("metric", "x" * 129),
        ("metric", "queue_size\n"),
        ("value", 1.1e15),
        ("value", -1.1e15),
        ("value", "1"),
        ("numerator", -1),
        ("denominator", -1),
    ],
)
def test_an_invalid_field_of_a_measurement_is_named(field: str, value: object) -> None:
    outcome = metric(**({"value": 1} | {field: value}))
    assert refusal(outcome) == (Reason.INVALID_FIELD, f"$.{field}")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "$"),
        ({"numerator": 1}, "$"),
        ({"denominator": 1}, "$"),
        ({"numerator": 1, "denominator": None}, "$"),
        ({"value": 1, "numerator": 1, "denominator": 2}, "$.value"),
        ({"value": 1, "numerator": 1}, "$.value"),
        ({"value": 1, "denominator": 1}, "$.value"),
    ],
)
def test_a_measurement_is_a_value_or_a_ratio(fields: dict[str, Any], path: str) -> None:
    assert refusal(metric(**fields)) == (Reason.VALUE_CHOICE, path)


def test_a_ratio_over_one_is_refused() -> None:
    assert refusal(metric(numerator=41, denominator=40)) == (
        Reason.RATIO_OVER_ONE,
        "$.numerator",
    )


@pytest.mark.parametrize("decode", [decode_ticket, decode_channel_metric])
def test_a_tombstone_and_a_document_too_large_are_told_apart(decode: Any) -> None:
    assert refusal(decode(record(None))) == (Reason.NO_VALUE, "$")
    assert refusal(decode(record(b" " * (MAX_DOCUMENT_BYTES + 1)))) == (Reason.TOO_LARGE, "$")


@pytest.mark.parametrize("root", [b"null", b"[]", b"1", b'"text"', b"true"])
def test_a_document_is_an_object(root: bytes) -> None:
    assert refusal(decode_ticket(record(root))) == (Reason.INVALID_FIELD, "$")


def test_a_value_cannot_pass_for_a_missing_field() -> None:
    outcome = ticket(type="missing required field")
    assert refusal(outcome) == (Reason.INVALID_FIELD, "$.type")


def test_a_value_cannot_pass_for_a_path() -> None:
    assert refusal(ticket(type=" - at `$.service`")) == (Reason.INVALID_FIELD, "$.type")


def test_a_long_value_does_not_make_a_long_reason() -> None:
    outcome = ticket(type="x" * 500_000)
    assert refusal(outcome) == (Reason.INVALID_FIELD, "$.type")
    assert isinstance(outcome, Rejection)
    assert len(outcome.text) <= MAX_TEXT


# Bytes that have crashed other decoders


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" \n",
        b"\xef\xbb\xbf" + encode(TICKET),
        encode(TICKET)[:-1],
        encode(TICKET) * 2,
        encode(TICKET).decode().encode("utf-16"),
        with_raw(b'"wait_seconds":NaN'),
        with_raw(b'"wait_seconds":Infinity'),
        with_raw(b'"wait_seconds":+1'),
        with_raw(b'"wait_seconds":01'),
        with_raw(b'"category":"\xff"'),
        with_raw(b'"category":"\xc0\x80"'),
        with_raw(b'"category":"\xed\xa0\x80"'),
        with_raw(b'"category":"\xf4\x90\x80\x80"'),
        with_raw(b'"attributes":{"\xff":"x"}'),
        with_raw(rb'"category":"\ud800 "'),
        with_raw(rb'"category":"\udc00\ud800 "'),
        with_raw(rb'"attributes":{"\ud800 ":"x"}'),
        with_raw(b'"category":"\n"'),
    ],
)
def test_what_is_not_json_in_utf8_is_malformed(value: bytes) -> None:
    assert refusal(decode_ticket(record(value))) == (Reason.MALFORMED_JSON, "$")


@pytest.mark.parametrize(
    "nested",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_deep_nesting_is_refused_not_followed(nested: bytes) -> None:
    value = with_raw(b'"unknown":' + nested)
    assert refusal(decode_ticket(record(value))) == (Reason.MALFORMED_JSON, "$")


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 5000, b"1" + b"0" * 400])
def test_a_number_beyond_every_double_is_named(number: bytes) -> None:
    for field in ("wait_seconds", "rating"):
        value = with_raw(b'"%s":%s' % (field.encode(), number))
        assert refusal(decode_ticket(record(value))) == (Reason.INVALID_FIELD, f"$.{field}")
    assert decode_ticket(record(with_raw(b'"unknown":' + number))) == ticket()


def test_a_long_fraction_is_rounded() -> None:
    event = decode_ticket(record(with_raw(b'"wait_seconds":0.' + b"3" * 5000)))
    assert isinstance(event, TicketEvent)
    assert event.wait_seconds == pytest.approx(1 / 3)


# Times that would poison the clock


@pytest.mark.parametrize("ahead", [-1e9, -1.0, 0.0, 299.0, 300.0])
def test_a_time_up_to_the_limit_ahead_of_the_record_is_taken(ahead: float) -> None:
    assert time_fault(record(b"{}"), NOON + ahead, 300.0) is None


def test_a_time_further_ahead_is_refused() -> None:
    fault = time_fault(record(b"{}"), NOON + 300.001, 300.0)
    assert fault is not None
    assert refusal(fault) == (Reason.FUTURE_EVENT, "$.occurred_at")


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        ("1970-01-01T00:00:00Z", None),
        ("1969-12-31T23:59:59.999Z", Reason.TIME_OUT_OF_RANGE),
        ("1970-01-01T00:00:00+00:01", Reason.TIME_OUT_OF_RANGE),
        ("0001-01-01T00:00:00Z", Reason.TIME_OUT_OF_RANGE),
        ("0001-01-01T00:00:00+14:00", Reason.TIME_OUT_OF_RANGE),
        ("0001-01-01T00:00:00-23:59", Reason.TIME_OUT_OF_RANGE),
        ("9999-12-31T23:59:59.999999Z", Reason.FUTURE_EVENT),
        ("9999-12-31T23:59:59-14:00", Reason.FUTURE_EVENT),
        ("9999-12-31T23:59:59+23:59", Reason.FUTURE_EVENT),
    ],
)
def test_the_ends_of_the_calendar(time: str, reason: Reason | None) -> None:
    source = record(encode(TICKET | {"occurred_at": time}))
    event = decode_ticket(source)
    assert isinstance(event, TicketEvent)
    fault = time_fault(source, event.occurred_at.timestamp(), 300.0)
    assert (fault and fault.reason) == reason


def test_a_record_from_the_far_future_does_not_vouch_for_its_event() -> None:
    year_9990 = datetime(9990, 1, 1, tzinfo=UTC).timestamp()
    fault = time_fault(record(b"{}", timestamp=year_9990), year_9990, 300.0)
    assert fault is not None
    assert refusal(fault) == (Reason.TIME_OUT_OF_RANGE, "$.occurred_at")
