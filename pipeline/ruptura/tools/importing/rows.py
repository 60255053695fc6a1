"""A mapping bound to the columns of one file: the cells of a row become documents.

Everything is looked up once per file, so that a row costs a few calls; nothing is remembered
from row to row, what came before is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import add, itemgetter
from typing import NamedTuple

from ruptura.tools.importing.local_time import TimeReader, time_reader
from ruptura.tools.importing.mapping import (
    HOLE,
    METRIC_FIELDS,
    NUMBERS,
    TICKET_FIELDS,
    Field,
    FieldSpec,
    Mapping,
    MetricRule,
    TicketRule,
    When,
    pattern,
)

Cells = list[str]
"""The cells of a row, stripped, `""` where missing; then the values of the `@` names."""

Past = tuple[str, ...] | None
"""The watched cells of the ticket's previous row; None before its first."""

Value = str | float | None
_Text = Callable[[Cells], str]
_Translate = Callable[[str], str]
_FieldReader = Callable[[Cells, int], Value]
_Condition = Callable[[Cells, Past], bool]

_NEEDED = frozenset(
    {"event_id", "ticket_id", "service", "channel", "metric"}
    | {"value", "numerator", "denominator"}
)
"""Fields without which there is no event; `type` is not one of them."""

_CACHED = 16_384


class Unusable(Exception):  # noqa: N818 - a finding about one row, caught right above it
    """Why a row cannot be used: a stable code, and what was found."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason


class NoColumnError(Exception):
    """A mapping names a column that the file does not have."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


class Draft(NamedTuple):
    """An event that a row reports.

    Attributes:
        is_ticket: Whether it is a ticket event, else a measurement.
        kind: Ticket event type, or name of the metric.
        at: Event time, in milliseconds since the Unix epoch.
        document: The document; `event_id` is None where the mapping does not give one.
    """

    is_ticket: bool
    kind: str
    at: int
    document: dict[str, object]


