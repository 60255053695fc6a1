"""Rows: the cells of one row, and what came before, become the events that they tell of."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.tools.importing.mapping import Mapping
from ruptura.tools.importing.rows import Columns, Language, NoColumnError, Unusable

TICKET = {"service": "shop", "channel": "voice", "ticket_id": "{id}"}


def bind(columns: str, **tables: Any) -> Columns:
    """Bind a mapping, given as its tables, to columns, given as words."""
    return Columns(Language(msgspec.convert(tables, Mapping)), columns.split())


def read(columns: Columns, *rows: str) -> list[list[dict[str, object]]]:
    """Read rows of words, `_` for a missing cell, as one ticket's history."""
    events, past = [], None
    for row in rows:
        cells = ["" if cell == "_" else cell for cell in row.split()]
        columns.keep(cells, past)
        events.append([draft.document for draft in columns.drafts(cells, past)])
        past = columns.watched(cells)
    return events


def opened(columns: str, field: Any, row: str, name: str = "queue") -> object:
    """The value of one field of a ticket that is opened."""
    rule = {"type": "opened", "at": "time", "fields": {name: field}}
    [[event]] = read(
        bind(f"id time {columns}", fields=TICKET, events=[rule]), f"1 2024-01-01 {row}"
    )
    return event.get(name)


@pytest.mark.parametrize(
    ("field", "row", "value"),
    [
        ("fixed", "x y", "fixed"),
        ("{a}", "x y", "x"),
        ("{a}-{b}!", "x y", "x-y!"),
        ("{a}-{b}", "x _", None),
        ("{a}", "_ y", None),
        ({"from": "{a}", "default": "none"}, "_ y", "none"),
        ({"from": "{a}", "default": "none"}, "x y", "x"),
        ({"from": "{a}", "map": {"x": "first", "*": "other"}}, "x y", "first"),
        ({"from": "{a}", "map": {"*": "other", "x": "never"}}, "x y", "other"),
        ({"from": "{a}", "map": {"x": "", "*": "other"}}, "x y", None),
        ({"from": "{a}", "map": {"x": "", "*": "other"}, "default": "d"}, "x y", "d"),
        ({"from": "{a}", "map": {"*": "{b}s"}}, "x y", "ys"),
        ({"from": "{a}/{b}", "map": {"x/?": "both"}}, "x y", "both"),
    ],
)
def test_a_field_goes_from_text_over_map_to_default(field: Any, row: str, value: object) -> None:
    assert opened("a b", field, row) == value


@pytest.mark.parametrize(
    ("name", "field", "row", "value"),
    [
        ("wait_seconds", {"from": "{a}", "scale": 60}, "1.5", 90.0),
        ("wait_seconds", {"since": "a"}, "2023-12-31T23:59:00", 60.0),
        ("wait_seconds", {"since": "a", "scale": 0.5}, "2023-12-31T23:59:00", 30.0),
        ("wait_seconds", {"since": "a"}, "_", None),
        ("wait_seconds", {"since": "a", "default": "7"}, "_", 7.0),
        ("rating", "{a}", "4.0", 4),
        ("rating", {"from": "{a}", "map": {"Good": "5"}}, "Good", 5),
    ],
)
def test_numbers_have_units_and_durations_have_a_start(
    name: str, field: Any, row: str, value: object
) -> None:
    assert opened("a", field, row, name) == value


@pytest.mark.parametrize(
    ("name", "field", "row", "reason"),
    [
        ("queue", {"from": "{a}", "map": {"x": "X"}}, "y", "unknown_value: queue from 'y'"),
        ("channel", "{a}", "_", "missing_value: channel has no value"),
        ("rating", "{a}", "good", "bad_number: rating is 'good'"),
        ("rating", "{a}", "inf", "bad_number: rating is 'inf'"),
        ("wait_seconds", {"since": "a"}, "soon", "bad_time: 'soon' fits none of iso"),
    ],
)
def test_what_a_row_cannot_say_has_a_reason(name: str, field: Any, row: str, reason: str) -> None:
    with pytest.raises(Unusable) as raised:
        opened("a", field, row, name)
    assert str(raised.value) == reason


