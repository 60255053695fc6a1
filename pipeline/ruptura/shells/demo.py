"""The demo: a bundled recording of real events through an embedded broker and a real worker."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ruptura.core.document import Alert
from ruptura.settings import load
from ruptura.shells.demo_kafka import Inbox, Player, open_inbox
from ruptura.shells.demo_screen import (
    WIDE,
    Sample,
    alert_counts,
    alert_text,
    channel_lines,
    channel_table,
    clock,
    is_change,
    live_screen,
    read_sample,
)
from ruptura.shells.demo_story import Act, Schedule, Story, load_story
from ruptura.shells.demo_worker import COMMAND, DemoWorker, WorkerError, running_worker
from ruptura.shells.embedded import PARTITIONS, EmbeddedBrokerError, embedded_broker
from ruptura.shells.interrupt import stop_on_signals
from ruptura.shells.recording import read_positions

FOLDER = Path(__file__).resolve().parents[1] / "demo"
LIMIT_SECONDS = 55.0

_SCRAPE_SECONDS = 0.5
_STEP_SECONDS = 0.03
_SETTLE_SECONDS = 2.0
_FAILURE, _INTERRUPTED = 1, 130
_NEXT = """\
next       ruptura replay RECORDING...    the same engine on your recordings, from a file
           ruptura import --help          recordings from exports of your ticket system
           ruptura topics create          then `ruptura worker`, on your own Kafka
           ruptura config show            every setting, with its default and unit"""


class _Interrupted(Exception):  # noqa: N818 - not an error: the user has seen enough
    """The user asked to stop."""


class _TooSlow(Exception):  # noqa: N818 - says what it is
    """The time limit has passed; the text says where."""


class _View(Protocol):
    """Where the demo is shown."""

    def act(self, act: Act, sample: Sample) -> None: ...

    def alerts(self, new: Sequence[Alert]) -> None: ...

    def sample(self, sample: Sample, published: int) -> None: ...


class _Limit:
    """Waits that end early when the user wants to stop, or the time is up."""

    def __init__(self, stop: threading.Event, seconds: float) -> None:
        self._stop = stop
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def wait(self, seconds: float, doing: str) -> None:
        if self._stop.wait(seconds):
            raise _Interrupted
        if time.monotonic() > self._deadline:
            raise _TooSlow(f"{doing} for too long: the demo may take {self._seconds:g} s")


def run_demo(
    console: Console,
    *,
    seconds: float | None = None,
    limit_seconds: float = LIMIT_SECONDS,
    folder: Path = FOLDER,
    worker: Sequence[str] = COMMAND,
) -> int:
    """Show Ruptura at work; leave nothing running and no files behind.

    On a terminal the screen is live; elsewhere the same is written as plain lines.

    Args:
        console: Where to show it.
        seconds: How long the recording plays; None: as its story says.
        limit_seconds: How long all of it may take, stopping not counted.
        folder: With `story.toml` and the files that it names.
        worker: Command of the worker, to which `--config FILE` is added.

    Returns:
        The exit code: 0, 1 if the broker or the worker failed, 130 if the user stopped it.
    """
    try:
        with ExitStack() as stack:
            stop = stack.enter_context(stop_on_signals())
            limit = _Limit(stop, limit_seconds)
            ending = stack.enter_context(_scene(console, seconds, folder, worker, limit))
        ending()
    except _Interrupted:
        console.print("Interrupted; worker and broker are stopped.")
        return _INTERRUPTED
    except (EmbeddedBrokerError, WorkerError, _TooSlow) as error:
        console.print(f"ruptura: {error}", style="red", markup=False, soft_wrap=True)
        return _FAILURE
    return 0


@contextmanager
def _scene(
    console: Console, seconds: float | None, folder: Path, command: Sequence[str], limit: _Limit
) -> Iterator[Callable[[], None]]:
    """Play everything; give what prints the ending once all is stopped."""
    story = load_story(folder)
    config = folder / story.settings
    settings = load(config, {})
    recording = folder / story.recording
    moments = [p.ts / 1000 for batch in read_positions(recording) for p in batch]
    schedule = Schedule(story.acts, moments[0], seconds)
    zone = ZoneInfo(story.time_zone)
    _say(console, f"Ruptura demo: {story.what}.")
    with ExitStack() as stack:
        scratch = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="ruptura-demo-"))
        )
        broker = stack.enter_context(embedded_broker())
        _say(console, f"broker     {broker} (embedded, in memory)")
        player = Player(broker, recording, schedule.due)
        stack.callback(player.close)
        topics = settings.topics
        player.make_topics(
            [topics.tickets, topics.channel_metrics, topics.alerts, topics.dead_letter]
        )
        inbox = stack.enter_context(open_inbox(broker, topics.alerts, PARTITIONS))
        running = stack.enter_context(
            running_worker(
                command,
                config=config,
                bootstrap_servers=broker,
                folder=scratch,
                environment=os.environ,
            )
        )
        _say(console, f"metrics    {running.metrics_url} (open it while this runs)")
        with console.status("starting the worker") if _is_live(console) else ExitStack():
            _await_ready(running, limit)
        began = time.monotonic()
        with _view(console, len(moments), zone, running.metrics_url) as view:
            sample = _play(player, inbox, running, schedule, view, limit)
        played = time.monotonic() - began
        with console.status("stopping") if _is_live(console) else ExitStack():
            stack.close()

    def ending() -> None:
        _summary(console, story, sample, inbox.alerts, played, zone)

    yield ending


def _await_ready(worker: DemoWorker, limit: _Limit) -> None:
    try:
        while not worker.is_ready():
            limit.wait(0.1, "the worker was starting")
    except _TooSlow as error:
        raise worker.failure(str(error)) from None


def _play(
    player: Player,
    inbox: Inbox,
    worker: DemoWorker,
    schedule: Schedule,
    view: _View,
    limit: _Limit,
) -> Sample:
    """Play the recording to its end, and wait until the worker has seen all of it."""
    began = time.monotonic()
    sample = Sample()
    act: Act | None = None
    next_scrape = 0.0
    settled: float | None = None
    while settled is None or time.monotonic() < settled:
        second = time.monotonic() - began
        player.play(second)
        if player.failed is not None:
            raise worker.failure(f"the embedded broker refused a record: {player.failed}")
        view.alerts(inbox.fetch())
        if second >= next_scrape:
            next_scrape = second + _SCRAPE_SECONDS
            text = worker.metrics()
            if text is not None:
                sample = read_sample(text)
            now = schedule.act(player.moment) if player.moment is not None else None
            if now is not None and now is not act:
                act = now
                view.act(act, sample)
            view.sample(sample, player.sent)
            if settled is None and player.is_done and sample.consumed >= player.sent:
                # What is quiet now still has to be known as quiet, so that its buckets close.
                settled = time.monotonic() + _SETTLE_SECONDS
        limit.wait(_STEP_SECONDS, f"the worker was at {sample.consumed:,} of {player.sent:,} events")
    view.alerts(inbox.fetch())
    return sample


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

    def act(self, act: Act, sample: Sample) -> None:
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
        self._begun = False

    def act(self, act: Act, sample: Sample) -> None:
        if self._begun:
            _print_channels(self._console, sample, self._zone)
        self._begun = True
        _say(self._console, f"-- {act.text}")

    def alerts(self, new: Sequence[Alert]) -> None:
        _print_alerts(self._console, new, self._zone)

    def sample(self, sample: Sample, published: int) -> None:
        """Wait for the end of the act."""


def _is_live(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def _view(console: Console, total: int, zone: ZoneInfo, metrics_url: str) -> Iterator[_View]:
    if not _is_live(console):
        yield _PlainView(console, zone)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield _LiveView(console, live, total, zone, metrics_url)


def _summary(
    console: Console,
    story: Story,
    sample: Sample,
    alerts: Sequence[Alert],
    seconds: float,
    zone: ZoneInfo,
) -> None:
    """Tell what was seen; on a terminal also all that the live screen has shown."""
    _print_channels(console, sample, zone)
    if _is_live(console):
        _print_alerts(console, alerts, zone)
    _say(console, "")
    _say(console, f"events     {sample.consumed:,} in {seconds:.0f} s, on {len(sample.channels)} channels")
    for line in alert_counts(alerts):
        _say(console, line)
    for source in story.sources:
        _say(console, f"data       {source}")
    _say(console, _NEXT)


def _print_channels(console: Console, sample: Sample, zone: ZoneInfo) -> None:
    _say(console, f"channels at {clock(sample.newest, zone)} ({zone.key})")
    if _is_live(console):
        console.print(channel_table(sample, wide=console.width >= WIDE))
    else:  # a table of rich would be squeezed into 80 columns
        for line in channel_lines(sample):
            _say(console, line)


def _print_alerts(console: Console, alerts: Sequence[Alert], zone: ZoneInfo) -> None:
    for alert in filter(is_change, alerts):
        console.print(alert_text(alert, zone), soft_wrap=True, highlight=False)


def _say(console: Console, line: str) -> None:
    console.print(Text(line), soft_wrap=True, highlight=False)
