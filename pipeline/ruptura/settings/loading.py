"""From file and environment to Settings: every refusal is one clear line.

A variable is `RUPTURA_<SECTION>__<KEY>`, for example `RUPTURA_KAFKA__BOOTSTRAP_SERVERS`; it wins
over the file. `RUPTURA_SERVICES` is a JSON object of services, merged into the file's key by key.
An empty variable counts as not set, since Compose passes those on. Other variables that begin with
RUPTURA_ are ignored: Kubernetes sets some for every service named `ruptura`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ruptura.settings.checks import faults
from ruptura.settings.keys import (
    Fault,
    Key,
    did_you_mean,
    find_fault,
    refusal,
    section_keys,
    service_keys,
)
from ruptura.settings.retired import RETIRED, take_out, warning
from ruptura.settings.sections import Settings

_PREFIX = "RUPTURA_"
_CONFIG = "RUPTURA_CONFIG"
_SERVICES = "RUPTURA_SERVICES"
_MAX_NAME = 128

Origins = Mapping[str, str]
"""Where a key was set: its path to a file or a variable. A key that is absent has its default."""


class Loaded(msgspec.Struct, frozen=True):
    """What was read.

    Attributes:
        settings: Checked.
        origins: Where each key was set.
        warnings: What people should know of it, a line each: keys that no longer have an effect.
    """

    settings: Settings
    origins: Origins
    warnings: tuple[str, ...]


class SettingsError(Exception):
    """Settings are refused; the text is exactly one line."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))


def load(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read, merge and check the settings.

    Args:
        path: The TOML file; None means the one that RUPTURA_CONFIG names, else defaults.
        environment: The variables of the process.

    Raises:
        SettingsError: the file cannot be read, or a key, type or value is wrong.
    """
    return load_with_origins(path, environment).settings


def load_with_origins(path: Path | None, environment: Mapping[str, str]) -> Loaded:
    """Like `load`, and also tell where each key was set, and what to warn of.

    Raises:
        SettingsError: the file cannot be read, or a key, type or value is wrong.
    """
    if path is None and environment.get(_CONFIG):
        path = Path(environment[_CONFIG])
    tables: dict[str, Any] = {}
    origins: dict[str, str] = {}
    warnings: list[str] = []
    retired = {_variable(*key.split(".")): key for key in RETIRED}
    if path is not None:
        found = _read(path)
        warnings += [warning(key, str(path)) for key in take_out(found)]
        _add(found, str(path), tables, origins)
    for variable, value in sorted(environment.items()):
        if variable in retired and value:
            warnings.append(warning(retired[variable], variable))
        elif variable.startswith(_PREFIX) and value:
            _add(_from_variable(variable, value), variable, tables, origins)
    tables["services"] = _with_defaults(tables.get("services", {}))
    settings = msgspec.convert(tables, Settings)
    for fault in faults(settings):
        raise SettingsError(f"{_origin(fault, origins)}: {fault.paths[0]}: {fault.text}")
    return Loaded(settings, origins, tuple(warnings))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:  # also numbers of more than 4,300 digits
        raise SettingsError(f"{path}: not TOML: {error}") from None


def _from_variable(variable: str, value: str) -> dict[str, Any]:
    if variable == _SERVICES:
        return {"services": _services(value)}
    by_variable = _variables()
    key = by_variable.get(variable)
    if key is not None:
        return {key.section: {key.name: _parse(variable, value, key)}}
    if "__" in variable:
        near = did_you_mean(variable, by_variable, otherwise=", no such section and key")
        raise SettingsError(f"{variable}: unknown variable{near}")
    for known in by_variable:
        if known.replace("__", "_") == variable:
            raise SettingsError(f"{variable}: unknown variable; did you mean {known}?")
    return {}


def _variable(section: str, name: str) -> str:
    return f"{_PREFIX}{section}__{name}".upper()


def _variables() -> dict[str, Key]:
    return {
        _variable(section, name): key
        for section, keys in section_keys().items()
        for name, key in keys.items()
    }


def _parse(variable: str, value: str, key: Key) -> Any:
    try:
        value.encode()
        return msgspec.convert(value, key.annotation, strict=False)
    except UnicodeEncodeError:
        raise SettingsError(f"{variable}: {key.path}: not UTF-8") from None
    except msgspec.ValidationError:
        text = refusal(value, key.allowed, secret=key.secret)
        raise SettingsError(f"{variable}: {key.path}: {text}") from None


def _services(value: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise SettingsError(f"{_SERVICES}: not JSON: {error}") from None


def _add(found: dict[str, Any], origin: str, tables: dict[str, Any], into: dict[str, str]) -> None:
    """Check the tables of one origin by themselves, then lay them over the earlier ones."""
    fault = _table_fault(found)
    if fault is not None:
        raise SettingsError(f"{origin}: {fault.paths[0]}: {fault.text}")
    for section, keys in found.items():
        if section == "services":
            for service, own in keys.items():
                into.update({f"services.{service}.{name}": origin for name in own})
        else:
            into.update({f"{section}.{name}": origin for name in keys})
    tables.update(_laid_over(tables, found))


def _table_fault(found: Mapping[str, Any]) -> Fault | None:
    known = section_keys()
    for section, table in found.items():
        if section != "services" and section not in known:
            names = [*known, "services"]
            near = did_you_mean(section, names, otherwise=f"; known are {', '.join(names)}")
            return Fault((section,), f"unknown section{near}")
        if not isinstance(table, dict):
            return Fault((section,), f"expected a table, written [{section}]")
        fault = (
            _services_fault(table)
            if section == "services"
            else _section_fault(section, table, known[section])
        )
        if fault is not None:
            return fault
    return None


def _services_fault(services: Mapping[str, Any]) -> Fault | None:
    for service, own in services.items():
        path = f"services.{service}"
        if not 1 <= len(service) <= _MAX_NAME:
            return Fault((path,), f"expected a name of 1 to {_MAX_NAME} characters")
        if not isinstance(own, dict):
            return Fault((path,), f"expected a table, written [{path}]")
        if fault := _section_fault(path, own, service_keys()):
            return fault
    return None


def _section_fault(path: str, table: Mapping[str, Any], keys: Mapping[str, Key]) -> Fault | None:
    for name, value in table.items():
        key = keys.get(name)
        if key is None:
            # The value stays unsaid: a mistyped sasl_password still holds a password.
            near = did_you_mean(name, list(keys), otherwise=f"; known are {', '.join(keys)}")
            return Fault((f"{path}.{name}",), f"unknown key{near}")
        if fault := find_fault(value, key.annotation, f"{path}.{name}", secret=key.secret):
            return fault
    return None


def _with_defaults(services: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Give each service what `default` says and it leaves out.

    A country of its own brings its own subdivisions and categories: those are not inherited.
    """
    default = services.get("default", {})
    complete: dict[str, Any] = {"default": default} if "default" in services else {}
    for name, own in services.items():
        inherited = dict(default)
        if own.get("country", default.get("country")) != default.get("country"):
            inherited.pop("subdivision", None)
            inherited.pop("holiday_categories", None)
        complete[name] = _laid_over(inherited, own)
    return complete


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge tables, also within tables; anything else is replaced."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[name] = _laid_over(old, value) if both else value  # type: ignore[arg-type]  # both are tables here
    return merged


def _origin(fault: Fault, origins: Origins) -> str:
    for path in fault.paths:
        if path in origins:
            return origins[path]
    return "defaults"