class Language:
    """The parts of a mapping that do not depend on a file; its caches are bounded."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self._read_time = time_reader(mapping.time)
        self.rules: list[TicketRule | MetricRule] = [*mapping.events, *mapping.metrics]
        self.looks_back = bool(mapping.keep) or any(r.when.looks_back for r in self.rules)
        watched = {name for rule in self.rules for name in _watched(rule.when)}
        self.watched = sorted(watched | set(mapping.keep))
        self._translations: dict[int, _Translate] = {}

    def read_time(self, text: str) -> tuple[int, str]:
        """A time as milliseconds since the Unix epoch and as RFC 3339, or `Unusable`."""
        try:
            return self._read_time(text)
        except ValueError as error:
            raise Unusable("bad_time", f"{shown(text)} {error}") from None

    def translate(self, spec: FieldSpec) -> _Translate | None:
        """The value map of a field, compiled once."""
        if spec.map is None:
            return None
        if id(spec) not in self._translations:  # the mapping keeps the spec, and so its id, alive
            self._translations[id(spec)] = _translation(spec.map)
        return self._translations[id(spec)]


class Columns:
    """The rules of a mapping, bound to the columns of one file.

    Args:
        language: The mapping.
        names: The columns in their order, then the `@` names.

    Raises:
        NoColumnError: the mapping names a column that is not among them.
    """

    def __init__(self, language: Language, names: list[str]) -> None:
        self._language = language
        self._index = {name: i for i, name in enumerate(names)}
        mapping = language.mapping
        self._expected = [
            (self._column(name), name, _matcher(patterns))
            for name, patterns in mapping.expect.items()
        ]
        self._watched = [self._column(name) for name in language.watched]
        self._kept = [(self._column(n), language.watched.index(n)) for n in mapping.keep]
        self._ticket_id = (
            self._field("ticket_id", mapping.fields["ticket_id"]) if language.looks_back else None
        )
        self._rules = [self._rule(rule) for rule in language.rules]

    def ticket_id(self, cells: Cells) -> str:
        """The ticket whose past matters to this row; "" where no rule looks back."""
        return "" if self._ticket_id is None else str(self._ticket_id(cells, 0))

    def keep(self, cells: Cells, past: Past) -> None:
        """Put back, in place, what stays as it was on the ticket's first row."""
        if past is not None:
            for i, k in self._kept:
                cells[i] = past[k] or cells[i]

    def watched(self, cells: Cells) -> tuple[str, ...]:
        """What the ticket's next row must know of this one."""
        return tuple(cells[i] for i in self._watched)

    def drafts(self, cells: Cells, past: Past) -> Iterator[Draft]:
        """The events that a row reports.

        Raises:
            Unusable: something in the row is unknown, missing or malformed.
        """
        for i, name, matches in self._expected:
            if not matches(cells[i]):
                raise Unusable("unknown_value", f"{name} is {shown(cells[i])}")
        for rule in self._rules:
            if all(holds(cells, past) for holds in rule.when):
                draft = rule.read(cells, self._language.read_time)
                if draft is not None:
                    yield draft

    def _column(self, name: str) -> int:
        if name not in self._index:
            raise NoColumnError(name)
        return self._index[name]

    def _rule(self, rule: TicketRule | MetricRule) -> _Rule:
        shared = self._language.mapping
        is_ticket = isinstance(rule, TicketRule)
        order = TICKET_FIELDS if is_ticket else METRIC_FIELDS
        fields = {n: f for n, f in (shared.fields | rule.fields).items() if n in order}
        attributes = shared.attributes | rule.attributes if isinstance(rule, TicketRule) else {}
        kind = rule.type if isinstance(rule, TicketRule) else rule.metric
        return _Rule(
            is_ticket,
            list(self._conditions(rule.when)),
            rule.at,
            self._column(rule.at),
            self._field("type" if is_ticket else "metric", kind),
            [(name, self._field(name, field)) for name, field in fields.items()],
            [(name, self._field(f"@{name}", field)) for name, field in attributes.items()],
        )

    def _text(self, template: str) -> _Text:
        parts = HOLE.split(template)
        columns = [self._column(name) for name in parts[1::2]]
        if not columns:
            return lambda _: template
        if parts[0] == parts[-1] == "" and len(columns) == 1:
            return itemgetter(columns[0])

        def fill(cells: Cells) -> str:
            filled = [cells[i] for i in columns]
            if "" in filled:
                return ""
            return parts[0] + "".join(map(add, filled, parts[2::2]))

        return fill

    def _field(self, name: str, field: Field) -> _FieldReader:
        spec = FieldSpec(source=field) if isinstance(field, str) else field
        needed = name in _NEEDED
        if spec.since is not None:
            return self._duration(name, spec)
        text = self._text(spec.source or "")
        translate, default = self._language.translate(spec), spec.default or ""
        numeric, scale = name in NUMBERS, spec.scale
        templates = (result for result in (spec.map or {}).values() if HOLE.search(result))
        filled = {result: self._text(result) for result in templates}

        if translate is None and not default and not numeric and not needed:
            return lambda cells, _: text(cells) or None

        def read(cells: Cells, _: int) -> Value:
            value = text(cells)
            if value and translate is not None:
                try:
                    value = translate(value)
                except LookupError:
                    found = f"{name.lstrip('@')} from {shown(value)}"
                    raise Unusable("unknown_value", found) from None
                value = filled[value](cells) if value in filled else value
            value = value or default
            if not value:
                if needed:
                    raise Unusable("missing_value", f"{name} has no value")
                return None
            return _number(name, value, scale) if numeric else value

        return read

    def _duration(self, name: str, spec: FieldSpec) -> _FieldReader:
        column, read_time = self._column(spec.since or ""), self._language.read_time

        def read(cells: Cells, at: int) -> Value:
            if not cells[column]:
                return None if spec.default is None else _number(name, spec.default, 1.0)
            return (at - read_time(cells[column])[0]) / 1000 * spec.scale

        return read

    def _conditions(self, when: When) -> Iterator[_Condition]:
        for name in when.present:
            yield _present(self._column(name))
        for name, patterns in when.matches.items():
            yield _matches(self._column(name), _matcher(patterns))
        if when.first:
            yield lambda _, past: past is None
        watched = self._language.watched
        if when.changed is not None:
            yield _changed(self._column(when.changed), watched.index(when.changed))
        if when.increased is not None:
            name = when.increased
            yield _increased(name, self._column(name), watched.index(name))
        for name, patterns in when.becomes.items():
            yield _becomes(self._column(name), watched.index(name), _matcher(patterns))


