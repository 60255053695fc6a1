"""Keys that settings once had: accepted without effect, each with one warning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OPTION = "`ruptura topics create --{}` says it now, {} unless given"

RETIRED: Final[Mapping[str, str]] = {
    "kafka.fetch_max_wait_seconds": "it is always 0.2",
    "topics.replication_factor": _OPTION.format("replication-factor", "1"),
    "topics.retention_seconds": _OPTION.format("retention-seconds", "604800"),
    "topics.output_retention_seconds": _OPTION.format("output-retention-seconds", "2592000"),
    "window.duplicate_ids": "it is always 10000",
    "detection.band_probability": "it is always 0.001",
    "detection.minimum_level_effect": "it is always 0.1",
    "detection.signal_probability": "it is always 0.001",
    "forecast.window_seconds": "it is always 1800",
    "worker.checkpoint_seconds": "it is always 1",
    "worker.tick_seconds": "it is always 1",
    "worker.max_fetched_bytes": "it is always 67108864",
    "worker.data_dir": "the worker writes no files",
}
"""By path, what holds in its place; a test compares the numbers with those in the code."""


def warning(path: str, origin: str) -> str:
    """Say on one line that a key no longer has an effect.

    Args:
        path: Of `RETIRED`.
        origin: The file or variable that sets it.
    """
    return f"{origin}: {path} no longer has an effect: {RETIRED[path]}; remove it"


def take_out(tables: dict[str, dict[str, object]]) -> list[str]:
    """Remove retired keys from the tables of a file, whatever their values; return their paths."""
    found = []
    for path in RETIRED:
        section, name = path.split(".")
        table = tables.get(section)
        if isinstance(table, dict) and name in table:
            del table[name]
            found.append(path)
    return found
