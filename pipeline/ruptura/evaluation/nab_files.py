"""The files of the Numenta Anomaly Benchmark, and their labelled windows."""

from __future__ import annotations

import csv
import math
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from ruptura.evaluation.labelled import Scores
from ruptura.evaluation.nab import Windows, locate

_MOMENT = "%Y-%m-%d %H:%M:%S"


class NabDataError(Exception):
    """The data cannot be used; the text is one line that names the file."""


class NabFile(msgspec.Struct, frozen=True):
    """One series of the benchmark.

    Attributes:
        name: Its path within the benchmark's data.
        times: In seconds since the Unix epoch; the benchmark states no zone.
        values: Finite.
        windows: Labelled, as points.
    """

    name: str
    times: Scores
    values: Scores
    windows: Windows


def read_nab(folder: Path, windows: Path) -> list[NabFile]:
    """Read the files that a file of windows names, in order of name.

    Args:
        folder: Of the data: the names are below it, or below `data` in it.
        windows: JSON: the limits of the windows by name of the file.

    Raises:
        NabDataError: a file is absent or cannot be used.
        OSError: a file cannot be read.
    """
    try:
        limits = msgspec.json.decode(windows.read_bytes(), type=dict[str, list[tuple[str, str]]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NabDataError(f"{windows}: not windows by file: {error}") from None
    if not limits:
        raise NabDataError(f"{windows}: no files in it")
    root = folder / "data" if (folder / "data").is_dir() else folder
    return [_read(root, name, limits[name]) for name in sorted(limits)]


def _read(root: Path, name: str, limits: list[tuple[str, str]]) -> NabFile:
    path = root / name
    if not path.is_file():
        raise NabDataError(f"{path}: absent, though there are windows for it")
    stamps: list[str] = []
    values: list[float] = []
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        next(rows, None)
        for number, row in enumerate(rows, 2):
            try:
                stamp, value = row[0], float(row[1])
                datetime.strptime(stamp, _MOMENT).replace(tzinfo=UTC)
            except (IndexError, ValueError) as error:
                raise NabDataError(f"{path}:{number}: {error}") from None
            if not math.isfinite(value):
                raise NabDataError(f"{path}:{number}: value {row[1]!r}, expected a finite number")
            stamps.append(stamp)
            values.append(value)
    # Windows are written to the microsecond, files to the second.
    spans = [(begin.partition(".")[0], end.partition(".")[0]) for begin, end in limits]
    try:
        located = locate(stamps, spans)
    except ValueError as error:
        raise NabDataError(f"{path}: {error}") from None
    times = [datetime.strptime(s, _MOMENT).replace(tzinfo=UTC).timestamp() for s in stamps]
    return NabFile(name, np.array(times), np.array(values), located)
