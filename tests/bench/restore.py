"""A restart with 10,000 channels: from the start of the process, and from the group, to ready."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from statistics import median

import msgspec

from ruptura.settings import Settings
from tests.bench import broker
from tests.bench.broker import Ground, Standing
from tests.bench.children import BenchError, cpu_seconds, resident_bytes
from tests.bench.figures import Outcome, Row, against
from tests.bench.load import METRICS, MINUTE, START, TICKETS, Message
from tests.bench.memory import events
from tests.integration.workers import WorkerProcess

_AIM_SECONDS = 10.0
_CHANNELS = 10_000
_MINUTES = 4  # of which all but the last two are closed, so that every series exists
_FILL_SECONDS = 300.0
_READY_SECONDS = 120.0
_CHECK_SECONDS = 0.05

_encode = msgspec.json.Encoder().encode


class Restart(msgspec.Struct, frozen=True):
    """How long it took.

    Attributes:
        whole: From the start of the process to ready, in seconds.
        settled: From the group being stable at the broker to ready, in seconds.
        cpu: Of the worker, in seconds.
    """

    whole: float
    settled: float
    cpu: float


def load(channels: int = _CHANNELS, minutes: int = _MINUTES) -> Iterator[Message]:
    """Minutes of many channels, ten to a service: tickets and metrics, nine events each."""
    for minute in range(minutes):
        at = START + minute * MINUTE + 5.0
        for channel in range(channels):
            for document in events(channel, minute):
                kind = METRICS if "metric" in document else TICKETS
                key = str(document["service"]).encode()
                yield Message(kind, channel // 10 % 4, key, _encode(document), at)


def measure(ground: Ground, _names: frozenset[str], say: Callable[[str], None]) -> Outcome:
    """Fill a worker once, then start it anew so many times as there are runs."""
    settings = broker.tuned(ground.servers, "restore")
    # By the broker's time these events are of now: else the worker, once it has read all, would
    # close the buckets of the months since.
    broker.create(settings, broker_time=True)
    client = broker.producer(settings, 50.0)
    total = 0
    for message in load():
        broker.send(client, settings, message)
        total += 1
        if not total % 10_000:
            client.poll(0)
    if client.flush(60):
        raise BenchError("the broker does not take the load")
    standing = Standing(settings, (settings.topics.tickets, settings.topics.channel_metrics))
    say(f"a worker takes {total:,} events of {_CHANNELS:,} channels")
    begun = time.monotonic()
    with WorkerProcess(settings, ground.folder / "restore.log") as running:
        running.wait(lambda: standing.committed() >= total, _FILL_SECONDS)
        say(f"taken and checkpointed after {time.monotonic() - begun:.0f} s")
        resident = resident_bytes(running.process.pid)
        running.stop()
    found = []
    for run in range(ground.runs):
        found.append(_restart(settings, standing, ground, run))
        restart = found[-1]
        say(f"ready after {restart.whole:.2f} s, {restart.settled:.2f} s after the group settled")
    pairs = [(restart.whole, _AIM_SECONDS) for restart in found]
    entry = against("restore-10k-channels", "seconds", "aim: at most, start to ready", pairs)
    note = f"{_CHANNELS:,} channels"
    rows = [
        Row("restore, settled group to ready", median(r.settled for r in found), "seconds", note),
        Row("restore, CPU", median(r.cpu for r in found), "seconds", note),
        Row("worker before the restart", resident / 1e6, "MB resident", note),
    ]
    return Outcome([entry], rows)


def _restart(settings: Settings, standing: Standing, ground: Ground, run: int) -> Restart:
    log = ground.folder / f"restore-{run}.log"
    settled = 0.0
    with WorkerProcess(settings, log) as running:
        deadline = running.started + _READY_SECONDS
        while not _is_ready(running):
            if not settled and standing.is_settled():
                settled = time.monotonic()
            if running.process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"it is not ready in time:\n{running.output[-2000:]}")
            time.sleep(_CHECK_SECONDS)
        ready = time.monotonic()
        cpu = cpu_seconds(running.process.pid)
        services = sum(line["services"] for line in running.said("partition adopted"))
        if services != _CHANNELS // 10:
            raise BenchError(f"{services} services are restored, not {_CHANNELS // 10}")
        running.stop()
    return Restart(ready - running.started, ready - (settled or ready), cpu)


def _is_ready(running: WorkerProcess) -> bool:
    """Ask once, in no time: a worker that restores may not answer."""
    found = re.search(r"http://[^\"/]+/metrics", running.output)
    if found is None:
        return False
    address = found[0].replace("/metrics", "/readyz")
    try:
        with urllib.request.urlopen(address, timeout=0.5) as answer:  # noqa: S310 - an address of ours
            return bool(answer.status == 200)
    except OSError:
        return False
