"""What a replay leaves behind: the sinks that the user asks for, composed."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from rich.console import Console

from ruptura.outputs.console import AlertConsole
from ruptura.outputs.files import AlertLines, SeriesTable
from ruptura.outputs.metrics_server import served_metrics
from ruptura.outputs.sink import Sink, Sinks


class Report(Sinks):
    """Sinks for each kind of output that the user wants.

    Args:
        console: Where alert lines for people go; None where documents go to `documents`.
        documents: Gets alert documents, one a line; None for none.
        alerts: File that gets alert documents too.
        series: File that gets every closed bucket of every series, as CSV.
        metrics_port: Port on loopback to serve /metrics on; 0 takes a free one, None serves none.
        max_channels: Channels exported one by one.

    Attributes:
        metrics_url: Where metrics are served; None where they are not.

    Raises:
        OSError: a file cannot be opened, or the port cannot be had.
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
        sinks: list[Sink] = []
        self.metrics_url: str | None = None
        with ExitStack() as stack:
            if alerts is not None:
                sinks.append(AlertLines(stack.enter_context(alerts.open("wb"))))
            if documents is not None:
                sinks.append(AlertLines(documents, is_pipe=True))
            if console is not None:
                sinks.append(AlertConsole(console))
            if series is not None:
                file = series.open("w", encoding="utf-8", newline="")
                sinks.append(SeriesTable(stack.enter_context(file)))
            if metrics_port is not None:
                metrics, self.metrics_url = stack.enter_context(
                    served_metrics(metrics_port, max_channels)
                )
                sinks.append(metrics)
            self._stack = stack.pop_all()
        super().__init__(*sinks)

    def __enter__(self) -> Self:
        """Return the report."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the files and the port."""
        self._stack.close()
