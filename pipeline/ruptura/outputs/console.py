"""What people read on a terminal: alert lines and summaries."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from ruptura.core.contracts.document import Alert, AlertSignal

STATUS_STYLES = {"warning": "yellow", "critical": "bold red", "resolved": "green"}


def alert_line(alert: Alert, zone: ZoneInfo | None = None) -> str:
    """Return one line, with rich's markup, that says what, where, how sure and why.

    Args:
        alert: The document.
        zone: Time zone to write times in; UTC if None.
    """
    style = STATUS_STYLES[alert.status]
    place = escape(f"{alert.service}/{alert.channel}")
    head = (
        f"{_when(alert.updated_at, zone)} [{style}]{alert.status:<8}[/] {alert.kind:<8} {place:<28}"
    )
    if alert.status == "resolved":
        lasted = alert.updated_at - alert.started_at
        return f"{head} {alert.reason} after {lasted}"
    why = "; ".join(_why(signal) for signal in alert.signals[:2])
    return f"{head} risk {alert.risk:.2f}  {why}"


def _why(signal: AlertSignal) -> str:
    arrow = "↑" if signal.direction == "above" else "↓"
    observed = "nothing" if signal.observed is None else f"{signal.observed:.4g}"
    return (
        f"{escape(signal.series)} {arrow} {observed} "
        f"(expected {signal.expected:.3g}, {signal.lower:.3g} to {signal.upper:.3g}), "
        f"evidence {signal.score:.1g}"
    )


def _when(moment: datetime, zone: ZoneInfo | None) -> str:
    return (
        moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")
        if zone
        else (moment.strftime("%Y-%m-%d %H:%MZ"))
    )


Progress = Callable[[int, int, float], None]
"""Gets records, bytes and the event time (seconds since the Unix epoch) so far."""


@contextmanager
def counting(verb: str) -> Iterator[Progress]:
    """Show how far a transfer of unknown length has come, on stderr where that is a terminal."""
    console = Console(stderr=True)
    with RichProgress(
        SpinnerColumn(),
        TextColumn(verb),
        TextColumn("{task.completed:,.0f} records"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[moment]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(verb, total=None, rate="", moment="")

        def progress(records: int, _size: int, moment: float) -> None:
            speed = bar.tasks[0].speed
            bar.update(
                task,
                completed=records,
                rate=f"{speed:,.0f}/s" if speed else "",
                moment=utc(moment),
            )

        yield progress


@contextmanager
def measuring(
    verb: str, total: int, console: Console | None = None
) -> Iterator[Callable[[int, float], None]]:
    """Show how far a run over a known number of records has come.

    Args:
        verb: What is done.
        total: How many records there are.
        console: The terminal that gets other lines meanwhile, which the bar makes room for;
            stderr if None.
    """
    console = console or Console(stderr=True)
    with RichProgress(
        TextColumn(verb),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[moment]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(verb, total=total, rate="", moment="")

        def progress(records: int, moment: float) -> None:
            speed = bar.tasks[0].speed
            bar.update(
                task,
                completed=records,
                rate=f"{speed:,.0f} events/s" if speed else "",
                moment=utc(moment),
            )

        yield progress


def utc(moment: float) -> str:
    """Write a time, in seconds since the Unix epoch, for people; nothing where there is none."""
    if not math.isfinite(moment):
        return ""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%MZ")
