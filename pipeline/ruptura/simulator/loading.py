"""From a file to a Scenario: every refusal is one clear line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ruptura.core.ingest.calendar import parse_opening_hours
from ruptura.core.series.registry import Measure, Registry
from ruptura.simulator.reports import RATIOS, VALUES
from ruptura.simulator.scenario import Channel, NonEventTable, Range, RuptureTable, Scenario

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]")
_MOST_QUOTED = 60
_OF_BOTS: Final[tuple[Measure, ...]] = ("bot_fallback", "bot_containment")
_FACTORS = ("latency_creep", "demand_surge")

Fault = tuple[str, str]
"""A key, and what is wrong with it."""


def load_scenario(path: Path, registry: Registry) -> Scenario:
    """Read and check a scenario.

    Args:
        path: A TOML file; its name is the name of the scenario.
        registry: What the metrics measure that its channels report.

    Raises:
        ValueError: it cannot be read, or a key or value is wrong; one line that names it.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not TOML: {_line(str(error))}") from None
    if "name" in table:
        raise ValueError(f"{path}: name: unknown key; the name of the file is the name")
    if "measures" in table:
        raise ValueError(f"{path}: measures: unknown key; the registry of series says it")
    table["name"] = path.stem
    table["measures"] = {
        name: spec.measures
        for name, spec in registry.specs.items()
        if spec.tickets is None and (spec.measures in RATIOS or spec.measures in VALUES)
    }
    try:
        scenario = msgspec.convert(table, Scenario)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: {_refusal(str(error), table)}") from None
    for key, text in _faults(scenario):
        raise ValueError(f"{path}: {key}: {_line(text)}")
    return scenario


def _refusal(text: str, table: Any) -> str:
    """Say what msgspec refused, with the value."""
    expected, _, at = text.partition(" - at `$")
    key, value = "", table
    for step in _STEP.finditer(at):
        name, index = step.groups()
        key += f".{name}" if name else f"[{index}]"
        value = value[name] if name else value[int(index)]
    key = key.removeprefix(".")
    if "unknown field" in expected or "missing required field" in expected:
        return _line(f"{key or 'the file'}: {expected[0].lower()}{expected[1:]}")
    quoted = repr(value)
    if len(quoted) > _MOST_QUOTED:
        quoted = f"{quoted[:_MOST_QUOTED]}..."
    return _line(f"{key}: got {quoted}, {expected[0].lower()}{expected[1:]}")


def _line(text: str) -> str:
    return " ".join(text.split())


def _faults(scenario: Scenario) -> Iterator[Fault]:
    """What types cannot say."""
    if scenario.begins.timestamp() % 3600:
        yield "begins", f"got {scenario.begins.isoformat()}, expected a full hour"
    if scenario.warm_up_days >= scenario.days:
        yield "warm_up_days", f"got {scenario.warm_up_days}, expected less than days"
    yield from _name_faults(scenario)
    names = {(channel.service, channel.name) for channel in scenario.channels}
    for index, channel in enumerate(scenario.channels):
        for key, text in _channel_faults(channel, scenario, names):
            yield f"channels[{index}].{key}", text
    for index, rupture in enumerate(scenario.ruptures):
        for key, text in (
            *_timing_faults(rupture, scenario, names),
            *_rupture_faults(rupture, scenario),
        ):
            yield f"ruptures[{index}].{key}", text
    for index, quiet in enumerate(scenario.quiet):
        for key, text in (
            *_timing_faults(quiet, scenario, names),
            *_range_faults(factor=quiet.factor),
        ):
            yield f"quiet[{index}].{key}", text


def _name_faults(scenario: Scenario) -> Iterator[Fault]:
    for service, settings in scenario.services.items():
        zone = settings.get("time_zone", "UTC")
        if not _is_time_zone(zone):
            yield f"services.{service}.time_zone", f"got {zone!r}, expected an IANA time zone"
    tables: dict[str, Sequence[Channel | RuptureTable | NonEventTable]] = {
        "channels": scenario.channels,
        "ruptures": scenario.ruptures,
        "quiet": scenario.quiet,
    }
    seen: set[tuple[str, str]] = set()
    for key, entries in tables.items():
        for index, entry in enumerate(entries):
            # Labels of both kinds stand beside each other; channels beside those of their service.
            group = entry.service if isinstance(entry, Channel) else ""
            if (group, entry.name) in seen:
                yield f"{key}[{index}].name", f"got {entry.name!r} twice, expected another name"
            seen.add((group, entry.name))


