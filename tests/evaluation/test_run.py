"""Evaluations as a user runs them: tables, JSON and pictures."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest

from ruptura.evaluation.baselines import RUPTURA
from ruptura.evaluation.run import (
    EvaluationError,
    Output,
    _run,
    evaluate_labelled,
    evaluate_nab,
    evaluate_simulated,
    parse_seeds,
)
from tests.evaluation.small_scenario import small_scenario

PNG = b"\x89PNG"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A week by the hour with one anomaly in each half."""
    folder = tmp_path / "series"
    folder.mkdir()
    rows = [
        f"2026-03-{2 + hour // 24:02d} {hour % 24:02d}:00:00,"
        f"{90.0 if hour in (70, 140) else 10.0 + hour % 3},{int(hour in (70, 140))}"
        for hour in range(168)
    ]
    (folder / "a.csv").write_text("\n".join(["TimeStamp,Value,Label", *rows]))
    return folder


@pytest.fixture
def benchmark(tmp_path: Path) -> tuple[Path, Path]:
    """Five files of 200 points, each with a spike in its window."""
    folder = tmp_path / "nab"
    folder.mkdir()
    limits = {}
    for number in range(5):
        stamps = [f"2014-04-01 {m // 12:02d}:{m % 12 * 5:02d}:00" for m in range(200)]
        values = [50.0 if m == 150 + number else float(m % 5) for m in range(200)]
        rows = [f"{stamp},{value}" for stamp, value in zip(stamps, values, strict=True)]
        (folder / f"{number}.csv").write_text("\n".join(["timestamp,value", *rows]))
        limits[f"{number}.csv"] = [[stamps[140], stamps[170]]]
    windows = tmp_path / "windows.json"
    windows.write_text(json.dumps(limits))
    return folder, windows


def test_simulations_are_told_in_a_table_for_detectors_and_one_for_scenarios(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = small_scenario(tmp_path)
    evaluate_simulated([str(path)], [3], Output(), ["static thresholds"])
    text = capsys.readouterr().out
    first, _, second = text.partition("by scenario")
    assert "1 scenarios, 1 seeds" in first
    assert [line.split()[0] for line in first.splitlines() if "1/1" in line] == [RUPTURA, "static"]
    assert [line.split()[0] for line in second.splitlines() if "1/1" in line] == ["small"]


def test_simulations_as_json_hold_every_rupture_and_every_false_alarm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_scenario(tmp_path)
    folder = tmp_path / "pictures"
    evaluate_simulated([str(tmp_path)], [3], Output(as_json=True, plots=folder), [])
    document = json.loads(capsys.readouterr().out)
    assert set(document["contenders"]) == {RUPTURA}
    assert document["scenarios"]["small"][RUPTURA]["found"] == 1
    [trial] = document["trials"]
    assert (trial["scenario"], trial["seed"]) == ("small", 3)
    assert trial["verdicts"][RUPTURA]["ruptures"][0]["name"] == "errors"
    drawn = sorted(folder.iterdir())
    assert [path.name for path in drawn] == ["lead.png", "recall-and-false-alarms.png"]
    assert all(path.read_bytes().startswith(PNG) for path in drawn)


def test_labelled_series_are_told_by_part(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    evaluate_labelled(labelled, Output(plots=folder))
    text = capsys.readouterr().out
    assert "1 series, 0 of them without a label" in text
    [row] = [line.split() for line in text.splitlines() if line.startswith("3 sigma")]
    assert row[3:7] == ["first", "1/1", "100.0%", "100.0%"]
    assert str(folder / "labelled.png") in text.replace("\n", "")
    assert (folder / "labelled.png").read_bytes().startswith(PNG)


def test_more_processes_do_the_same_work_in_the_same_order() -> None:
    work = {number: partial(pow, number, 2) for number in (3, 1, 2)}
    for jobs in (1, 2):
        assert list(_run(work, "squaring", jobs).items()) == [(3, 9), (1, 1), (2, 4)]


def test_labelled_series_as_json_hold_both_parts(
    labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_labelled(labelled, Output(as_json=True))
    found = json.loads(capsys.readouterr().out)["contenders"]["3 sigma"]
    assert (found["first"]["recall"], found["rest"]["recall"]) == (1.0, 1.0)
    assert found["rest"]["tally"]["segments"] == 1


def test_the_benchmark_is_told_by_profile(
    benchmark: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_nab(*benchmark, Output(as_json=True))
    document = json.loads(capsys.readouterr().out)
    found = document["contenders"]["3 sigma"]["standard"]
    assert (found["detected"], found["windows"], found["false_alarms"]) == (5, 5, 0)
    assert 50.0 < found["value"] < 100.0
    assert 0.0 < document["cross_validated"]["3 sigma"] <= found["value"]
    evaluate_nab(*benchmark, Output())
    assert "5 files, one threshold for all of them" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("scenarios", "baselines", "complaint"),
    [
        (["nowhere"], None, "nowhere: neither a file, a folder nor a shipped scenario (black"),
        (["calm"], ["magic"], "magic: no such baseline; known are static thresholds, "),
    ],
)
def test_what_is_unknown_is_told_with_what_is_known(
    scenarios: list[str], baselines: list[str] | None, complaint: str
) -> None:
    with pytest.raises(EvaluationError) as told:
        evaluate_simulated(scenarios, [1], Output(), baselines)
    assert str(told.value).startswith(complaint)


def test_a_scenario_that_is_refused_is_told_in_one_line(tmp_path: Path) -> None:
    path = small_scenario(tmp_path, services='[services.aurora]\ntime_zone = "Mars/Base"')
    with pytest.raises(EvaluationError, match=r"small\.toml: services\.aurora\.time_zone") as told:
        evaluate_simulated([str(path)], [1], Output())
    assert "\n" not in str(told.value)


def test_a_folder_without_scenarios_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no scenarios"):
        evaluate_simulated([str(tmp_path)], [1], Output())


def test_without_matplotlib_pictures_are_refused_before_any_work(
    labelled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(EvaluationError, match=r"needs matplotlib, .*install ruptura\[plots\]"):
        evaluate_labelled(labelled, Output(plots=tmp_path / "pictures"))
    assert not (tmp_path / "pictures").exists()


def test_data_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no CSV files in it"):
        evaluate_labelled(tmp_path, Output())


@pytest.mark.parametrize(("text", "seeds"), [("7", [7]), ("1..3", [1, 2, 3]), ("4..4", [4])])
def test_seeds_are_a_number_or_a_range(text: str, seeds: list[int]) -> None:
    assert list(parse_seeds(text)) == seeds


@pytest.mark.parametrize("text", ["", "a", "1..", "3..1", "1...3", "-1", "1,2", "1..2\n"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"seed|ends before"):
        parse_seeds(text)
