"""Where the demo is shown: a live screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ruptura.core.contracts.document import Alert
from ruptura.tools.demo.screen import (
    WIDE,
    Sample,
    alert_counts,
    alert_text,
    channel_lines,
    channel_table,
    clock,
    is_change,
    live_screen,
)
from ruptura.tools.demo.story import Act, Story

_NEXT = """\
next       ruptura replay RECORDING...    the same engine on your recordings, from a file
           ruptura import --help          recordings from exports of your ticket system
           ruptura topics create          then `ruptura worker`, on your own Kafka
           ruptura config example         every setting, with its default and unit"""


class View(Protocol):
    """Where the demo is shown."""

    def act(self, act: Act) -> None:
        """Begin an act."""

    def alerts(self, new: Sequence[Alert]) -> None:
        """Show alerts that have just come, perhaps none."""

    def sample(self, sample: Sample, published: int) -> None:
        """Show what was scraped, and how many records are published."""


class _LiveView:
    """A screen that is drawn again and again."""

    def __init__(
        self, console: Console, live: Live, total: int, zone: ZoneInfo, metrics_url: str
    ) -> None:
        self._console, self._live = console, live
        self._total, self._zone, self._metrics_url = total, zone, metrics_url
        self._act = ""
        self._alerts: list[Alert] = []
        self._sample = Sample()
        self._published = 0

    def act(self, act: Act) -> None:
        self._act = act.text

    def alerts(self, new: Sequence[Alert]) -> None:
        if new:
            self._alerts += new
            self._draw()

    def sample(self, sample: Sample, published: int) -> None:
        self._sample, self._published = sample, published
        self._draw()

    def _draw(self) -> None:
        self._live.update(
            live_screen(
                sample=self._sample,
                act=self._act,
                published=self._published,
                total=self._total,
                alerts=self._alerts,
                zone=self._zone,
                metrics_url=self._metrics_url,
                width=self._console.width,
                height=self._console.height,
            ),
            refresh=True,
        )


class _PlainView:
    """Lines as things happen, and the channels at the end of each act."""

    def __init__(self, console: Console, zone: ZoneInfo) -> None:
        self._console, self._zone = console, zone
        self._sample = Sample()

    def act(self, act: Act) -> None:
        if self._sample.channels:
            _print_channels(self._console, self._sample, self._zone)
        say(self._console, f"-- {act.text}")

    def alerts(self, new: Sequence[Alert]) -> None:
        _print_alerts(self._console, new, self._zone)

    def sample(self, sample: Sample, published: int) -> None:  # noqa: ARG002 - nothing moves here
        self._sample = sample


def is_live(console: Console) -> bool:
    """Whether a console can redraw what it shows."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def view_on(console: Console, total: int, zone: ZoneInfo, metrics_url: str) -> Iterator[View]:
    """Open the view that fits a console.

    Args:
        console: Where to show it.
        total: Records of the recording.
        zone: Zone of the times.
        metrics_url: Where a person finds the metrics meanwhile.
    """
    if not is_live(console):
        yield _PlainView(console, zone)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield _LiveView(console, live, total, zone, metrics_url)


def print_summary(
    console: Console,
    story: Story,
    *,
    sample: Sample,
    alerts: Sequence[Alert],
    seconds: float,
    zone: ZoneInfo,
) -> None:
    """Show what was seen; on a terminal also all that the live screen has shown."""
    _print_channels(console, sample, zone)
    if is_live(console):
        _print_alerts(console, alerts, zone)
    say(console, "")
    channels = len(sample.channels)
    say(console, f"events     {sample.consumed:,} in {seconds:.0f} s, on {channels} channels")
    for line in alert_counts(alerts):
        say(console, line)
    for source in story.sources:
        say(console, f"data       {source}")
    say(console, _NEXT)


def _print_channels(console: Console, sample: Sample, zone: ZoneInfo) -> None:
    say(console, f"channels at {clock(sample.newest, zone)} ({zone.key})")
    if is_live(console):
        console.print(channel_table(sample, wide=console.width >= WIDE))
    else:  # a table of rich would be squeezed into 80 columns
        for line in channel_lines(sample):
            say(console, line)


def _print_alerts(console: Console, alerts: Sequence[Alert], zone: ZoneInfo) -> None:
    for alert in filter(is_change, alerts):
        console.print(alert_text(alert, zone), soft_wrap=not is_live(console), highlight=False)


def say(console: Console, line: str) -> None:
    """Print a text without markup: whole lines to a file or a pipe, whole words to a terminal."""
    console.print(Text(line), soft_wrap=not is_live(console), highlight=False)
