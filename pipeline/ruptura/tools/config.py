"""The settings for people: in force, as a reference, and as a commented example. TOML and Markdown.

`ruptura config check` prints `valid`, `config show` prints `show`; the reference in the
documentation and `deploy/ruptura.toml` are `reference` and `example`, which tests hold to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from ruptura.settings import Loaded, Origins, Settings
from ruptura.settings.keys import Key, section_keys, service_keys

MASK = "***"

_BARE = re.compile("[A-Za-z0-9_-]+")


def valid(loaded: Loaded) -> str:
    """Say in one line that settings hold, and where they were set."""
    sources = ", ".join(sorted(set(loaded.origins.values()))) or "defaults only"
    return f"settings are valid: {len(loaded.origins)} keys set ({sources})"


def show(settings: Settings, origins: Origins | None = None) -> str:
    """All settings in force as valid TOML, secrets masked.

    Args:
        settings: What to show.
        origins: Where each key was set, which then stands in a comment beside it.
    """
    parts: list[str] = []
    for section, keys in section_keys().items():
        parts.append(f"[{section}]\n" if not parts else f"\n[{section}]\n")
        parts += [
            _shown(section, key, getattr(settings, section), origins) for key in keys.values()
        ]
    for name, service in settings.services.items():
        parts.append(f"\n[services.{_bare(name)}]\n")
        parts += [
            _shown(f"services.{name}", key, service, origins) for key in service_keys().values()
        ]
    return "".join(parts)


def reference() -> str:
    """Every key with default, unit, range, meaning, and when it takes effect, as Markdown."""
    parts = [
        "| key | default | unit | range | meaning | a change takes effect |\n"
        "|---|---|---|---|---|---|\n",
        *(_row(key) for keys in section_keys().values() for key in keys.values()),
        *(_row(key) for key in service_keys().values()),
    ]
    return "".join(parts)


def example() -> str:
    """A file with every key commented out at its default, or at a telling value."""
    parts = [
        "# Settings of Ruptura: every key: default, unit, range, when a change takes effect.\n"
        "# Made from the types in the package: change them there, not here.\n"
        "#\n"
        "# What stays commented out has the default that is shown. The environment wins over\n"
        "# this file: RUPTURA_<SECTION>__<KEY>, for example RUPTURA_KAFKA__BOOTSTRAP_SERVERS;\n"
        "# and RUPTURA_SERVICES, a JSON object that is merged into the services below.\n"
        "# Keep passwords in the environment.\n"
    ]
    for section, keys in section_keys().items():
        parts.append(f"\n[{section}]\n")
        parts += [_entry(key, settable=True) for key in keys.values()]
    parts.append(
        "\n# One table for each service. The service `default` stands for all others, and for\n"
        "# the keys that a service leaves out. A country of its own brings its own subdivisions\n"
        "# and categories: those are not taken from `default`.\n"
        "[services.default]\n"
    )
    parts += [_entry(key, settable=False) for key in service_keys().values()]
    return "".join(parts)


def _shown(table: str, key: Key, section: msgspec.Struct, origins: Origins | None) -> str:
    value = getattr(section, key.name)
    comment = "" if origins is None else f"  # {_origin(table, key.name, origins)}"
    if value is None:
        return f"# {key.name} is not set{comment}\n"
    return f"{key.name} = {toml(MASK if key.secret else value)}{comment}\n"


def _origin(table: str, name: str, origins: Origins) -> str:
    own = origins.get(f"{table}.{name}")
    if own is None and table.startswith("services."):
        own = origins.get(f"services.default.{name}")
    return "default" if own is None else " ".join(own.split())


def _row(key: Key) -> str:
    default = "not set" if key.default is None else f"`{toml(key.default)}`"
    allowed = key.allowed + (" (secret)" if key.secret else "")
    cells = (
        f"`{key.path}`",
        default,
        key.unit,
        allowed,
        key.description,
        key.takes_effect.value,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _entry(key: Key, *, settable: bool) -> str:
    facts = [key.allowed]
    if key.unit:
        facts.append(f"unit: {key.unit}")
    if key.default != key.example:
        facts.append(f"default: {'not set' if key.default is None else toml(key.default)}")
    if settable:
        facts.append(f"RUPTURA_{key.section}__{key.name}".upper())
    lines = (key.description, "; ".join(facts), f"A change takes effect {key.takes_effect.value}.")
    return "".join(f"# {line}\n" for line in lines) + f"#{key.name} = {toml(key.example)}\n\n"


def toml(value: object) -> str:
    """A value as TOML writes it; tables inline."""
    if isinstance(value, msgspec.Struct):
        return toml(msgspec.to_builtins(value, builtin_types=(datetime,)))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_bare(str(name))} = {toml(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, str):
        # A JSON text is a TOML text, but for DEL, which TOML wants escaped.
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007F")
    if isinstance(value, Iterable):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return repr(value).lower()


def _bare(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml(name)
