"""The command writes recordings and labels that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ruptura.assembly.registry import series_registry
from ruptura.files.recording import read_envelopes, to_record
from ruptura.simulator import Labels, load_scenario, shipped, simulate
from ruptura.tools.simulate import ScenarioError, descriptions, run_simulation

SMALL = """
description = "One channel."
begins = 2026-03-02T00:00:00Z
days = 2
warm_up_days = 1

[services.shop]

[[channels]]
service = "shop"
name = "chat"
contacts_per_hour = 20
metrics = ["heartbeats"]
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_what_was_written_reads_back_as_what_was_simulated(
    small: Path, tmp_path: Path, ending: str
):
    output, labels = tmp_path / f"out.{ending}", tmp_path / "labels.json"

    summary = run_simulation(str(small), 3, output, labels)

    expected = simulate(load_scenario(small, series_registry()), 3)
    found = [to_record(e) for batch in read_envelopes(output) for e in batch]
    assert found == expected.records
    assert msgspec.json.decode(labels.read_bytes(), type=Labels) == expected.labels
    assert summary.records == len(found) == sum(summary.by_topic.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [output.name, "labels.json", "small.toml"]
    )


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_the_same_seed_gives_the_same_file(small: Path, tmp_path: Path, ending: str):
    files = [tmp_path / name / f"out.{ending}" for name in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        run_simulation(str(small), 3, file)

    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_file_that_cannot_be_finished_leaves_the_old_one(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    output = tmp_path / "out.jsonl"
    output.write_text("old")

    def fail(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ruptura.tools.simulate.to_line", fail)
    with pytest.raises(OSError, match="No space left"):
        run_simulation(str(small), 3, output)

    assert output.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "small.toml"]


def test_an_unknown_scenario_is_refused_with_the_names_of_those_there_are(tmp_path: Path):
    with pytest.raises(ScenarioError, match=r"^typhoon: no such file, .* those are .*calm"):
        run_simulation("typhoon", 1, tmp_path / "out.jsonl")


def test_a_scenario_with_a_fault_is_refused_in_its_own_words(small: Path, tmp_path: Path):
    small.write_text(SMALL.replace("days = 2", "days = 0"))

    with pytest.raises(ScenarioError, match=r"small\.toml: days: got 0, expected `int` >= 1$"):
        run_simulation(str(small), 1, tmp_path / "out.jsonl")


def test_every_shipped_scenario_has_a_sentence():
    assert list(descriptions()) == list(shipped())
    assert all(text.endswith(".") for text in descriptions().values())
