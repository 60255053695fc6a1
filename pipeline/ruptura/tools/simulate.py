"""Simulate: a scenario and a seed become a recording, with labels of what happened in it.

The same scenario, seed and names of files give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from ruptura.assembly.registry import series_registry
from ruptura.files.atomic_write import atomic_write
from ruptura.files.recording import open_for_writing, to_line
from ruptura.simulator import Labels, load_scenario, shipped, simulate


class ScenarioError(Exception):
    """There is no such scenario, or it is refused; one line that names file, key and value."""


class SimulateSummary(msgspec.Struct, frozen=True):
    """What a recording holds.

    Attributes:
        records: Lines written.
        by_topic: Lines by topic.
        ruptures, quiet: How many there are of each.
    """

    records: int
    by_topic: dict[str, int]
    ruptures: int
    quiet: int


def descriptions() -> dict[str, str]:
    """Return the shipped scenarios, each with its sentence, in order of name."""
    registry = series_registry()
    return {name: load_scenario(path, registry).description for name, path in shipped().items()}


def run_simulation(
    scenario: str, seed: int, output: Path, labels: Path | None = None
) -> SimulateSummary:
    """Write a simulated recording, and its labels as JSON; each appears whole or not at all.

    Args:
        scenario: A TOML file, or the name of a shipped scenario.
        seed: 0 or more.
        output: The recording; `.gz` and `.zst` are compressed.
        labels: Where labels go; None: nowhere.

    Raises:
        ScenarioError: there is no such scenario, or it or the seed is refused.
        OSError: a file cannot be written.
    """
    try:
        simulation = simulate(load_scenario(_find(scenario), series_registry()), seed)
    except ValueError as error:
        raise ScenarioError(str(error)) from None
    by_topic: Counter[str] = Counter()
    with atomic_write(output) as draft, open_for_writing(draft) as stream:
        for record in simulation.records:
            stream.write(to_line(record, "logappend") + b"\n")
            by_topic[record.topic] += 1
    if labels is not None:
        with atomic_write(labels) as draft:
            draft.write_bytes(_document(simulation.labels))
    return SimulateSummary(
        len(simulation.records),
        dict(sorted(by_topic.items())),
        len(simulation.labels.ruptures),
        len(simulation.labels.quiet),
    )


def _find(scenario: str) -> Path:
    """Return the file that is meant; a name without an ending is first one of ours."""
    known = shipped()
    path = Path(scenario)
    if scenario in known:
        return known[scenario]
    if path.is_file():
        return path
    raise ScenarioError(
        f"{scenario}: no such file, nor a shipped scenario; those are {', '.join(known)}"
    )


def _document(labels: Labels) -> bytes:
    return msgspec.json.format(msgspec.json.encode(labels), indent=2) + b"\n"
