"""The JSON Schemas of every document, generated from the types that decode and encode them.

Three things are added to what the types can say: identity (`$schema`, `$id`), annotations of
strings (`format`, `contentEncoding`), and rules between fields (`_RULES`), which for
measurements repeat the checks of `ruptura.core.ingest.decode.decode_channel_metric`.
"""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from ruptura.core.contracts.document import Alert, DeadLetter
from ruptura.core.contracts.event import ChannelMetricEvent, TicketEvent
from ruptura.files.recording import Envelope

DIALECT = "https://json-schema.org/draft/2020-12/schema"

VERSION = 1
"""Part of every `$id`; grows when a document that was valid no longer is."""

DOCUMENTS: dict[str, type[msgspec.Struct]] = {
    "ticket-event": TicketEvent,
    "channel-metric-event": ChannelMetricEvent,
    "alert": Alert,
    "dead-letter": DeadLetter,
    "recording": Envelope,
}
"""The type of each document; its schema is the file `<name>.schema.json`."""

_SUFFIX = ".schema.json"
_NULL = {"type": "null"}
_NUMBER = {"type": "number"}
_BASE64 = {"contentEncoding": "base64"}

_ANNOTATIONS: dict[str, dict[str, dict[str, str]]] = {
    "alert": {"alert_id": {"format": "uuid"}, "incident_id": {"format": "uuid"}},
    "dead-letter": {"key": _BASE64, "value": _BASE64},
}

_RULES: dict[str, dict[str, Any]] = {
    # A null counts as absent, as it does for the decoder.
    "channel-metric-event": {
        "oneOf": [
            {
                "required": ["value"],
                "properties": {"value": _NUMBER, "numerator": _NULL, "denominator": _NULL},
            },
            {
                "required": ["numerator", "denominator"],
                "properties": {"value": _NULL, "numerator": _NUMBER, "denominator": _NUMBER},
            },
        ]
    },
    # Text, or the base64 of what is not text; neither is a record without key or value.
    "recording": {
        "allOf": [
            {"anyOf": [{"properties": {field: _NULL}}, {"properties": {f"{field}_base64": _NULL}}]}
            for field in ("headers", "key", "payload")
        ]
    },
}


def render() -> dict[str, bytes]:
    """Make the schemas: file name to content, the same bytes for the same types."""
    return {f"{name}{_SUFFIX}": _render(name, kind) for name, kind in DOCUMENTS.items()}


def write(directory: Path) -> list[Path]:
    """Write the schemas into a directory, which is created if need be.

    Returns:
        The files written.

    Raises:
        OSError: the directory or a file in it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in render().items():
        path = directory / name
        path.write_bytes(content)
        written.append(path)
    return written


def drift(directory: Path) -> list[str]:
    """Compare a directory with the types: a line for each schema that differs; none: no drift.

    Raises:
        OSError: a file cannot be read.
    """
    expected = render()
    found = {path.name: path.read_bytes() for path in sorted(directory.glob(f"*{_SUFFIX}"))}
    lines = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            lines.append(f"{name}: missing")
        elif name not in expected:
            lines.append(f"{name}: no document has this schema")
        elif found[name] != expected[name]:
            lines.append(f"{name}: differs from the types")
    return lines


def _render(name: str, kind: type[msgspec.Struct]) -> bytes:
    _, components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    document = components.pop(kind.__name__)
    for field, annotation in _ANNOTATIONS.get(name, {}).items():
        document["properties"][field].update(annotation)
    schema: dict[str, Any] = {"$schema": DIALECT, "$id": f"urn:ruptura:{name}:{VERSION}"}
    schema.update(_portable(document))
    schema.update(_RULES.get(name, {}))
    if components:
        schema["$defs"] = _portable(components)
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def _portable(schema: Any, keyword: str = "") -> Any:
    r"""Write docstrings without their indent, and patterns as ECMA 262 has them.

    There `$` is the very end; in Python only `\Z` is.
    """
    if isinstance(schema, dict):
        return {key: _portable(value, key) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_portable(item) for item in schema]
    if keyword == "description" and isinstance(schema, str):
        return cleandoc(schema)
    if keyword == "pattern" and isinstance(schema, str) and schema.endswith(r"\Z"):
        return schema.removesuffix(r"\Z") + "$"
    return schema
