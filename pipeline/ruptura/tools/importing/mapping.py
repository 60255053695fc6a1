"""The mapping file of `ruptura import`: what the columns of an export mean.

The language in full, with examples in `deploy/mappings/`:

- A **text** is a constant, or a template: `{column}` stands for a cell of the row, `{@row}`,
  `{@line}` and `{@file}` for its number, its line and its file, and `{@name}` for the group
  `name` of `source.path`. A text with a cell that is missing is missing itself.
- A **pattern** is a value in which `*` stands for any characters and `?` for any one.
- A **field** is a text, or a table that says how to go on from a text (see `FieldSpec`).
"""

from __future__ import annotations

import codecs
import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, inspect

from ruptura.core.contracts.event import ChannelMetricEvent, ExceptionKind, TicketEvent, TicketType
from ruptura.settings.sections import TopicName

HOLE = re.compile(r"\{([^{}]*)\}")
"""A column in a text."""


def _holds_number(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(map(_holds_number, kind.types))
    if isinstance(kind, inspect.Metadata):
        return _holds_number(kind.type)
    return isinstance(kind, (inspect.IntType, inspect.FloatType))


NUMBERS = frozenset(
    field.name
    for document in inspect.multi_type_info((TicketEvent, ChannelMetricEvent))
    if isinstance(document, inspect.StructType)
    for field in document.fields
    if _holds_number(field.type)
)
"""Fields that hold a number."""

TICKET_FIELDS = frozenset(TicketEvent.__struct_fields__) - {"type", "occurred_at", "attributes"}
METRIC_FIELDS = frozenset(ChannelMetricEvent.__struct_fields__) - {"metric", "occurred_at"}

_CLOSED: dict[str, tuple[str, ...]] = {
    "type": get_args(TicketType),
    "exception": get_args(ExceptionKind),
    "handled_by": ("bot", "human"),
}
"""Fields with a closed set of values, so that a slip is found before the first row."""

Patterns = dict[str, list[str]]
TimeFormats = Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)]


class MappingError(Exception):
    """A mapping cannot be used; one line that names file, key, value and what is allowed."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; an unknown key is an error."""


class Source(_Table, frozen=True):
    """How to read the files.

    Attributes:
        encoding: A codec of Python; bytes that do not fit are replaced by U+FFFD.
        delimiter: One character between two cells.
        missing: Cells that say nothing; cells are stripped of outer blanks first.
        path: A regular expression, searched in the path of a file (or of a member of a tar);
            its named groups become `{@name}`. A file that does not match is reported.
    """

    encoding: str = "utf-8-sig"
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    missing: tuple[str, ...] = ("",)
    path: str | None = None


class Times(_Table, frozen=True):
    """How to read times.

    Attributes:
        formats: `iso`, `unix`, `unix_ms` or a format of `strptime`; the first that fits counts.
        zone: IANA name, for times that carry no offset of their own.
        ambiguous: What a local time means that occurs twice, when clocks are set back.
        nonexistent: What becomes of one that is skipped when clocks are set forward: `shift`
            reads it by the offset before the change, so that 02:30 is 03:30; `reject` reports
            the row.
    """

    formats: TimeFormats = ("iso",)
    zone: str = "UTC"
    ambiguous: Literal["earlier", "later", "reject"] = "earlier"
    nonexistent: Literal["shift", "reject"] = "shift"


class Output(_Table, frozen=True):
    """Where the records claim to come from."""

    tickets: TopicName = "ruptura.tickets"
    channel_metrics: TopicName = "ruptura.channel-metrics"
    partition: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class FieldSpec(_Table, frozen=True, rename={"source": "from"}):
    """A value that needs more than a text; the steps apply in this order.

    Attributes:
        source: `from`: the text to start with.
        since: A column that holds a time: the value is the seconds from it to the event.
        map: Pattern to text, first match wins; a match with `""` means missing, and a value
            that matches nothing makes the row unusable, unless there is a pattern `"*"`.
        default: The value where it is missing.
        scale: A factor for numbers, for example 0.001 from milliseconds to seconds.
    """

    source: str | None = None
    since: str | None = None
    map: dict[str, str] | None = None
    default: str | None = None
    scale: float = 1.0


Field = str | FieldSpec


