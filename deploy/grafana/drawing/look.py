"""How values look: texts by unit, colours by threshold and by word."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

COLORS: Final = {
    "green": "#3a9d4a",
    "orange": "#f08c1a",
    "red": "#d6303c",
    "blue": "#3274d9",
}
CURVES: Final = ("#3274d9", "#f08c1a", "#3a9d4a", "#8f3bb8", "#d6303c", "#7c8798", "#0aa5a5")


def color(name: str | None) -> str:
    """A colour of Grafana as one of the picture."""
    return COLORS.get(name or "", name if name and name.startswith("#") else "#505860")


def text(value: float, unit: str) -> str:
    """A value in its unit."""
    if math.isnan(value):
        return ""
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "s":
        return f"{value / 60.0:.1f} min" if value >= 60.0 else f"{value:.3g} s"
    if unit == "sci":
        return f"{value:.1e}"
    if unit == "bytes":
        return f"{value / 2**20:.1f} MiB" if value >= 2**20 else f"{value / 2**10:.1f} KiB"
    return f"{value:.4g}"


def by_threshold(value: float, defaults: Mapping[str, Any]) -> str:
    """The colour of the highest threshold that a value reaches."""
    steps = (defaults.get("thresholds") or {}).get("steps") or []
    reached = [step for step in steps if step["value"] is None or value >= step["value"]]
    return color(reached[-1]["color"]) if reached else color(None)


def mapped(
    value: object, mappings: list[Mapping[str, Any]] | None
) -> tuple[str | None, str | None]:
    """Text and colour that a mapping gives a value; None where it gives none."""
    key = f"{value:g}" if isinstance(value, float) else str(value)
    for mapping in mappings or ():
        found = mapping["options"].get(key)
        if found:
            return found.get("text"), color(found["color"]) if found.get("color") else None
    return None, None


def override(panel: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What a panel sets for one field, by the id of the setting."""
    settings: dict[str, Any] = {}
    for rule in panel["fieldConfig"]["overrides"]:
        kind, wanted = rule["matcher"]["id"], rule["matcher"]["options"]
        if (kind == "byName" and wanted == name) or (
            kind == "byRegexp" and re.fullmatch(wanted, name)
        ):
            settings |= {found["id"]: found.get("value") for found in rule["properties"]}
    return settings
