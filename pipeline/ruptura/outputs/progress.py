"""How far a run has come, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from ruptura.outputs.texts.times import utc

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