class When(_Table, frozen=True):
    """Conditions on a row, all of which must hold; the last four look at the ticket's past.

    Attributes:
        present: Columns that must not be missing.
        matches: Column to patterns, one of which must match.
        first: The row must be the first of its ticket.
        changed: The column must differ from the ticket's previous row; false on the first.
        increased: The number must exceed that of the ticket's previous row; 0 comes before all.
        becomes: Column to patterns: one must match, while none did on the previous row.
    """

    present: list[str] = []
    matches: Patterns = {}
    first: bool = False
    changed: str | None = None
    increased: str | None = None
    becomes: Patterns = {}

    @property
    def looks_back(self) -> bool:
        """Whether the ticket's previous row is needed."""
        return self.first or bool(self.changed or self.increased or self.becomes)


class TicketRule(_Table, frozen=True):
    """A ticket event that a row may report; `type` missing from a row means no event."""

    type: Field
    at: str
    when: When = When()
    fields: dict[str, Field] = {}
    attributes: dict[str, Field] = {}


class MetricRule(_Table, frozen=True):
    """A measurement that a row may report."""

    metric: Field
    at: str
    when: When = When()
    fields: dict[str, Field] = {}


class Mapping(_Table, frozen=True):
    """A mapping file.

    Attributes:
        source: How to read the files.
        time: How to read times.
        output: Topics and partition.
        expect: Column to patterns of all its known values, `""` among them if it may be
            missing; a row with another is unusable.
        keep: Columns that stay what they were on the ticket's first row that had a value. A
            ticket that changes its channel would else be opened in one and closed in another.
        fields: Fields of every event, by their name in the contract.
        attributes: Attributes of every ticket event, by a name of your own.
        events: Ticket events, in the order in which one row reports them.
        metrics: Measurements, in the same way.
    """

    source: Source = Source()
    time: Times = Times()
    output: Output = Output()
    expect: Patterns = {}
    keep: list[str] = []
    fields: dict[str, Field] = {}
    attributes: dict[str, Field] = {}
    events: list[TicketRule] = []
    metrics: list[MetricRule] = []


