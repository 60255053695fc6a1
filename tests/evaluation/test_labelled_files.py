"""Labelled series from CSV files, as published and as people write them."""

from __future__ import annotations

import math
import tarfile
from pathlib import Path

import pytest

from ruptura.evaluation.labelled_files import LabelledDataError, read_labelled

GOOD = "timestamp,value,label\n2026-03-02T00:01:00Z,2.5,1\n2026-03-02T00:00:00Z,1.5,0\n"


def written(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return folder


def test_points_come_in_order_of_time(tmp_path: Path) -> None:
    [series] = read_labelled(written(tmp_path, GOOD))
    assert (series.name, series.values.tolist()) == ("a.csv", [1.5, 2.5])
    assert series.labels.tolist() == [False, True]
    assert series.times.tolist() == [1772409600.0, 1772409660.0]
    assert series.step_seconds == 60.0


def test_columns_and_times_may_be_written_as_the_cloud_data_is(tmp_path: Path) -> None:
    text = '\ufeff"Label","TimeStamp","Value"\n"0","2026-03-02 00:00:00","6"\n1,2026-03-02,7\n'
    [series] = read_labelled(written(tmp_path, text))
    assert (series.values.tolist(), series.labels.tolist()) == ([6.0, 7.0], [False, True])
    assert series.times.tolist() == [1772409600.0, 1772409600.0]


def test_an_empty_value_was_not_measured(tmp_path: Path) -> None:
    [series] = read_labelled(written(tmp_path, "timestamp,value,label\n2026-03-02,,1\n"))
    assert math.isnan(series.values[0])
    assert series.labels.tolist() == [True]


def test_an_archive_is_read_as_the_folder_that_it_holds(tmp_path: Path) -> None:
    folder = written(written(tmp_path / "data", GOOD, "b/x.csv"), GOOD, "a/y.csv")
    (folder / "a" / "y.csv-metadata.json").write_text("{}")
    archive = tmp_path / "data.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, "data")
    assert [each.name for each in read_labelled(archive)] == ["data/a/y.csv", "data/b/x.csv"]
    assert [each.name for each in read_labelled(folder)] == ["a/y.csv", "b/x.csv"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("timestamp,value\n", "a.csv:1: no column label, only timestamp, value"),
        ("", "a.csv:1: no column timestamp"),
        ("timestamp,value,label\n", "a.csv: no points"),
        ("timestamp,value,label\nnoon,1,0\n", "a.csv:2: Invalid isoformat string: 'noon'"),
        ("timestamp,value,label\n2026-03-02,x,0\n", "a.csv:2: could not convert"),
        ("timestamp,value,label\n2026-03-02,nan,0\n", "a.csv:2: value 'nan', expected a finite"),
        ("timestamp,value,label\n2026-03-02,1,yes\n", "a.csv:2: label 'yes', expected 0 or 1"),
        ("timestamp,value,label\n2026-03-02,1\n", "a.csv:2: list index out of range"),
    ],
)
def test_what_cannot_be_used_is_told_by_file_and_line(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(LabelledDataError) as told:
        read_labelled(written(tmp_path, text))
    assert str(told.value).startswith(complaint)
    assert "\n" not in str(told.value)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"timestamp\xff")
    with pytest.raises(LabelledDataError, match="not UTF-8 at byte 9"):
        read_labelled(tmp_path)


def test_a_folder_without_series_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabelledDataError, match="no CSV files"):
        read_labelled(tmp_path)


def test_a_file_that_is_no_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabelledDataError, match="neither a folder nor a tar archive"):
        read_labelled(written(tmp_path, GOOD) / "a.csv")


def test_the_cloud_monitoring_series_are_those_of_the_readme(data_dir: Path) -> None:
    series = read_labelled(data_dir / "cloud-monitoring.tgz")
    assert {each.step_seconds for each in series} == {60.0, 3600.0}
    assert sum(not each.labels.any() for each in series) > 0
