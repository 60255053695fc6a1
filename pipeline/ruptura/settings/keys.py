"""Every key of the settings as data, with its range in words; and values against their types."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta

from ruptura.settings.section import TakesEffect
from ruptura.settings.sections import Settings
from ruptura.settings.services import ServiceSettings

_BREAKS = {mark: f"\\u{mark:04x}" for mark in (0x85, 0x2028, 0x2029)}
"""Line breaks that JSON leaves as they are."""

_UNITS = {"_seconds": "seconds", "_buckets": "buckets"}


class Key(msgspec.Struct, frozen=True):
    """One key.

    Attributes:
        section: Its table, for example `window`; `services.<name>` for the keys of a service.
        name: Its name within the table.
        annotation: Its type, with bounds.
        default: Its default value; None stands for "not set".
        unit: Unit of a number, else empty.
        allowed: Type and range in words.
        description: What it means.
        takes_effect: When a change of it does.
        secret: Whether its value must never be shown.
        example: A value for the commented example, where the default says too little.
    """

    section: str
    name: str
    annotation: Any
    default: Any
    unit: str
    allowed: str
    description: str
    takes_effect: TakesEffect
    secret: bool
    example: Any

    @property
    def path(self) -> str:
        """The dotted path in the file."""
        return f"{self.section}.{self.name}"


class Fault(msgspec.Struct, frozen=True):
    """Why settings are refused.

    Attributes:
        paths: The keys that disagree, the first one at fault.
        text: The rest of the line: the value, and what is allowed.
    """

    paths: tuple[str, ...]
    text: str


@cache
def section_keys() -> Mapping[str, Mapping[str, Key]]:
    """All keys but those of services, by section and name, in the order of the types."""
    hints = get_type_hints(Settings, include_extras=True)
    return {
        section: keys_of(hints[section], section)
        for section in Settings.__struct_fields__
        if section != "services"
    }


@cache
def service_keys() -> Mapping[str, Key]:
    """The keys of one service, by name."""
    return keys_of(ServiceSettings, "services.<name>")


def find_fault(value: object, annotation: object, path: str, *, secret: bool) -> Fault | None:
    """Check a value of the file against a type; None if it fits.

    Args:
        value: As TOML or JSON gave it; nothing is converted ("60" is no number).
        annotation: The type, with bounds.
        path: The path of the value, for the report.
        secret: Whether the value must not be shown.
    """
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        return _innermost(value, annotation, path, secret=secret)
    return None


def refusal(value: object, allowed: str, *, secret: bool = False) -> str:
    """The text of a fault: what was given, and what is allowed."""
    return f"got {'***' if secret else shown(value)}, expected {allowed}"


def shown(value: object) -> str:
    """A value on one line and not too long; tables and lists by their kind."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    text = msgspec.json.encode(value.encode("utf-8", "replace").decode()).decode()
    text = text.translate(_BREAKS)
    return text if len(text) <= 80 else f'{text[:77]}..."'


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A hint for a mistyped word: the nearest known one whatever its case, else `otherwise`."""
    spelled = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), spelled, n=1, cutoff=0.75)
    return f"; did you mean {spelled[near[0]]}?" if near else otherwise


def allowed_values(annotation: object) -> str:  # noqa: PLR0911  # one for each kind of type
    """A type and its bounds in words."""
    base, metas = _split(annotation)
    if special := [m.extra["allowed"] for m in metas if m.extra and "allowed" in m.extra]:
        return str(special[-1])
    origin, args = get_origin(base), get_args(base)
    if origin is Literal:
        return "one of " + ", ".join(map(str, args))
    if origin is list:
        return f"a list of {allowed_values(args[0])}"
    if origin is dict:
        return f"a table of: {allowed_values(args[0])}, each {allowed_values(args[1])}"
    if _is_table(base):
        return f"a table of {', '.join(_fields(base))}"
    if base is str:
        return "text, not empty" if any(m.min_length for m in metas) else "text"
    if base is datetime:
        return "a time"
    return {bool: "true or false", int: "a whole number", float: "a number"}[base] + _range(metas)


def _range(metas: Sequence[Meta]) -> str:
    bounds = {
        name: format(bound, ".15g")
        for meta in metas
        for name in ("ge", "gt", "le", "lt")
        if (bound := getattr(meta, name)) is not None
    }
    if bounds.keys() == {"ge", "le"}:
        return f" from {bounds['ge']} to {bounds['le']}"
    if not bounds:
        return ""
    words = {"ge": "at least", "gt": "over", "le": "at most", "lt": "under"}
    return " " + " and ".join(f"{words[name]} {bound}" for name, bound in bounds.items())


def _innermost(  # noqa: C901  # one loop for each kind of container
    value: object, annotation: object, path: str, *, secret: bool
) -> Fault:
    base, _ = _split(annotation)
    origin, args = get_origin(base), get_args(base)
    if origin is list and isinstance(value, list):
        for index, item in enumerate(value):
            if fault := find_fault(item, args[0], f"{path}[{index}]", secret=secret):
                return fault
    if origin is dict and isinstance(value, dict):
        for name, item in value.items():
            if find_fault(name, args[0], path, secret=secret):
                known = allowed_values(args[0])
                return Fault((f"{path}.{name}",), f"unknown key, expected {known}")
            if fault := find_fault(item, args[1], f"{path}.{name}", secret=secret):
                return fault
    if _is_table(base) and isinstance(value, Mapping):
        fields = _fields(base)
        for name, item in value.items():
            if name not in fields:
                near = did_you_mean(str(name), fields, otherwise=f"; known are {', '.join(fields)}")
                return Fault((f"{path}.{name}",), f"unknown key{near}")
            if fault := find_fault(item, fields[name], f"{path}.{name}", secret=secret):
                return fault
    return Fault((path,), refusal(value, allowed_values(annotation), secret=secret))


def _is_table(base: object) -> bool:
    return isinstance(base, type) and issubclass(base, msgspec.Struct)


def _fields(base: type[msgspec.Struct]) -> dict[str, object]:
    """The keys of a table that is an item of a list, with their types."""
    hints = get_type_hints(base, include_extras=True)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(base)}


def keys_of(section: type[msgspec.Struct], path: str) -> dict[str, Key]:
    """Read the keys of a section off its type.

    Args:
        section: The type.
        path: Its name, for the paths of the keys.

    Raises:
        KeyError: a key does not say when a change of it takes effect.
    """
    hints = get_type_hints(section, include_extras=True)
    return {
        field.name: _key(path, field, hints[field.name])
        for field in msgspec.structs.fields(section)
    }


def _key(section: str, field: msgspec.structs.FieldInfo, annotation: object) -> Key:
    _, metas = _split(annotation)
    extra = {name: value for meta in metas for name, value in (meta.extra or {}).items()}
    units = [unit for suffix, unit in _UNITS.items() if field.name.endswith(suffix)]
    default = field.default
    if default is NODEFAULT and callable(field.default_factory):
        default = field.default_factory()
    examples = [example for meta in metas for example in meta.examples or ()]
    return Key(
        section=section,
        name=field.name,
        annotation=annotation,
        default=default,
        unit=units[0] if units else extra.get("unit", ""),
        allowed=allowed_values(annotation),
        description=next((m.description for m in reversed(metas) if m.description), ""),
        takes_effect=extra["takes_effect"],
        secret=bool(extra.get("secret")),
        example=examples[0] if examples else default,
    )


def _split(annotation: object) -> tuple[Any, tuple[Meta, ...]]:
    """A type without its annotations and without None, and the annotations."""
    metas: tuple[Meta, ...] = ()
    if get_origin(annotation) is Annotated:
        annotation, *found = get_args(annotation)
        metas = tuple(meta for meta in found if isinstance(meta, Meta))
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
    return annotation, metas
