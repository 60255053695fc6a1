"""Alerts and dead letters as JSON: whole, valid under their schemas, the same bytes each time."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from ruptura.core.contracts.document import (
    Action,
    Alert,
    AlertSignal,
    Cause,
    DeadLetter,
    Direction,
    Kind,
    Message,
    Status,
    TransitionReason,
)
from ruptura.core.contracts.event import ExceptionKind, Reason
from ruptura.tools.schemas import render

quick = settings(deadline=None, max_examples=200)

# Half of a surrogate pair is no text: the decoder lets none in, so none comes out.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
name = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)
instant = st.datetimes(datetime(1970, 1, 1), datetime(8999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone
number = st.floats(allow_nan=False, allow_infinity=False)
probability = st.floats(0, 1)
base64 = st.binary(max_size=60).map(lambda raw: b64encode(raw).decode())

alerts = st.builds(
    Alert,
    alert_id=st.uuids(version=5).map(str),
    incident_id=st.uuids(version=5).map(str),
    sequence=st.integers(0, 2**53),
    status=st.sampled_from(get_args(Status)),
    reason=st.sampled_from(get_args(TransitionReason)),
    service=name,
    channel=name,
    kind=st.sampled_from(get_args(Kind)),
    risk=probability,
    started_at=instant,
    updated_at=instant,
    ended_at=st.none() | instant,
    expected_breach_at=st.none() | instant,
    signals=st.lists(
        st.builds(
            AlertSignal,
            series=text,
            direction=st.sampled_from(get_args(Direction)),
            observed=st.none() | number,
            expected=number,
            lower=number,
            upper=number,
            score=probability,
            since=instant,
        ),
        max_size=3,
    ),
    causes=st.lists(st.builds(Cause, code=text, contribution=number, text=text), max_size=3),
    exception=st.none() | st.sampled_from(get_args(ExceptionKind)),
    actions=st.lists(st.builds(Action, text=text, url=st.none() | text), max_size=3),
    message=st.builds(Message, pt_br=text, en=text),
    labels=st.dictionaries(text, text, max_size=5),
)
dead_letters = st.builds(
    DeadLetter,
    topic=name,
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
    timestamp=number,
    reason=st.sampled_from(Reason),
    text=text,
    key=st.none() | base64,
    value=st.none() | base64,
    headers=st.lists(st.tuples(text, base64), max_size=3),
)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=FormatChecker())


ALERT_SCHEMA: dict[str, Any] = json.loads(render()["alert.schema.json"])
ALERT = validator(ALERT_SCHEMA)
DEAD_LETTER_SCHEMA: dict[str, Any] = json.loads(render()["dead-letter.schema.json"])
DEAD_LETTER = validator(DEAD_LETTER_SCHEMA)


def an_alert(**fields: Any) -> Alert:
    at = datetime(2026, 3, 2, 12, 14, tzinfo=UTC)
    start: dict[str, Any] = {
        "alert_id": "f04d3f70-b1e9-5ce8-8467-5fd73e1db6f3",
        "incident_id": "0f6bde4c-42a5-5a1c-a0a7-5f7b1c0e4f10",
        "sequence": 0,
        "status": "warning",
        "reason": "opened",
        "service": "loja-aurora",
        "channel": "whatsapp",
        "kind": "surge",
        "risk": 0.9,
        "started_at": at,
        "updated_at": at,
        "signals": [],
        "causes": [],
        "actions": [],
        "message": Message(pt_br="Olá", en="Hello"),
        "labels": {},
    }
    return Alert(**(start | fields))


@given(alerts)
@quick
def test_every_alert_is_valid_under_its_schema_and_comes_back_whole(alert: Alert) -> None:
    encoded = msgspec.json.encode(alert)
    ALERT.validate(json.loads(encoded))
    assert msgspec.json.decode(encoded, type=Alert) == alert


@given(dead_letters)
@quick
def test_every_dead_letter_is_valid_under_its_schema_and_comes_back_whole(
    letter: DeadLetter,
) -> None:
    encoded = msgspec.json.encode(letter)
    DEAD_LETTER.validate(json.loads(encoded))
    assert msgspec.json.decode(encoded, type=DeadLetter) == letter


@given(alerts)
@quick
def test_an_alert_read_and_written_again_has_the_same_bytes(alert: Alert) -> None:
    encoded = msgspec.json.encode(alert)
    assert msgspec.json.encode(msgspec.json.decode(encoded, type=Alert)) == encoded


def test_times_are_written_in_utc_with_a_z() -> None:
    document = json.loads(msgspec.json.encode(an_alert()))
    assert document["started_at"] == "2026-03-02T12:14:00Z"


def test_the_draft_in_portuguese_bears_its_language_tag() -> None:
    document = json.loads(msgspec.json.encode(an_alert()))
    assert document["message"] == {"pt-BR": "Olá", "en": "Hello"}


def test_what_is_not_set_is_written_as_null_so_that_readers_find_every_field() -> None:
    document = json.loads(msgspec.json.encode(an_alert()))
    assert document.keys() == ALERT_SCHEMA["properties"].keys()
    assert document["ended_at"] is None


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_without_a_value_breaks_the_contract_where_it_is_written(number: float) -> None:
    # JSON has no such numbers: they would be written as null, which the schema refuses.
    document = json.loads(msgspec.json.encode(an_alert(risk=number)))
    assert [error.json_path for error in ALERT.iter_errors(document)] == ["$.risk"]


@pytest.mark.parametrize("raw", [b"", b"\x00\xff\xfe", bytes(range(256)), "ção".encode()])
def test_a_dead_letter_keeps_every_byte(raw: bytes) -> None:
    letter = DeadLetter(
        topic="ruptura.tickets",
        partition=0,
        offset=7,
        timestamp=1.5,
        reason=Reason.MALFORMED_JSON,
        text="JSON is malformed - at `$`",
        key=b64encode(raw).decode(),
        value=b64encode(raw).decode(),
        headers=[("source", b64encode(raw).decode())],
    )
    document = json.loads(msgspec.json.encode(letter))
    found = [document["key"], document["value"], document["headers"][0][1]]
    assert [b64decode(part, validate=True) for part in found] == [raw] * 3


def test_the_reason_of_a_dead_letter_is_its_stable_code() -> None:
    codes = DEAD_LETTER_SCHEMA["$defs"]["Reason"]["enum"]
    assert sorted(codes) == sorted(reason.value for reason in Reason)
