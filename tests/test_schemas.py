"""The contracts on paper are those in force: schemas and examples."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from ruptura.core.contracts.event import Reason, Rejection
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.decode import decode_channel_metric, decode_ticket, time_fault
from ruptura.settings import Settings
from ruptura.tools.schemas import DOCUMENTS, drift, render, write

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "schemas"
VALID = sorted((SCHEMAS / "examples" / "valid").glob("*.json"))
INVALID = sorted((SCHEMAS / "examples" / "invalid").glob("*.json"))
DECODERS = {"ticket-event": decode_ticket, "channel-metric-event": decode_channel_metric}
OF_THE_ENGINE = {Reason.UNKNOWN_TOPIC, Reason.TOO_MANY_SERIES}
"""Reasons that no document bears in itself: they need topics and state."""

GENERATED: dict[str, dict[str, Any]] = {
    name: json.loads(render()[f"{name}.schema.json"]) for name in DOCUMENTS
}
VALIDATORS = {
    name: Draft202012Validator(schema, format_checker=FormatChecker())
    for name, schema in GENERATED.items()
}
A_MOMENT_LATER = datetime(2026, 3, 3, tzinfo=UTC).timestamp()


def document_of(path: Path) -> str:
    return path.name.split(".")[0]


def example_id(path: Path) -> str:
    return path.stem


def judge(name: str, value: bytes | None, record_time: float) -> tuple[Reason | None, str] | None:
    """What the code that reads the document finds: reason and path of the fault, or None."""
    if name not in DECODERS:
        assert value is not None
        try:
            msgspec.json.decode(value, type=DOCUMENTS[name])
        except msgspec.ValidationError as error:
            return None, path_of(str(error))
        return None
    record = Record("in", 0, 0, record_time, None, value)
    event: Any = DECODERS[name](record)
    if not isinstance(event, Rejection):
        limit = Settings().window.max_future_seconds
        event = time_fault(record, event.occurred_at.timestamp(), limit)
    return None if event is None else (event.reason, path_of(event.text))


def path_of(text: str) -> str:
    found = re.search(r" - at `([^`]+)`\Z", text)
    return found[1] if found else "$"


def field_of(path: str) -> str:
    """The field at the root; below it the decoder leaves out keys and indexes."""
    return re.split(r"(?<=\w)[.\[]", path)[0]


def parse(value: bytes) -> Any:
    """Parse as JSON strictly: no byte order mark, no NaN. Raises ValueError."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    return json.loads(value.decode(), parse_constant=refuse)


# Schemas


def test_the_schemas_are_those_of_the_types() -> None:
    assert drift(SCHEMAS) == []


def test_written_schemas_do_not_drift(tmp_path: Path) -> None:
    written = write(tmp_path / "new")
    assert sorted(path.name for path in written) == sorted(render())
    assert drift(tmp_path / "new") == []


