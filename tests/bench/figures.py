"""Figures of the benchmarks: medians, percentiles, and the shape of `build/bench.json`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import msgspec

NAMES = (
    "worker-vs-stock-faust",
    "worker-vs-quix-streams",
    "worker-vs-bytewax",
    "worker-vs-empty-aiokafka",
    "replay-events",
    "ingest-records",
    "alert-latency-p99-1k",
    "alert-latency-p99-20k",
    "bytes-per-series",
    "restore-10k-channels",
)
"""Every entry of the file, in its order."""


class Entry(msgspec.Struct, frozen=True):
    """One entry of the file.

    Attributes:
        name: One of `NAMES`.
        value: What Ruptura reached; the median over runs. None where it could not be measured.
        unit: Of value and reference_value.
        reference: What it is compared with: a baseline, or the aim. Or why there is no value.
        reference_value: What the baseline reached in the same runs, or the aim.
        ratio: The median over runs of value by reference_value.
    """

    name: str
    value: float | None
    unit: str
    reference: str
    reference_value: float | None
    ratio: float | None


class Row(msgspec.Struct, frozen=True):
    """A line of the printed table that is no entry of the file, or says more of one."""

    what: str
    value: float
    unit: str
    note: str = ""


class Outcome(msgspec.Struct):
    """What a benchmark leads to."""

    entries: list[Entry] = []
    rows: list[Row] = []


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that at least so many percent do not exceed (nearest rank).

    Raises:
        ValueError: there are no values, or the percentage is not in (0, 100].
    """
    ordered = sorted(values)
    if not ordered or not 0.0 < percent <= 100.0:
        raise ValueError("a percentile needs values, and a percentage over 0 up to 100")
    return ordered[math.ceil(percent / 100.0 * len(ordered)) - 1]


def against(name: str, unit: str, reference: str, pairs: Sequence[tuple[float, float]]) -> Entry:
    """Compare what was measured in pairs, one a run: ours, and the reference's.

    The ratio is the median of the runs' ratios, for what disturbs a run disturbs both sides.

    Raises:
        ValueError: there are no pairs, or a reference is not over 0.
    """
    if not pairs or any(theirs <= 0.0 for _, theirs in pairs):
        raise ValueError(f"{name}: nothing to compare with")
    return Entry(
        name,
        median(ours for ours, _ in pairs),
        unit,
        reference,
        median(theirs for _, theirs in pairs),
        median(ours / theirs for ours, theirs in pairs),
    )


def absent(name: str, unit: str, reason: str) -> Entry:
    """An entry that could not be measured, and why."""
    return Entry(name, None, unit, reason, None, None)


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write the file; entries that were not measured this time stay as they were.

    Raises:
        ValueError: a name that is not one of `NAMES`.
    """
    fresh = {entry.name: entry for entry in entries}
    unknown = sorted(fresh.keys() - set(NAMES))
    if unknown:
        raise ValueError(f"unknown entries: {', '.join(unknown)}")
    former = msgspec.json.decode(path.read_bytes(), type=list[Entry]) if path.exists() else []
    merged = {entry.name: entry for entry in former} | fresh
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = [merged[name] for name in NAMES if name in merged]
    path.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n")
