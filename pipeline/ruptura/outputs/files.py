"""Files: alert documents as JSON lines, series as CSV."""

from __future__ import annotations

import csv
from typing import BinaryIO, Final, TextIO

import msgspec

from ruptura.core.contracts.effects import Effects, SeriesPoint
from ruptura.outputs.sink import ImmediateSink
from ruptura.outputs.texts.alerts import alert_document
from ruptura.outputs.texts.times import utc_seconds

_encoder = msgspec.json.Encoder()
_COLUMNS: Final = (
    "service",
    "channel",
    "series",
    "start",
    "observed",
    "expected",
    "lower",
    "upper",
    "score",
    "evidence",
)


class AlertLines(ImmediateSink):
    """Writes alert documents, one a line.

    Args:
        file: Gets them.
        is_pipe: Whether it is read as it is written, and needs each line at once.
    """

    def __init__(self, file: BinaryIO, *, is_pipe: bool = False) -> None:
        self._file = file
        self._is_pipe = is_pipe

    def apply(self, effects: Effects) -> None:
        """Write the alerts of a step."""
        for alert in effects.alerts:
            self._file.write(_encoder.encode(alert_document(alert)) + b"\n")
        if self._is_pipe and effects.alerts:
            self._file.flush()


class SeriesTable(ImmediateSink):
    """Writes every closed bucket of every series as CSV, with a header.

    Args:
        file: Gets it; opened with `newline=""`.
    """

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(_COLUMNS)

    def apply(self, effects: Effects) -> None:
        """Write the closed buckets of a step."""
        self._writer.writerows(map(_row, effects.points))


def _row(point: SeriesPoint) -> tuple[object, ...]:
    return (
        point.service,
        point.channel,
        point.series,
        utc_seconds(point.start),
        point.observed,
        point.expected,
        point.lower,
        point.upper,
        point.score,
        point.evidence,
    )