def test_drift_names_what_is_missing_changed_or_left_over(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "alert.schema.json").unlink()
    (tmp_path / "old.schema.json").write_bytes(b"{}")
    (tmp_path / "recording.schema.json").write_bytes(b"{}\n")
    assert drift(tmp_path) == [
        "alert.schema.json: missing",
        "old.schema.json: no document has this schema",
        "recording.schema.json: differs from the types",
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_is_one_and_says_what_it_is(name: str) -> None:
    schema = GENERATED[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:ruptura:{name}:1"
    assert schema["title"] == DOCUMENTS[name].__name__
    assert schema["description"]


def test_patterns_are_portable() -> None:
    assert rb"\\Z" not in b"".join(render().values())


def test_formats_are_checked_here() -> None:
    # Without its extras jsonschema lets every date-time pass, and agreement below means nothing.
    assert not FormatChecker().conforms("02/03/2026", "date-time")


# Examples


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_has_examples_of_both_kinds(name: str) -> None:
    assert sum(document_of(path) == name for path in VALID) >= 2
    assert any(document_of(path) == name for path in INVALID)


def test_every_example_is_of_a_document() -> None:
    assert {document_of(path) for path in VALID + INVALID} == DOCUMENTS.keys()


def test_every_reason_of_a_decoder_has_an_example() -> None:
    shown = {json.loads(path.read_bytes()).get("reason") for path in INVALID} - {None}
    assert shown == set(Reason) - OF_THE_ENGINE


@pytest.mark.parametrize("path", VALID, ids=example_id)
def test_a_valid_example_is_read_and_fits_its_schema(path: Path) -> None:
    name = document_of(path)
    VALIDATORS[name].validate(parse(path.read_bytes()))
    assert judge(name, path.read_bytes(), A_MOMENT_LATER) is None


def bytes_of(example: dict[str, Any]) -> bytes | None:
    """The bytes of an invalid example.

    An example says `why`, the `reason` (of what a decoder reads) and `path` expected, what
    JSON Schema says (`invalid`; `valid` where it cannot express the rule; `unreadable` where
    there is no JSON to judge), and gives a `document`, filled up with spaces to `pad_to_bytes`,
    or the `base64` of bytes that are no document, null for a record without value.
    """
    if "document" in example:
        return json.dumps(example["document"]).encode().ljust(example.get("pad_to_bytes", 0))
    encoded = example["base64"]
    return None if encoded is None else b64decode(encoded, validate=True)


@pytest.mark.parametrize("path", INVALID, ids=example_id)
def test_an_invalid_example_is_refused_for_its_reason_at_its_path(path: Path) -> None:
    example = json.loads(path.read_bytes())
    time = example.get("record_time")
    at = A_MOMENT_LATER if time is None else datetime.fromisoformat(time).timestamp()
    expected = (example.get("reason"), example["path"])
    assert judge(document_of(path), bytes_of(example), at) == expected


@pytest.mark.parametrize("path", INVALID, ids=example_id)
def test_json_schema_says_of_an_invalid_example_what_the_example_says(path: Path) -> None:
    example = json.loads(path.read_bytes())
    value = bytes_of(example)
    if example["schema"] == "unreadable":
        if value is not None:
            with pytest.raises(ValueError):  # noqa: PT011 - of JSON and of UTF-8 alike
                parse(value)
        return
    assert value is not None
    errors = list(VALIDATORS[document_of(path)].iter_errors(parse(value)))
    assert bool(errors) == (example["schema"] == "invalid")
    if errors and example.get("reason") != Reason.VALUE_CHOICE:  # a rule of the whole document
        assert field_of(example["path"]) in {field_of(error.json_path) for error in errors}


# The decoders and the schemas agree

TIMES = [
    "2026-03-02T09:00:00-03:00",
    "2026-03-02t12:00:00.123456789z",
    "2026-03-02T12:00:00-00:00",
    "2026-03-02T09:00:00",
    "2026-02-29T09:00:00Z",
    "2016-12-31T23:59:60Z",
    "2026-03-02T24:00:00Z",
    "2026-03-02T09:00Z",
    "2026-03-02",
    "2026-3-2T09:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "0000-01-01T00:00:00Z",
    "",
]
anything = st.one_of(
    st.sampled_from([None, True, "", "x", [], {}, [1], {"a": "b"}, {"a": 1}, 0, 1, -1, 5, 6]),
    st.sampled_from([0.5, -0.0, 1e9, 1e9 + 1, 1e15, -1e15, 1e16, 10**400]),
    st.sampled_from(["opened", "rated", "product", "bot", "queue_size", "queue-size", *TIMES]),
    st.integers(1, 300).map(lambda size: "ç" * size),
    st.integers(1, 300).map(lambda size: "😀" * size),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.floats(-2, 7).filter(lambda number: not number.is_integer()),
)


def variants(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """A valid example with some fields changed and some left out."""
    examples = [parse(path.read_bytes()) for path in VALID if document_of(path) == name]
    fields = st.sampled_from(sorted(GENERATED[name]["properties"]))
    return st.builds(
        lambda example, changes, gone: {
            field: value for field, value in (example | changes).items() if field not in gone
        },
        st.sampled_from(examples),
        st.dictionaries(fields, anything, max_size=3),
        st.sets(fields, max_size=1),
    )


def lies_beyond_json_schema(document: dict[str, Any]) -> bool:
    """Two rules that only the decoder has, and one reading that Python's patterns differ in."""
    part, whole = document.get("numerator"), document.get("denominator")
    over = isinstance(part, int | float) and isinstance(whole, int | float) and part > whole
    return over or str(document.get("metric")).endswith("\n")


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.data())
@settings(deadline=None, max_examples=500)
def test_the_decoder_takes_what_the_schema_takes(name: str, data: st.DataObject) -> None:
    document = data.draw(variants(name).filter(lambda it: not lies_beyond_json_schema(it)))
    outcome = DECODERS[name](Record("in", 0, 0, 0.0, None, json.dumps(document).encode()))
    errors = list(VALIDATORS[name].iter_errors(document))
    assert isinstance(outcome, Rejection) == bool(errors), (outcome, errors)


@pytest.mark.parametrize("time", ["2026-03-02 12:00:00Z", "2026-03-02T09:00:00-0300"])
def test_the_decoder_reads_two_common_spellings_of_time_that_producers_should_not_send(
    time: str,
) -> None:
    example = parse((SCHEMAS / "examples/valid/ticket-event.rated.json").read_bytes())
    example["occurred_at"] = time
    assert judge("ticket-event", json.dumps(example).encode(), A_MOMENT_LATER) is None
    assert not VALIDATORS["ticket-event"].is_valid(example)