class _Rule(NamedTuple):
    is_ticket: bool
    when: list[_Condition]
    at_name: str
    at: int
    kind: _FieldReader
    fields: list[tuple[str, _FieldReader]]
    attributes: list[tuple[str, _FieldReader]]

    def read(self, cells: Cells, read_time: TimeReader) -> Draft | None:
        kind = self.kind(cells, 0)
        if kind is None:
            return None
        if not cells[self.at]:
            raise Unusable("missing_value", f"no time in {self.at_name} for {kind}")
        at, occurred_at = read_time(cells[self.at])
        document: dict[str, object] = {"event_id": None}
        name = "type" if self.is_ticket else "metric"
        document[name], document["occurred_at"] = kind, occurred_at
        for field, read in self.fields:
            if (value := read(cells, at)) is not None:
                document[field] = value
        if self.attributes:
            pairs = ((field, read(cells, at)) for field, read in self.attributes)
            document["attributes"] = {field: value for field, value in pairs if value is not None}
        return Draft(self.is_ticket, str(kind), at, document)


def shown(value: str) -> str:
    """A value as it may stand in a line for people: escaped, and short."""
    return repr(value if len(value) <= 80 else f"{value[:77]}...")


def _translation(table: dict[str, str]) -> _Translate:
    rules = [(pattern([key]), value) for key, value in table.items()]

    @lru_cache(_CACHED)
    def translate(value: str) -> str:
        for key, result in rules:
            if key.fullmatch(value):
                return result
        raise LookupError(value)

    return translate


def _matcher(patterns: list[str]) -> Callable[[str], bool]:
    compiled = pattern(patterns)

    @lru_cache(_CACHED)
    def matches(value: str) -> bool:
        return compiled.fullmatch(value) is not None

    return matches


def _number(name: str, text: str, scale: float) -> float:
    try:
        number = float(text) * scale
    except ValueError:
        raise Unusable("bad_number", f"{name} is {shown(text)}") from None
    if not math.isfinite(number):  # which JSON cannot say
        raise Unusable("bad_number", f"{name} is {shown(text)}")
    return int(number) if name == "rating" and number.is_integer() else number


def _watched(when: When) -> list[str]:
    return [name for name in (when.changed, when.increased) if name] + list(when.becomes)


def _present(i: int) -> _Condition:
    return lambda cells, _: cells[i] != ""


def _matches(i: int, matches: Callable[[str], bool]) -> _Condition:
    return lambda cells, _: matches(cells[i])


def _changed(i: int, k: int) -> _Condition:
    return lambda cells, past: past is not None and cells[i] != past[k]


def _increased(name: str, i: int, k: int) -> _Condition:
    def holds(cells: Cells, past: Past) -> bool:
        before = past[k] if past is not None else ""
        if cells[i] == before or not cells[i]:
            return False
        return _number(name, cells[i], 1.0) > (_number(name, before, 1.0) if before else 0.0)

    return holds


def _becomes(i: int, k: int, matches: Callable[[str], bool]) -> _Condition:
    return lambda cells, past: matches(cells[i]) and not (past is not None and matches(past[k]))
