"""The files of the Numenta Anomaly Benchmark, read as they are published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ruptura.evaluation.nab_files import NabDataError, read_nab

ROWS = "timestamp,value\n2014-04-01 00:00:00,1.5\n2014-04-01 00:05:00,2\n2014-04-01 00:10:00,3\n"
WINDOW = ["2014-04-01 00:05:00.000000", "2014-04-01 00:10:00.000000"]


def written(folder: Path, rows: str = ROWS, limits: object = (WINDOW,)) -> tuple[Path, Path]:
    data = folder / "data" / "kind"
    data.mkdir(parents=True)
    (data / "x.csv").write_text(rows)
    windows = folder / "windows.json"
    windows.write_text(json.dumps({"kind/x.csv": limits}))
    return folder, windows


def test_a_file_has_its_points_and_its_windows_as_points(tmp_path: Path) -> None:
    [file] = read_nab(*written(tmp_path))
    assert (file.name, file.values.tolist(), file.windows) == (
        "kind/x.csv",
        [1.5, 2.0, 3.0],
        ((1, 2),),
    )
    assert (file.times - file.times[0]).tolist() == [0.0, 300.0, 600.0]


def test_the_folder_may_be_that_of_the_data_itself(tmp_path: Path) -> None:
    folder, windows = written(tmp_path)
    assert len(read_nab(folder / "data", windows)) == 1


@pytest.mark.parametrize(
    ("rows", "limits", "complaint"),
    [
        (ROWS, [["2014-04-01 00:01:00", WINDOW[1]]], "x.csv: window"),
        ("timestamp,value\nnoon,1\n", [], "x.csv:2: "),
        ("timestamp,value\n2014-04-01 00:00:00,much\n", [], "x.csv:2: could not convert"),
        ("timestamp,value\n2014-04-01 00:00:00,inf\n", [], "x.csv:2: value 'inf'"),
        ("timestamp,value\n2014-04-01 00:00:00\n", [], "x.csv:2: list index"),
        (ROWS, "all of it", "windows.json: not windows by file"),
    ],
)
def test_what_cannot_be_used_is_told_by_file(
    tmp_path: Path, rows: str, limits: object, complaint: str
) -> None:
    with pytest.raises(NabDataError) as told:
        read_nab(*written(tmp_path, rows, limits))
    assert complaint in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_is_absent_is_told(tmp_path: Path) -> None:
    folder, windows = written(tmp_path)
    (folder / "data" / "kind" / "x.csv").unlink()
    with pytest.raises(NabDataError, match="absent, though there are windows for it"):
        read_nab(folder, windows)


def test_windows_without_files_are_told(tmp_path: Path) -> None:
    folder, windows = written(tmp_path)
    windows.write_text("{}")
    with pytest.raises(NabDataError, match="no files in it"):
        read_nab(folder, windows)
