"""From the append of the last record that an alert needed to the alert in a consumer's hands.

Event time runs fast, a bucket in a fraction of a second, so that many buckets close in a run; the
rate is that of the wall clock. Channels break one after the other. The record that an alert needed
is the one that moved the watermark of its partition over the end of the alert's bucket plus the
lateness: the watermark is the slower of the partition's two topics. Both ends are stamped on this
machine: the broker stamps the append, to the millisecond; the consumer takes the wall clock.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from statistics import median
from typing import Any, Self

import msgspec
from confluent_kafka import Consumer, TopicPartition

from ruptura.settings import Settings
from tests.bench import broker
from tests.bench.broker import Ground
from tests.bench.children import BenchError, Child, cpu_seconds
from tests.bench.figures import Outcome, Row, against, percentile
from tests.bench.load import MINUTE, Load
from tests.integration.workers import WorkerProcess

_AIM_MS = 250.0
_RATES = {"alert-latency-p99-1k": 1_000, "alert-latency-p99-20k": 20_000}
_BUCKET_SECONDS = 0.2  # of the wall clock
_BUCKETS = 120
_WARM_UP_BUCKETS = 20
_LEAST_ALERTS = 200
_DRAIN_SECONDS = 45.0

Appended = tuple[str, int, float, float]
"""Topic, partition, time of the append, event time; seconds since the Unix epoch."""


class _Times(msgspec.Struct):
    """What is needed of an input record."""

    occurred_at: datetime


class _Alert(msgspec.Struct):
    """What is needed of an alert."""

    alert_id: str
    sequence: int
    service: str
    updated_at: datetime


class Run(msgspec.Struct, frozen=True):
    """What a run found.

    Attributes:
        latencies: One per alert document, in milliseconds.
        cpu: Share of a core that the worker took.
        behind: How late the pacer was at worst, as it says.
    """

    latencies: list[float]
    cpu: float
    behind: str


def load_at(rate: int) -> Load:
    """The load that has this rate at the wall clock."""
    return Load(
        services=40,
        events_per_bucket=int(rate * _BUCKET_SECONDS),
        minutes=_BUCKETS,
        rupture_every=20,
        rupture_minutes=4,
        rupture_factor=30.0,
        first_rupture=_WARM_UP_BUCKETS + 2,
    )


def measure(ground: Ground, names: frozenset[str], say: Callable[[str], None]) -> Outcome:
    """Measure the named rates in turn."""
    outcome = Outcome([], [])
    for name, rate in _RATES.items():
        if name not in names:
            continue
        found: list[Run] = []
        for _ in range(ground.runs):
            found.append(_run(ground, rate))
            say(
                f"{rate:,}/s: p50 {percentile(found[-1].latencies, 50):.0f} ms, "
                f"p99 {percentile(found[-1].latencies, 99):.0f} ms "
                f"of {len(found[-1].latencies)} alerts; pacer late by {found[-1].behind}"
            )
        pairs = [(percentile(run.latencies, 99), _AIM_MS) for run in found]
        outcome.entries.append(against(name, "ms", "aim: at most", pairs))
        alerts = f"{min(len(run.latencies) for run in found)} alerts a run or more"
        note = f"{alerts}; bucket in {_BUCKET_SECONDS} s; pacer late by {found[-1].behind}"
        p50 = median(percentile(run.latencies, 50) for run in found)
        outcome.rows.append(Row(f"alert latency p50 at {rate:,}/s", p50, "ms", note))
        cpu = median(run.cpu for run in found)
        outcome.rows.append(Row(f"worker at {rate:,}/s", cpu, "cores", ""))
    return outcome


def _run(ground: Ground, rate: int) -> Run:
    load = load_at(rate)
    settings = broker.tuned(
        ground.servers,
        f"latency-{rate}",
        detection={"warm_up_seconds": int(_WARM_UP_BUCKETS * MINUTE)},
        alert={"open_buckets": 1, "resolve_buckets": 1},  # more alerts to be timed
    )
    broker.create(settings, broker_time=True)
    inputs = [settings.topics.tickets, settings.topics.channel_metrics]
    log = ground.folder / f"latency-{rate}.log"
    log.unlink(missing_ok=True)
    arguments = [
        msgspec.json.encode(load).decode(), str(_BUCKET_SECONDS), ground.servers, *inputs
    ]  # fmt: skip
    with WorkerProcess(settings, log) as running, Listener(settings) as listener:
        running.wait_ready()
        before, begun = cpu_seconds(running.process.pid), time.monotonic()
        pacer_log = ground.folder / "pacer.log"
        with Child("tests.bench.pacer", arguments, pacer_log, python=ground.python) as child:
            behind = child.result(_BUCKETS * _BUCKET_SECONDS * 2 + 60.0)
        cpu = (cpu_seconds(running.process.pid) - before) / (time.monotonic() - begun)
        # One that falls behind is measured by the alerts that it came to.
        deadline = time.monotonic() + _DRAIN_SECONDS
        while running.counter("ruptura_events_consumed_total") < load.total:
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        listener.rest()
    needed = moments_needed(_appended(settings, inputs), settings.window.lateness_seconds)
    latencies = list(_latencies(listener.heard, needed, settings.topics.partitions))
    if len(latencies) < _LEAST_ALERTS:
        raise BenchError(f"{len(latencies)} alerts are too few for a 99th percentile")
    return Run(latencies, cpu, behind)


def moments_needed(
    appended: Iterable[Appended], lateness: float
) -> Callable[[int, float], float | None]:
    """Tell when a partition's watermark had passed the end of a bucket.

    Args:
        appended: All input records, those of a source in order.
        lateness: How far the watermark is behind the newest event, in seconds.

    Returns:
        A function of partition and end of bucket: the time of the append of the record that was
        needed, None where none came.
    """
    newest: dict[tuple[int, str], tuple[list[float], list[float]]] = {}
    for topic, partition, at, occurred_at in appended:
        events, appends = newest.setdefault((partition, topic), ([], []))
        if not events or occurred_at > events[-1]:
            events.append(occurred_at)
            appends.append(at)

    def needed(partition: int, end: float) -> float | None:
        latest = 0.0
        for (held, _), (events, appends) in newest.items():
            if held == partition:
                place = bisect_left(events, end + lateness)
                if place == len(events):
                    return None
                latest = max(latest, appends[place])
        return latest or None

    return needed


def _appended(settings: Settings, names: list[str]) -> Iterable[Appended]:
    decoder = msgspec.json.Decoder(_Times)
    for topic, partition, at, value in broker.read_all(settings, names):
        yield topic, partition, at, decoder.decode(value).occurred_at.timestamp()


def _latencies(
    heard: Mapping[tuple[str, int], tuple[float, _Alert]],
    needed: Callable[[int, float], float | None],
    partitions: int,
) -> Iterable[float]:
    """Milliseconds, of alerts whose record came; the rest were closed by ticks at the end."""
    for at, alert in heard.values():
        partition = int(alert.service.removeprefix("loja-")) % partitions
        moment = needed(partition, alert.updated_at.timestamp())
        if moment is not None:
            yield (at - moment) * 1000.0


class Listener:
    """Reads the alerts topic all the time and notes when each document came first.

    Attributes:
        heard: Wall clock and alert, by id and sequence.
    """

    def __init__(self, settings: Settings) -> None:
        self.heard: dict[tuple[str, int], tuple[float, _Alert]] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "group.id": "listener",
                "enable.auto.commit": False,
            }
        )
        self._consumer.assign(
            [
                TopicPartition(settings.topics.alerts, n, 0)
                for n in range(settings.topics.partitions)
            ]
        )
        self._last = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._consumer.close()

    def rest(self, seconds: float = 2.0) -> None:
        """Wait until nothing has come for so long."""
        self._last = time.monotonic()
        while time.monotonic() - self._last < seconds:
            time.sleep(0.1)

    def _listen(self) -> None:
        decoder = msgspec.json.Decoder(_Alert)
        while not self._over.is_set():
            record: Any = self._consumer.poll(0.2)
            if record is None or record.error() is not None:
                continue
            at = time.time()
            self._last = time.monotonic()
            alert = decoder.decode(record.value())
            self.heard.setdefault((alert.alert_id, alert.sequence), (at, alert))
