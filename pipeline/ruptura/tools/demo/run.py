"""The demo: a bundled recording of real events through an embedded broker and a real worker."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console

from ruptura.files.recording import read_positions
from ruptura.settings import load
from ruptura.tools.demo.embedded import PARTITIONS, EmbeddedBrokerError, embedded_broker
from ruptura.tools.demo.kafka import AlertConsumer, Player, open_alert_consumer
from ruptura.tools.demo.screen import Sample, read_sample
from ruptura.tools.demo.story import Act, Schedule, load_story
from ruptura.tools.demo.view import View, is_live, print_summary, say, view_on
from ruptura.tools.demo.worker import COMMAND, DemoWorker, WorkerError, running_worker
from ruptura.tools.interrupt import stop_on_signals

FOLDER = Path(__file__).resolve().parent / "recorded"
LIMIT_SECONDS = 55.0

_SCRAPE_SECONDS = 0.5
_STEP_SECONDS = 0.03
_SETTLE_SECONDS = 2.0
_FAILURE, _INTERRUPTED = 1, 130


class _Interrupted(Exception):  # noqa: N818 - not an error: the user has seen enough
    """The user asked to stop."""


class _TooSlow(Exception):  # noqa: N818 - says what it is
    """The time limit has passed; the text says where."""


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
    say(console, f"Ruptura demo: {story.what}.")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ruptura-demo-")))
        broker = stack.enter_context(embedded_broker())
        say(console, f"broker     {broker} (embedded, in memory)")
        player = Player(broker, recording, schedule.due)
        stack.callback(player.close)
        topics = settings.topics
        player.make_topics([*topics.inputs.values(), *topics.outputs.values()])
        consumer = stack.enter_context(open_alert_consumer(broker, topics.alerts, PARTITIONS))
        running = stack.enter_context(
            running_worker(
                command,
                config=config,
                bootstrap_servers=broker,
                folder=scratch,
                environment=os.environ,
            )
        )
        say(console, f"metrics    {running.metrics_url} (open it while this runs)")
        with console.status("starting the worker") if is_live(console) else ExitStack():
            _await_ready(running, limit)
        began = time.monotonic()
        with view_on(console, len(moments), zone, running.metrics_url) as view:
            sample = _play(
                player=player,
                consumer=consumer,
                worker=running,
                schedule=schedule,
                view=view,
                limit=limit,
            )
        played = time.monotonic() - began
        with console.status("stopping") if is_live(console) else ExitStack():
            stack.close()

    def ending() -> None:
        print_summary(
            console, story, sample=sample, alerts=consumer.alerts, seconds=played, zone=zone
        )

    yield ending


def _await_ready(worker: DemoWorker, limit: _Limit) -> None:
    try:
        while not worker.is_ready():
            limit.wait(0.1, "the worker was starting")
    except _TooSlow as error:
        raise worker.failure(str(error)) from None


def _play(
    *,
    player: Player,
    consumer: AlertConsumer,
    worker: DemoWorker,
    schedule: Schedule,
    view: View,
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
        view.alerts(consumer.fetch())
        if second >= next_scrape:
            next_scrape = second + _SCRAPE_SECONDS
            text = worker.metrics()
            if text is not None:
                sample = read_sample(text)
            now = schedule.act(player.moment) if player.moment is not None else None
            if now is not None and now is not act:
                act = now
                view.act(act)
            view.sample(sample, player.sent)
            if settled is None and player.is_done and sample.consumed >= player.sent:
                # What is quiet now still has to be known as quiet, so that its buckets close.
                settled = time.monotonic() + _SETTLE_SECONDS
        doing = f"the worker was at {sample.consumed:,} of {player.sent:,} events"
        limit.wait(_STEP_SECONDS, doing)
    view.alerts(consumer.fetch())
    return sample
