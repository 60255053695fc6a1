"""The mapping file: what it may say, and how it answers to what it may not."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from ruptura.tools.importing.mapping import (
    FieldSpec,
    Mapping,
    MappingError,
    MetricRule,
    Output,
    Source,
    TicketRule,
    Times,
    When,
    load_mapping,
    pattern,
)

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / "deploy" / "mappings").glob("*.toml"))

MINIMAL = """
[fields]
service = "shop"
channel = "voice"
ticket_id = "{id}"

[[events]]
type = "opened"
at = "created"
"""

METRICS = """
[fields]
service = "shop"
channel = "voice"

[[metrics]]
metric = "queue_size"
at = "time"
"""


def load(tmp_path: Path, text: str) -> Mapping:
    path = tmp_path / "m.toml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_mapping_is_right(path: Path) -> None:
    mapping = load_mapping(path)
    assert mapping.events or mapping.metrics


def test_the_four_data_sets_and_a_template_are_shipped() -> None:
    assert {path.stem for path in SHIPPED} == {
        "cloud-monitoring",
        "consumidor-gov",
        "montgomery-911",
        "servicenow",
        "template",
    }


@pytest.mark.parametrize(
    "table", [Mapping, Source, Times, Output, FieldSpec, When, TicketRule, MetricRule]
)
def test_the_template_shows_every_key(table: type[msgspec.Struct]) -> None:
    text = (ROOT / "deploy" / "mappings" / "template.toml").read_text(encoding="utf-8")
    keys = {field.encode_name for field in msgspec.structs.fields(table)}
    assert {key for key in keys if not re.search(rf"\b{key}( = |\]|:)", text)} == set()


def test_what_a_mapping_leaves_out_has_a_default(tmp_path: Path) -> None:
    mapping = load(tmp_path, MINIMAL)
    assert mapping.output.tickets == "ruptura.tickets"
    assert mapping.output.channel_metrics == "ruptura.channel-metrics"
    assert mapping.time.formats == ("iso",)
    assert mapping.time.zone == "UTC"
    assert mapping.source.missing == ("",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            f"{MINIMAL}whne = {{ first = true }}",
            "events[0].whne: unknown key; allowed: type, at, when, fields, attributes",
            id="a misspelt key of an event",
        ),
        pytest.param(
            f"{MINIMAL}when = {{ increase = 'n' }}",
            "events[0].when.increase: unknown key; allowed: present, matches, first, changed,"
            " increased, becomes",
            id="a misspelt condition",
        ),
        pytest.param(
            "sorce = 1\n" + MINIMAL,
            "sorce: unknown key; allowed: source, time, output, expect, keep, fields, attributes,"
            " events, metrics",
            id="a misspelt table",
        ),
        pytest.param(
            MINIMAL.replace("channel =", "chanel ="),
            "fields.chanel: unknown key; allowed: category, channel, customer_id,",
            id="a misspelt field",
        ),
        pytest.param(
            MINIMAL + "[[events]]\ntype = 'closed'\nat = 3",
            "events[1].at: 3: Expected `str`, got `int`",
            id="a wrong type, in the event that has it",
        ),
        pytest.param(
            MINIMAL + "fields = { channel = { form = '{x}' } }",
            "events[0].fields.channel.form: unknown key; allowed: from, since, map, default, scale",
            id="a misspelt key of a field",
        ),
        pytest.param(
            MINIMAL + "fields = { channel = { from = '{x}', map = { a = 1 } } }",
            "events[0].fields.channel.map.a: 1: Expected `str`, got `int`",
            id="a wrong type deep inside",
        ),
        pytest.param(
            MINIMAL.replace('"opened"', '"open"'),
            "events[0].type: 'open' is unknown; allowed: opened, updated, transferred,",
            id="an unknown type",
        ),
        pytest.param(
            MINIMAL.replace('"opened"', "{ from = '{s}', map = { New = 'opened', Old = 'shut' } }"),
            "events[0].type: 'shut' is unknown; allowed: opened,",
            id="an unknown type in a map",
        ),
        pytest.param(
            MINIMAL + "fields = { exception = { from = '{r}', map = { x = 'late' } } }",
            "events[0].fields.exception: 'late' is unknown; allowed: product, service, policy",
            id="an unknown kind of exception",
        ),
        pytest.param(
            MINIMAL + "fields = { rating = { from = '{r}', map = { Good = 'five' } } }",
            "events[0].fields.rating: 'five' is not a number",
            id="a rating that is no number",
        ),
        pytest.param(
            MINIMAL.replace('ticket_id = "{id}"', ""),
            "events[0].fields: no `ticket_id`; needed here or in [fields]",
            id="a missing field",
        ),
        pytest.param(
            MINIMAL.replace('ticket_id = "{id}"', "")
            + "when = { first = true }\nfields = { ticket_id = '{id}' }",
            "events[0].when: looks at the ticket's past; needs `ticket_id` in [fields]",
            id="a condition on a past that nobody keeps",
        ),
        pytest.param(
            MINIMAL.replace("{id}", "{id"),
            "fields.ticket_id: '{id' has a brace without its partner",
            id="an open brace",
        ),
        pytest.param(
            MINIMAL + "fields = { queue = { default = 'x' } }",
            "events[0].fields.queue: needed is either `from` or `since`",
            id="a field from nowhere",
        ),
        pytest.param(
            MINIMAL + "fields = { queue = { from = '{q}', scale = 2 } }",
            "events[0].fields.queue.scale: only for numbers; allowed: denominator,",
            id="a factor for a text",
        ),
        pytest.param(
            MINIMAL + "[time]\nzone = 'America/Gotham'",
            "time.zone: 'America/Gotham' is unknown; allowed: IANA names",
            id="an unknown zone",
        ),
        pytest.param(
            MINIMAL + "[time]\nambiguous = 'first'",
            "time.ambiguous: 'first': Invalid enum value 'first'; allowed: earlier, later, reject",
            id="an unknown choice",
        ),
        pytest.param(
            MINIMAL + "[time]\nformats = ['DD/MM/YYYY']",
            "time.formats: 'DD/MM/YYYY' is unknown; allowed: iso, unix, unix_ms, or %-codes",
            id="a time format of another language",
        ),
        pytest.param(
            MINIMAL + "[time]\nformats = []",
            "time.formats: Expected `array` of length >= 1",
            id="no time format",
        ),
        pytest.param(
            MINIMAL + "[source]\nencoding = 'latin-99'",
            "source.encoding: 'latin-99' is unknown; allowed: the codecs of Python",
            id="an unknown encoding",
        ),
        pytest.param(
            MINIMAL + "[source]\npath = '(?P<x'",
            "source.path: '(?P<x' is not a regular expression",
            id="a broken expression",
        ),
        pytest.param(
            MINIMAL + "[source]\ndelimiter = ';;'",
            "source.delimiter: ';;': Expected `str` of length <= 1",
            id="a long delimiter",
        ),
        pytest.param(
            MINIMAL + "[source]\ndelimiter = '\"'",
            "source.delimiter: '\"' ends cells or lines; allowed: all others",
            id="a quote as delimiter",
        ),
        pytest.param(
            MINIMAL + "[output]\ntickets = 'my topic'",
            "output.tickets: 'my topic': Expected `str` matching regex",
            id="a topic that Kafka refuses",
        ),
        pytest.param(
            METRICS,
            "metrics[0].fields: needed is either `value`, or `numerator` with `denominator`",
            id="a measurement without a value",
        ),
        pytest.param(
            METRICS + "fields = { rating = '{r}' }",
            "metrics[0].fields.rating: unknown key; allowed: channel, denominator,",
            id="a ticket's field in a measurement",
        ),
        pytest.param("[time]\nzone = 'UTC'", "the file: no events and no metrics", id="no rules"),
        pytest.param("events = [", "not a TOML file", id="no TOML"),
    ],
)
def test_a_wrong_mapping_is_one_line_with_key_value_and_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(MappingError) as raised:
        load(tmp_path, text)
    [line] = str(raised.value).splitlines()
    assert line.startswith(f"{tmp_path / 'm.toml'}: {message}")


def test_a_mapping_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"none\.toml: cannot be read: No such file"):
        load_mapping(tmp_path / "none.toml")


def test_an_attribute_may_have_the_name_of_a_field(tmp_path: Path) -> None:
    mapping = load(tmp_path, MINIMAL + "attributes = { rating = 'none', type = 'x' }")
    assert mapping.events[0].attributes == {"rating": "none", "type": "x"}


@pytest.mark.parametrize(
    ("patterns", "value", "fits"),
    [
        (["Awaiting *"], "Awaiting Vendor", True),
        (["Awaiting *"], "Still Awaiting Vendor", False),
        (["V?cio"], "V\ufffdcio", True),
        (["V?cio"], "Vcio", False),
        (["[a-z].+"], "[a-z].+", True),
        (["[a-z].+"], "abc", False),
        (["a", "b|c"], "b|c", True),
        (["a", "b|c"], "c", False),
        (["*"], "two\nlines", True),
        (["new"], "New", False),
    ],
)
def test_a_pattern_knows_star_and_question_mark_and_takes_all_else_as_it_is(
    patterns: list[str], value: str, fits: bool
) -> None:
    assert (pattern(patterns).fullmatch(value) is not None) == fits