@given(value=st.floats(), scale=st.sampled_from([0.001, 60.0, 1e300]))
def test_a_number_is_finite_or_unusable(value: float, scale: float) -> None:
    field = {"from": "{a}", "scale": scale}
    if math.isfinite(value * scale):
        assert opened("a", field, repr(value), "wait_seconds") == value * scale
    else:
        with pytest.raises(Unusable, match="bad_number"):
            opened("a", field, repr(value), "wait_seconds")


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({}, [1, 1, 1, 1]),
        ({"present": ["n"]}, [1, 0, 1, 1]),
        ({"matches": {"state": ["Do*"]}}, [0, 0, 1, 1]),
        ({"matches": {"state": ["Do*"]}, "present": ["owner"]}, [0, 0, 0, 1]),
        ({"first": True}, [1, 0, 0, 0]),
        ({"changed": "state"}, [0, 1, 1, 0]),
        ({"increased": "n"}, [1, 0, 1, 0]),
        ({"becomes": {"state": ["Do*"]}}, [0, 0, 1, 0]),
        ({"becomes": {"state": ["New", "Do*"]}}, [1, 0, 1, 0]),
    ],
)
def test_a_condition_holds_on_its_rows_only(when: dict[str, Any], told: list[int]) -> None:
    rule = {"type": "updated", "at": "time", "when": when}
    columns = bind("id time state n owner", fields=TICKET, events=[rule])
    history = [
        "1 2024-01-01 New 2 ana",
        "1 2024-01-02 Open _ ana",
        "1 2024-01-03 Done 3 _",
        "1 2024-01-04 Done 3 ana",
    ]
    assert [len(events) for events in read(columns, *history)] == told


def test_a_count_that_is_no_number_is_unusable() -> None:
    rule = {"type": "updated", "at": "time", "when": {"increased": "n"}}
    columns = bind("id time n", fields=TICKET, events=[rule])
    with pytest.raises(Unusable, match="bad_number: n is 'many'"):
        read(columns, "1 2024-01-01 1", "1 2024-01-01 many")


def test_a_kept_column_stays_what_it_was_on_the_first_row_that_had_it() -> None:
    columns = bind(
        "id time via",
        keep=["via"],
        fields=TICKET | {"channel": {"from": "{via}", "default": "unknown"}},
        events=[{"type": "updated", "at": "time"}],
    )
    history = ("1 2024-01-01 _", "1 2024-01-02 email", "1 2024-01-03 phone", "1 2024-01-04 _")
    channels = [event["channel"] for [event] in read(columns, *history)]
    assert channels == ["unknown", "email", "email", "email"]


def test_a_state_can_be_mapped_to_the_type_of_the_event_or_to_none() -> None:
    states = {"New": "opened", "Fixed*": "resolved", "Seen": ""}
    rule = {"type": {"from": "{state}", "map": states}, "at": "time"}
    columns = bind("id time state", fields=TICKET, events=[rule])
    events = read(columns, "1 2024-01-01 New", "1 _ Seen", "1 2024-01-03 Fixed(sic)")
    assert [[event["type"] for event in row] for row in events] == [["opened"], [], ["resolved"]]


def test_an_event_without_a_time_is_unusable_unless_the_mapping_allows_for_it() -> None:
    rule: dict[str, Any] = {"type": "closed", "at": "time"}
    with pytest.raises(Unusable, match="missing_value: no time in time for closed"):
        read(bind("id time", fields=TICKET, events=[rule]), "1 _")
    rule["when"] = {"present": ["time"]}
    assert read(bind("id time", fields=TICKET, events=[rule]), "1 _") == [[]]


def test_a_value_that_nobody_expects_is_unusable() -> None:
    rule = {"type": "closed", "at": "time"}
    columns = bind("id time s", fields=TICKET, events=[rule], expect={"s": ["A*", ""]})
    assert len(read(columns, "1 2024-01-01 Ab", "1 2024-01-01 _")) == 2
    with pytest.raises(Unusable, match="unknown_value: s is 'B'"):
        read(columns, "1 2024-01-01 B")


def test_a_measurement_takes_none_of_the_tickets_fields() -> None:
    columns = bind(
        "id time waiting",
        fields=TICKET | {"queue": "q", "value": "{waiting}"},
        attributes={"a": "b"},
        metrics=[{"metric": "queue_size", "at": "time"}],
    )
    assert read(columns, "1 2024-01-01 7") == [
        [
            {
                "event_id": None,
                "metric": "queue_size",
                "occurred_at": "2024-01-01T00:00:00Z",
                "service": "shop",
                "channel": "voice",
                "value": 7.0,
            }
        ]
    ]


def test_a_column_that_is_not_there_is_known_before_the_first_row() -> None:
    with pytest.raises(NoColumnError) as raised:
        bind("id time", fields=TICKET, events=[{"type": "opened", "at": "date"}])
    assert raised.value.column == "date"
