"""The real command line in processes of its own, and the scenario that the workers see."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

from ruptura.core.contracts.record import Record
from ruptura.files.recording import to_line
from ruptura.outputs.files import AlertLines
from ruptura.settings import Settings
from ruptura.tools.replay import replay
from tests.simulation.contact_centre import (
    HOUR,
    METRICS,
    MINUTE,
    MONDAY,
    TICKETS,
    contacts,
    lives,
    merged,
    metric,
    records,
    ticket,
)

PARTITIONS = 4
SERVICES = tuple(f"loja-{name}" for name in ("aurora", "brisa", "cedro", "flor", "estrela", "foz"))
START, END = MONDAY, MONDAY + 8 * HOUR

T = TypeVar("T")


# The scenario: eight hours of six services, of which some break.


def partition_of(service: str) -> int:
    """Where Kafka's own clients put a key."""
    return int(murmur2(service.encode()) & 0x7FFFFFFF) % PARTITIONS


def _rate(service: str) -> Callable[[float], float]:
    """Contacts per hour: aurora falls silent for half an hour, brisa is flooded."""

    def rate(at: float) -> float:
        hour = (at - START) / HOUR
        if service == SERVICES[0]:
            return 0.0 if 5.0 <= hour < 5.5 else 480.0
        if service == SERVICES[1] and 6.0 <= hour < 6.4:
            return 900.0
        return 150.0

    return rate


def _measured(service: str) -> Iterator[tuple[float, dict[str, Any]]]:
    """Errors of the channel each minute: those of cedro and flor rise for a while."""
    first, last = {SERVICES[2]: (312, 342), SERVICES[3]: (380, 400)}.get(service, (0, 0))
    for minute in range(int((END - START) / MINUTE)):
        at = START + minute * MINUTE + 7.0
        broken = first <= minute < last
        yield (
            at,
            metric(
                at,
                "errors",
                service=service,
                numerator=60 if broken else minute % 3,
                denominator=200,
                event_id=f"{service}-{minute}",
            ),
        )
    yield END, metric(END, "errors", service=service, numerator=1, denominator=200, event_id="end")


@cache
def scenario(seed: int = 1) -> tuple[Record, ...]:
    """All records by time, in the partitions where Kafka will have them."""
    sources: dict[tuple[str, int], list[tuple[float, dict[str, Any]]]] = {}
    for number, service in enumerate(SERVICES):
        moments = contacts(_rate(service), 900.0, START, END - 1.0, seed * 100 + number)
        told = [
            (at, document | {"event_id": f"{service}-{document['event_id']}"})
            for at, document in lives(moments, seed * 100 + number, service=service)
            if at < END
        ]
        # All sources end at one moment, so that none holds the others back.
        told.append((END, ticket(END, 1_000_000, service=service, event_id=f"{service}-end")))
        partition = partition_of(service)
        sources.setdefault((TICKETS, partition), []).extend(told)
        sources.setdefault((METRICS, partition), []).extend(_measured(service))
    made = [
        records(told, topic=topic, partition=partition)
        for (topic, partition), told in sources.items()
    ]
    return tuple(item for item in merged(*made) if isinstance(item, Record))


def tuned(settings: Settings, **worker: object) -> Settings:
    """Settings for tests: a short warm-up, and the shortest time-outs that are allowed."""
    replace = msgspec.structs.replace
    return replace(
        settings,
        kafka=replace(settings.kafka, session_timeout_seconds=6.0),
        detection=replace(settings.detection, warm_up_seconds=2 * 3600),
        worker=replace(settings.worker, web_port=0, **worker),
    )


def write_recording(path: Path, told: Iterable[Record], settings: Settings) -> Path:
    """Write records as a recording, under the names that the topics have in this test."""
    names = {
        TICKETS: settings.topics.tickets,
        METRICS: settings.topics.channel_metrics,
    }
    with path.open("wb") as stream:
        for record in told:
            named = msgspec.structs.replace(record, topic=names[record.topic])
            stream.write(to_line(named) + b"\n")
    return path


class Outcome(msgspec.Struct):
    """What an undisturbed replay leads to, up to the moment to which it can be compared.

    Attributes:
        alerts: Documents by alert and sequence.
        until: A worker that stays up after the recording goes on closing buckets; what it says
            of times after this one is its own.
    """

    alerts: dict[tuple[str, int], bytes]
    until: float

    def comparable(self, documents: Iterable[bytes]) -> dict[tuple[str, int], bytes]:
        """Documents by alert and sequence; those that come twice have to be the same."""
        found: dict[tuple[str, int], bytes] = {}
        for document in documents:
            alert = json.loads(document)
            if seconds(alert["updated_at"]) <= self.until:
                former = found.setdefault((alert["alert_id"], alert["sequence"]), document)
                assert former == document, "one alert and sequence, two documents"
        return found


def replayed(paths: Sequence[Path], settings: Settings, until: float = END - 2 * MINUTE) -> Outcome:
    """Replay recordings in this process."""
    lines = io.BytesIO()
    replay(paths, settings, sink=AlertLines(lines))
    outcome = Outcome({}, until)
    outcome.alerts = outcome.comparable(lines.getvalue().splitlines())
    return outcome


