"""What a replay leaves behind: alert lines or documents, series as CSV, metrics, a summary."""

from __future__ import annotations

import csv
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TextIO

import msgspec
from prometheus_client import CollectorRegistry, start_http_server
from rich.console import Console

from ruptura.core.contracts.effects import Effects, SeriesPoint
from ruptura.outputs.console import alert_line, utc
from ruptura.outputs.prometheus import Metrics
from ruptura.outputs.summary import Summary

_encoder = msgspec.json.Encoder()
_COLUMNS = (
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


class Report:
    """Takes effects as they come and writes each kind where the user wants it.

    Args:
        console: Where alert lines for people go; None where documents go to `documents`.
        documents: Gets alert documents, one a line; None for none.
        alerts: File that gets alert documents too.
        series: File that gets every closed bucket of every series, as CSV.
        metrics_port: Port on loopback to serve /metrics on; 0 takes a free one, None serves none.
        max_channels: Channels exported one by one.
    """

    def __init__(
        self,
        *,
        console: Console | None,
        documents: BinaryIO | None,
        alerts: Path | None = None,
        series: Path | None = None,
        metrics_port: int | None = None,
        max_channels: int = 2_000,
    ) -> None:
        self._console = console
        self._documents = documents
        self._alerts_path, self._series_path = alerts, series
        self._alerts: BinaryIO | None = None
        self._series: Any = None
        self._metrics: Metrics | None = None
        self._metrics_port = metrics_port
        self._max_channels = max_channels
        self._stack = ExitStack()
        self.metrics_url: str | None = None

    def __enter__(self) -> Self:
        """Open the files and the port; OSError if one cannot be."""
        if self._alerts_path is not None:
            self._alerts = self._stack.enter_context(self._alerts_path.open("wb"))
        if self._series_path is not None:
            file: TextIO = self._stack.enter_context(
                self._series_path.open("w", encoding="utf-8", newline="")
            )
            self._series = csv.writer(file, lineterminator="\n")
            self._series.writerow(_COLUMNS)
        if self._metrics_port is not None:
            registry = CollectorRegistry()
            self._metrics = Metrics(registry, self._max_channels)
            try:
                server, thread = start_http_server(
                    self._metrics_port, addr="127.0.0.1", registry=registry
                )
            except OSError as error:
                self._stack.close()
                raise OSError(
                    error.errno, error.strerror, f"port {self._metrics_port} of 127.0.0.1"
                ) from None
            self._stack.callback(_close, server, thread)
            self.metrics_url = f"http://127.0.0.1:{server.server_port}/metrics"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the files and the port."""
        self._stack.close()

    def apply(self, effects: Effects) -> None:
        """Write the effects of a step."""
        for alert in effects.alerts:
            line = _encoder.encode(alert) + b"\n"
            if self._alerts is not None:
                self._alerts.write(line)
            if self._documents is not None:
                self._documents.write(line)
                self._documents.flush()
            if self._console is not None:
                self._console.print(alert_line(alert), soft_wrap=True, highlight=False)
        if self._series is not None:
            self._series.writerows(map(_row, effects.points))
        if self._metrics is not None:
            self._metrics.apply(effects)


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


def utc_seconds(moment: float) -> str:
    """Write a bucket's start so that every spreadsheet and pandas can read it."""
    return utc(moment).replace("Z", ":00Z").replace(" ", "T")


def summary_lines(summary: Summary, seconds: float) -> list[str]:
    """Return the summary of a run, for people.

    Args:
        summary: What was seen and said.
        seconds: How long the run took, wall-clock.
    """
    rate = summary.records / seconds if seconds > 0 else 0.0
    rejected = sum(summary.rejected.values())
    lines = [
        f"events      {summary.records:,} in {seconds:.1f} s ({rate:,.0f} events/s)",
        f"rejected    {rejected:,}{_by(summary.rejected)}",
        f"late        {summary.late:,}",
        f"duplicates  {summary.duplicates:,}",
        f"buckets     {summary.buckets:,}",
        f"alerts      {sum(summary.alerts.values()):,}{_by(summary.alerts)}",
        f"documents   {sum(summary.documents.values()):,}{_by(summary.documents)}",
    ]
    if summary.misrouted:
        lines.append(f"misrouted   {summary.misrouted:,} (record key is not the service)")
    if summary.evicted:
        lines.append(f"evicted     {summary.evicted:,} open tickets forgotten")
    if summary.last:
        lines.append(f"event time  up to {utc(summary.last)}")
    return lines


def _by(counts: dict[str, int]) -> str:
    inner = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    return f" ({inner})" if inner else ""


def _close(server: Any, thread: threading.Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
