"""Labelled series from CSV files: a folder of them, or a `.tgz` as published."""

from __future__ import annotations

import csv
import io
import math
import tarfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ruptura.evaluation.labelled import LabelledSeries

_COLUMNS = ("timestamp", "value", "label")
_NORMAL, _ANOMALOUS = "0", "1"


class LabelledDataError(Exception):
    """The data cannot be used; the text is one line that names file and line."""


def read_labelled(path: Path) -> list[LabelledSeries]:
    """Read all labelled series under a path, in order of name.

    Args:
        path: A folder with CSV files at any depth, or a tar archive (.tar, .tgz, .tar.gz) of one.
            The columns timestamp, value and label may be spelt in any case and order; times are
            ISO 8601, in UTC where they have no offset; an empty value was not measured; labels are
            0 and 1.

    Raises:
        LabelledDataError: it holds no CSV file, or one that cannot be used.
        OSError: it cannot be read.
    """
    series = [_parse(name, text) for name, text in _texts(path)]
    if not series:
        raise LabelledDataError(f"{path}: no CSV files in it")
    return sorted(series, key=lambda each: each.name)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_dir():
        for file in path.rglob("*.csv"):
            yield str(file.relative_to(path)), _decode(str(file), file.read_bytes())
        return
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if not member.isfile() or not member.name.endswith(".csv"):
                    continue
                content = archive.extractfile(member)
                if content is not None:
                    yield member.name, _decode(member.name, content.read())
    except tarfile.TarError as error:
        raise LabelledDataError(f"{path}: neither a folder nor a tar archive: {error}") from None


def _decode(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelledDataError(f"{name}: not UTF-8 at byte {error.start}") from None


def _parse(name: str, text: str) -> LabelledSeries:
    rows = csv.reader(io.StringIO(text))
    header = [column.strip().lower() for column in next(rows, [])]
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise LabelledDataError(f"{name}:1: no column {missing[0]}, only {', '.join(header)}")
    at = [header.index(column) for column in _COLUMNS]
    points = sorted(_points(name, rows, at), key=lambda point: point[0])
    if not points:
        raise LabelledDataError(f"{name}: no points in it")
    times, values, labels = zip(*points, strict=True)
    return LabelledSeries(
        name, np.array(times, float), np.array(values, float), np.array(labels, bool)
    )


def _points(
    name: str, rows: Iterable[list[str]], at: list[int]
) -> Iterator[tuple[float, float, bool]]:
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        try:
            when, value, label = (row[index].strip() for index in at)
            moment = datetime.fromisoformat(when)
            level = float(value) if value else math.nan
        except (IndexError, ValueError) as error:
            raise LabelledDataError(f"{name}:{number}: {error}") from None
        if label not in {_NORMAL, _ANOMALOUS}:
            raise LabelledDataError(f"{name}:{number}: label {label!r}, expected 0 or 1")
        if value and not math.isfinite(level):
            raise LabelledDataError(f"{name}:{number}: value {value!r}, expected a finite number")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        yield moment.timestamp(), level, label == _ANOMALOUS