def _channel_faults(
    channel: Channel, scenario: Scenario, names: set[tuple[str, str]]
) -> Iterator[Fault]:
    if channel.service not in scenario.services:
        known = ", ".join(scenario.services) or "none"
        yield "service", f"got {channel.service!r}, expected a table of services ({known})"
    if not any(channel.week):
        yield "week", f"got {list(channel.week)}, expected a day above 0"
    try:
        parse_opening_hours(channel.hours)
    except ValueError as error:
        yield "hours", str(error)
    for index, metric in enumerate(channel.metrics):
        measure = scenario.measures.get(metric)
        if measure is None:
            yield (
                f"metrics[{index}]",
                f"got {metric!r}, expected one of {', '.join(scenario.measures)}",
            )
        elif measure in _OF_BOTS and channel.bot is None:
            yield "metrics", f"got {metric!r}, expected a bot with it"
    if channel.begins_day >= scenario.days:
        yield "begins_day", f"got {channel.begins_day}, expected less than days"
    yield from _share_faults(channel, names)


def _share_faults(channel: Channel, names: set[tuple[str, str]]) -> Iterator[Fault]:
    for sibling in channel.spill:
        if sibling == channel.name or (channel.service, sibling) not in names:
            yield "spill", f"got {sibling!r}, expected another channel of {channel.service}"
    for key, total in (
        ("spill", channel.retry_ratio + sum(channel.spill.values())),
        ("exceptions", sum(channel.exceptions.values())),
    ):
        if total > 1.0:
            beside = " with retry_ratio" if key == "spill" else ""
            yield key, f"got {total:g} in all{beside}, expected at most 1"


def _timing_faults(
    table: RuptureTable | NonEventTable, scenario: Scenario, names: set[tuple[str, str]]
) -> Iterator[Fault]:
    service = service_of(table, scenario)
    for name in table.channels:
        if (service, name) not in names:
            yield "channels", f"got {name!r}, expected a channel of {service}"
    if len(set(table.channels)) < len(table.channels):
        yield "channels", f"got {table.channels}, expected each once"
    if not table.day[0] <= table.day[1] < scenario.days:
        yield "day", f"got {list(table.day)}, expected [first, last] before day {scenario.days}"
    yield from _range_faults(hour=table.hour, duration_minutes=table.duration_minutes)
    if table.hour[1] >= 24.0:
        yield "hour", f"got {list(table.hour)}, expected hours under 24"
    if not table.duration_minutes[0]:
        yield "duration_minutes", f"got {list(table.duration_minutes)}, expected more than 0"


def _rupture_faults(table: RuptureTable, scenario: Scenario) -> Iterator[Fault]:
    severity, ramp = table.severity, table.ramp_minutes
    yield from _range_faults(severity=severity, ramp_minutes=ramp)
    if table.choose > len(table.channels):
        yield "choose", f"got {table.choose}, expected at most {len(table.channels)}, the channels"
    if ramp[1] > table.duration_minutes[0]:
        yield "ramp_minutes", f"got {list(ramp)}, expected no longer than duration_minutes"
    if table.day[0] < scenario.warm_up_days:
        yield "day", f"got {list(table.day)}, expected {scenario.warm_up_days} or later: warm-up"
    if table.kind in _FACTORS or table.kind.startswith("exceptions_"):
        if severity[0] < 1.0:
            yield "severity", f"got {list(severity)}, expected factors of at least 1"
    elif severity[1] > 1.0:
        yield "severity", f"got {list(severity)}, expected shares of at most 1"


def _range_faults(**ranges: Range) -> Iterator[Fault]:
    for key, (least, most) in ranges.items():
        if least > most:
            yield key, f"got {[least, most]}, expected [least, most]"


def service_of(table: RuptureTable | NonEventTable, scenario: Scenario) -> str:
    """Return the service whose channels are meant: its own, else that of the first channel."""
    return table.service or scenario.channels[0].service


def _is_time_zone(name: object) -> bool:
    if not isinstance(name, str):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory, as "America" is
        return False
    return True