def load_mapping(path: Path) -> Mapping:
    """Read and check a mapping.

    Raises:
        MappingError: the file cannot be read, or something in it is not allowed.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise MappingError(f"{path}: not a TOML file: {error}") from None
    try:
        mapping = msgspec.convert(raw, Mapping)
    except msgspec.ValidationError:
        raise MappingError(f"{path}: {_innermost(raw, Mapping, '')}") from None
    for fault in _faults(mapping):
        raise MappingError(f"{path}: {fault}")
    return mapping


def pattern(patterns: list[str]) -> re.Pattern[str]:
    """Compile patterns into one expression that matches where any of them does."""
    each = ("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in text) for text in patterns)
    return re.compile("|".join(each), re.DOTALL)


def _innermost(value: Any, kind: Any, path: str) -> str:
    """Describe the innermost part of `value` that does not fit its type."""
    for key, part, part_kind in _parts(value, kind):
        try:
            msgspec.convert(part, part_kind)
        except msgspec.ValidationError:
            return _innermost(part, part_kind, f"{path}{key}")
    name = path.lstrip(".") or "the file"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        names = [field.encode_name for field in msgspec.structs.fields(kind)]
        for key in value:
            if key not in names:
                return f"{f'{path}.{key}'.lstrip('.')}: unknown key; allowed: {', '.join(names)}"
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text = str(error).split(" - at `")[0]
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        allowed = f"; allowed: {', '.join(choices)}" if choices else ""
        shown = "" if isinstance(value, dict | list) else f"{value!r}: "
        return f"{name}: {shown}{text}{allowed}"
    return name


def _parts(value: Any, kind: Any) -> Iterator[tuple[str, Any, Any]]:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        choices = [k for k in get_args(kind) if k is not type(None)]
        structs = [k for k in choices if isinstance(k, type) and issubclass(k, msgspec.Struct)]
        choices = structs if isinstance(value, dict) and structs else choices
        if len(choices) == 1:
            yield "", value, choices[0]
    elif isinstance(value, dict) and get_origin(kind) is dict:
        yield from ((f".{key}", part, get_args(kind)[1]) for key, part in value.items())
    elif isinstance(value, list) and get_origin(kind) in (list, tuple):
        yield from ((f"[{i}]", part, get_args(kind)[0]) for i, part in enumerate(value))
    elif isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            if field.encode_name in value:
                yield f".{field.encode_name}", value[field.encode_name], field.type


def _faults(mapping: Mapping) -> Iterator[str]:
    """What types cannot say about a mapping."""
    yield from _reading_faults(mapping.source, mapping.time)
    if not mapping.events and not mapping.metrics:
        yield "the file: no events and no metrics; at least one of them is needed"
    yield from _field_faults("fields", mapping.fields, TICKET_FIELDS | METRIC_FIELDS)
    yield from _field_faults("attributes", mapping.attributes)
    if mapping.keep and "ticket_id" not in mapping.fields:
        yield "keep: looks at the ticket's past; needs `ticket_id` in [fields]"
    for i, rule in enumerate(mapping.events):
        yield from _rule_faults(f"events[{i}]", mapping, rule)
    for i, measure in enumerate(mapping.metrics):
        yield from _rule_faults(f"metrics[{i}]", mapping, measure)


def _reading_faults(source: Source, time: Times) -> Iterator[str]:
    try:
        codecs.lookup(source.encoding)
    except LookupError:
        yield f"source.encoding: {source.encoding!r} is unknown; allowed: the codecs of Python"
    if source.delimiter in '"\r\n':
        yield f"source.delimiter: {source.delimiter!r} ends cells or lines; allowed: all others"
    try:
        re.compile(source.path or "")
    except re.error as error:
        yield f"source.path: {source.path!r} is not a regular expression: {error}"
    try:
        ZoneInfo(time.zone)
    except (KeyError, ValueError, OSError):
        yield f"time.zone: {time.zone!r} is unknown; allowed: IANA names"
    for form in time.formats:
        if "%" not in form and form not in ("iso", "unix", "unix_ms"):
            yield f"time.formats: {form!r} is unknown; allowed: iso, unix, unix_ms, or %-codes"


def _rule_faults(path: str, mapping: Mapping, rule: TicketRule | MetricRule) -> Iterator[str]:
    own = mapping.fields.keys() | rule.fields.keys()
    if isinstance(rule, TicketRule):
        needed = ("ticket_id", "service", "channel")
        yield from _field_faults(path, {"type": rule.type}, {"type"})
        yield from _field_faults(f"{path}.fields", rule.fields, TICKET_FIELDS)
        yield from _field_faults(f"{path}.attributes", rule.attributes)
    else:
        needed = ("service", "channel", "metric")
        own |= {"metric"}
        yield from _field_faults(path, {"metric": rule.metric}, {"metric"})
        yield from _field_faults(f"{path}.fields", rule.fields, METRIC_FIELDS)
        if ("value" in own) == ({"numerator", "denominator"} <= own):
            yield f"{path}.fields: needed is either `value`, or `numerator` with `denominator`"
    for name in needed:
        if name not in own:
            yield f"{path}.fields: no `{name}`; needed here or in [fields]"
    if rule.when.looks_back and "ticket_id" not in mapping.fields:
        yield f"{path}.when: looks at the ticket's past; needs `ticket_id` in [fields]"


def _field_faults(
    path: str, fields: dict[str, Field], allowed: frozenset[str] | set[str] | None = None
) -> Iterator[str]:
    """Check fields; without `allowed` they are attributes, which have names of their own."""
    for name, field in fields.items():
        spec = FieldSpec(source=field) if isinstance(field, str) else field
        if allowed is not None and name not in allowed:
            yield f"{path}.{name}: unknown key; allowed: {', '.join(sorted(allowed))}"
        if (spec.source is None) == (spec.since is None):
            yield f"{path}.{name}: needed is either `from` or `since`"
        numeric = allowed is not None and name in NUMBERS
        if spec.scale != 1.0 and not numeric:
            yield f"{path}.{name}.scale: only for numbers; allowed: {', '.join(sorted(NUMBERS))}"
        for text in (spec.source or "", *(spec.map or {}).values()):
            if not set("{}").isdisjoint(HOLE.sub("", text)):
                yield f"{path}.{name}: {text!r} has a brace without its partner"
        for constant in _constants(spec):
            closed = _CLOSED.get(name, ()) if allowed is not None else ()
            if closed and constant not in closed:
                yield f"{path}.{name}: {constant!r} is unknown; allowed: {', '.join(closed)}"
            if numeric and not _is_number(constant):
                yield f"{path}.{name}: {constant!r} is not a number"


def _constants(spec: FieldSpec) -> list[str]:
    """The values of a field that are known before the first row."""
    constants = [] if spec.default is None else [spec.default]
    if spec.map is not None:
        constants += [text for text in spec.map.values() if text and not HOLE.search(text)]
    elif spec.source is not None and not HOLE.search(spec.source):
        constants.append(spec.source)
    return constants


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