def seconds(text: str) -> float:
    """A moment of a document as Unix time."""
    return datetime.fromisoformat(text).timestamp()


# Processes.


def environment(settings: Settings) -> dict[str, str]:
    """The variables that make a command see these settings."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("RUPTURA_")}
    default = Settings()
    for section in ("kafka", "topics", "window", "detection", "alert", "worker"):
        ours, theirs = getattr(settings, section), getattr(default, section)
        for key in ours.__struct_fields__:
            value = getattr(ours, key)
            if value != getattr(theirs, key):
                variables[f"RUPTURA_{section}__{key}".upper()] = str(value)
    return variables


def ruptura(settings: Settings, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and make sure of its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "ruptura", *arguments],
        env=environment(settings), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def _faulty(fault: str) -> tuple[str, str]:
    return "-c", f"{fault}\nfrom ruptura.cli import main\nmain()"


class WorkerProcess:
    """A worker, with its log.

    Args:
        settings: Of the worker.
        log: Where its output goes; several runs may share it.
        fault: Python that is run first, to make something in it go wrong.
        config: A file of settings, under those that are given.
        options: Further ones of the command line.
    """

    def __init__(
        self,
        settings: Settings,
        log: Path,
        fault: str | None = None,
        config: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self._log = log
        self._seen = log.stat().st_size if log.exists() else 0
        self.started = time.monotonic()
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *(_faulty(fault) if fault else ("-m", "ruptura")),
                    "worker",
                    *options,
                ],
                env=environment(settings) | ({"RUPTURA_CONFIG": str(config)} if config else {}),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def output(self) -> str:
        """All that this run has written."""
        return self._log.read_bytes()[self._seen :].decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log, of which every whole line has to be JSON."""
        return [
            json.loads(line) for line in self.output.splitlines(keepends=True) if line[-1] == "\n"
        ]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log about an event."""
        return [line for line in self.lines if line["event"] == event]

    def url(self, path: str) -> str:
        """The address of a page; waits until the worker has told its port."""
        [start] = self.wait(lambda: self.said("worker starts"))
        return re.sub("/metrics$", path, start["metrics"])

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page; status 0 where nobody answers."""
        try:
            with urllib.request.urlopen(self.url(path), timeout=10) as answer:  # noqa: S310 - an address of ours
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait(self, condition: Callable[[], T], limit: float = 60.0) -> T:
        """Wait until a condition is truthy, and return it; fails if the worker ends first."""
        deadline = time.monotonic() + limit
        while True:
            found = condition()
            if found:
                return found
            assert self.process.poll() is None, f"the worker has ended:\n{self.output}"
            assert time.monotonic() < deadline, f"waited for {limit} s:\n{self.output}"
            time.sleep(0.05)

    def wait_ready(self) -> float:
        """Wait until it is ready; return how long that took since its start, in seconds."""
        self.wait(lambda: self.get("/readyz")[0] == 200)
        return time.monotonic() - self.started

    def counter(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels, now."""
        return sum(
            value
            for found, having, value in samples(self.get("/metrics")[1])
            if found == name and labels.items() <= having.items()
        )

    def wait_consumed(self, least: float) -> None:
        """Wait until it has consumed so many records in this run."""
        self.wait(lambda: self.counter("ruptura_events_consumed_total") >= least)

    def stop(self, number: signal.Signals = signal.SIGTERM, limit: float = 40.0) -> float:
        """Stop it in order, and make sure of its exit code; return how long that took."""
        asked = time.monotonic()
        self.process.send_signal(number)
        assert self.process.wait(limit) == 0, self.output
        return time.monotonic() - asked

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def worker(settings: Settings, log: Path, *options: str) -> Iterator[WorkerProcess]:
    """A worker that is ready; killed at the end if it still runs."""
    with WorkerProcess(settings, log, options=options) as running:
        running.wait_ready()
        yield running


_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each sample of a page of metrics."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            found = _SAMPLE.match(line)
            assert found, line
            yield found[1], dict(_LABEL.findall(found[2] or "")), float(found[3])


# Topics, read back.


def read_topic(settings: Settings, topic: str) -> list[Any]:
    """All records of a topic, by kafka-python, in the order of their partitions."""
    with KafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    ) as consumer:
        partitions = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found: list[Any] = []
        for _ in count():
            if all(consumer.position(tp) >= end for tp, end in ends.items()):
                return sorted(found, key=lambda r: (r.partition, r.offset))
            for batch in consumer.poll(500).values():
                found.extend(batch)
    raise AssertionError


def alerts_on(settings: Settings) -> list[bytes]:
    """The values of the alerts topic."""
    return [record.value for record in read_topic(settings, settings.topics.alerts)]


def in_order(documents: Mapping[tuple[str, int], bytes]) -> list[bytes]:
    """Documents by service, alert and sequence."""

    def key(document: bytes) -> tuple[str, str, int]:
        alert = json.loads(document)
        return alert["service"], alert["alert_id"], alert["sequence"]

    return sorted(documents.values(), key=key)


def wait_for_alerts(running: WorkerProcess, settings: Settings, expected: Outcome) -> None:
    """Wait until the worker has published at least what a replay did."""
    running.wait(lambda: expected.alerts.keys() <= expected.comparable(alerts_on(settings)).keys())
