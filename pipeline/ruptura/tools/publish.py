"""Publish recordings to Kafka, in the order of their times, spaced as they were or faster."""

from __future__ import annotations

import heapq
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.serializer import Serializer

from ruptura.clients import producer_client, topic_partitions
from ruptura.core.contracts.event import DOCUMENT_KINDS
from ruptura.core.contracts.record import Record
from ruptura.files.recording import (
    Envelope,
    Position,
    read_envelopes,
    read_positions,
    to_line,
    to_record,
)
from ruptura.settings import Settings, TopicSettings
from ruptura.tools.interrupt import stop_on_signals

_IN_FLIGHT_BYTES = 32 << 20
_RECORD_OVERHEAD_BYTES = 500
_DELIVERY_SECONDS = 60.0
_BATCH_BYTES = 256 << 10
_LINGER_MS = 20
_PROGRESS_RECORDS = 1000

Progress = Callable[[int, int, float], None]
"""Told now and then: records and bytes sent so far, time of the newest record in Unix seconds."""


class PublishError(Exception):
    """Nothing more can be published; the text says why."""


class PublishSummary(msgspec.Struct, frozen=True):
    """What became of the recordings.

    Attributes:
        records: Records that the brokers acknowledged, all replicas in sync.
        bytes: Keys and payloads of what was sent, acknowledged or not.
        failed: Records that they did not.
        failures: The same by cause.
        seconds: How long it took.
        ended: What ended it: the end of the recordings, the user, or brokers that were silent for
            a minute.
    """

    records: int
    bytes: int
    failed: int
    failures: dict[str, int]
    seconds: float
    ended: Literal["end", "interrupted", "unavailable"]


class Pace:
    """When to send what: the spacing of the recording, divided by a speed.

    Args:
        speed: How many seconds of the recording pass in one; None means without waiting.
        now: The clock, in seconds.
    """

    def __init__(self, speed: float | None, now: Callable[[], float]) -> None:
        if speed is not None and not speed > 0:
            raise PublishError(f"the speed must be above 0, not {speed:g}")
        self._speed = speed
        self._now = now
        self._first: tuple[float, float] | None = None

    def delay(self, recorded: float) -> float:
        """Seconds to wait before a record of time `recorded`; 0 where its time has come."""
        if self._speed is None:
            return 0.0
        if self._first is None:
            self._first = recorded, self._now()
        start, began = self._first
        return max(0.0, began + (recorded - start) / self._speed - self._now())


def renames(topics: TopicSettings) -> dict[str, str]:
    """From the default names of the topics to those of the settings."""
    default = TopicSettings()
    names = (*DOCUMENT_KINDS, "alerts", "dead_letter")
    return {getattr(default, name): getattr(topics, name) for name in names}


def in_order(recordings: Sequence[Path], scratch: Path) -> Iterator[tuple[int, Envelope]]:
    """Merge recordings by time, each record with its time in milliseconds.

    The order within a partition stays as recorded: a record whose time runs backwards takes the
    time of the one before. Memory holds a megabyte of each file, however long.

    Args:
        recordings: The files.
        scratch: A folder for what must be sorted: a recording which holds one partition after
            the other is split there, uncompressed.

    Raises:
        RecordingError: a file is not a recording.
    """
    streams: list[Iterator[tuple[int, Envelope]]] = []
    for number, path in enumerate(recordings):
        if _sorted(path):
            streams.append(_timed(path))
        else:
            folder = scratch / str(number)
            folder.mkdir()
            streams.extend(_timed(part) for part in _split(path, folder))
    return heapq.merge(*streams, key=lambda pair: pair[0])


def publish(
    settings: Settings,
    recordings: Sequence[Path],
    speed: float | None = None,
    *,
    keep_partitions: bool = False,
    keep_timestamps: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> PublishSummary:
    """Send the records of recordings to Kafka: key, value and headers as they are.

    The default names of topics become those of the settings; other names stay. Kafka's default
    partitioner (murmur2 of the key, as in Java) chooses partitions, unless they are kept.

    Args:
        settings: Where Kafka is, and the names of the topics.
        recordings: Files of envelopes; several are merged by time.
        speed: Seconds of the recording in a second of time, above 0; None: as fast as it goes.
        keep_partitions: Whether to send to the partition of the recording.
        keep_timestamps: Whether records keep their times; otherwise they are of now. A broker
            deletes what is older than its retention.
        progress: Told every thousand records, before each wait, and at the end.
        stop: Ends the publishing when set; None makes SIGINT and SIGTERM do so. What was sent is
            still delivered.

    Raises:
        KafkaUnavailable: no broker answers at the start within 10 s.
        SettingsError: the settings of the connection cannot be used.
        RecordingError: a file is not a recording; what came before it is delivered.
        PublishError: a topic does not exist, or the speed is not above 0.
    """
    pace = Pace(speed, time.monotonic)
    sizes = topic_partitions(settings.kafka)
    with ExitStack() as stack:
        stop = stop or stack.enter_context(stop_on_signals())
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="ruptura-publish-"))
        stream = in_order(recordings, Path(scratch))
        producer = stack.enter_context(
            producer_client(
                settings.kafka,
                acks="all",
                batch_size=_BATCH_BYTES,
                linger_ms=_LINGER_MS,
                delivery_timeout_ms=round(_DELIVERY_SECONDS * 1000),
                request_timeout_ms=round(_DELIVERY_SECONDS * 500),
                max_block_ms=round(_DELIVERY_SECONDS * 1000),
                allow_auto_create_topics=False,
                value_serializer=_Values(),
            )
        )
        sender = _Sender(
            producer,
            renames(settings.topics),
            sizes,
            keep_partitions=keep_partitions,
            keep_timestamps=keep_timestamps,
        )
        return _run(stream, sender, pace, progress, stop)


def _run(
    stream: Iterator[tuple[int, Envelope]],
    sender: _Sender,
    pace: Pace,
    progress: Progress | None,
    stop: threading.Event,
) -> PublishSummary:
    started = time.monotonic()
    report = progress or (lambda *_: None)
    recorded = 0.0
    try:
        for milliseconds, envelope in stream:
            recorded = milliseconds / 1000
            wait = pace.delay(recorded)
            if wait > 0:
                report(sender.sent, sender.bytes, recorded)
                stop.wait(wait)
            if stop.is_set() or sender.lost:
                break
            sender.send(to_record(envelope))
            if sender.sent % _PROGRESS_RECORDS == 0:
                report(sender.sent, sender.bytes, recorded)
    finally:
        sender.settle()
    report(sender.sent, sender.bytes, recorded)
    return PublishSummary(
        sender.sent - sender.failures.total(),
        sender.bytes,
        sender.failures.total(),
        dict(sender.failures),
        time.monotonic() - started,
        "unavailable" if sender.lost else "interrupted" if stop.is_set() else "end",
    )


class _Sender:
    """Sends records, and knows what became of each; holds at most 32 MB unacknowledged.

    kafka-python's producer has no bound of its own since its version 3.
    """

    def __init__(
        self,
        producer: KafkaProducer,
        names: dict[str, str],
        sizes: dict[str, int],
        *,
        keep_partitions: bool,
        keep_timestamps: bool,
    ) -> None:
        self._producer = producer
        self._names = names
        self._sizes = sizes
        self._keep_partitions = keep_partitions
        self._keep_timestamps = keep_timestamps
        self._open: deque[tuple[Any, int]] = deque()
        self._open_bytes = 0
        self.sent = 0
        self.bytes = 0
        self.failures: Counter[str] = Counter()
        self.lost = False

    def send(self, record: Record) -> None:
        topic = self._names.get(record.topic, record.topic)
        if topic not in self._sizes:
            raise PublishError(f"no such topic: {topic}")
        size = len(record.key or b"") + len(record.value or b"")
        self.sent += 1
        self.bytes += size
        if self._keep_partitions and record.partition >= self._sizes[topic]:
            self.failures[f"{topic} has no partition {record.partition}"] += 1
            return
        try:
            future = self._producer.send(
                topic,
                _NO_VALUE if record.value is None else record.value,
                record.key,
                list(record.headers),
                record.partition if self._keep_partitions else None,
                round(record.timestamp * 1000) if self._keep_timestamps else None,
            )
        except KafkaError as error:  # too large for a request, for example
            self.failures[type(error).__name__] += 1
            return
        self._open.append((future, size + _RECORD_OVERHEAD_BYTES))
        self._open_bytes += size + _RECORD_OVERHEAD_BYTES
        while self._open and (self._open_bytes > _IN_FLIGHT_BYTES or self._open[0][0].is_done):
            self._close_oldest()
            if self.lost:
                return

    def settle(self) -> None:
        """Wait until each record is acknowledged or given up, at most a minute."""
        deadline = time.monotonic() + (0.0 if self.lost else _DELIVERY_SECONDS)
        while self._open:
            self._close_oldest(max(0.0, deadline - time.monotonic()))

    def _close_oldest(self, seconds: float = _DELIVERY_SECONDS) -> None:
        future, size = self._open.popleft()
        self._open_bytes -= size
        try:
            future.get(seconds)
        except KafkaError as error:
            self.failures[type(error).__name__] += 1
            # The brokers were silent for a minute: to go on would take as long for every 32 MB.
            self.lost = self.lost or isinstance(error, KafkaTimeoutError)


class _NoValue:
    """Stands for a null value: the producer itself refuses a record of null key and value."""


_NO_VALUE = _NoValue()


class _Values(Serializer):  # type: ignore[misc]  # kafka-python ships no types
    def serialize(
        self, _topic: str, _headers: list[tuple[str, bytes]], data: bytes | _NoValue
    ) -> bytes | None:
        return None if isinstance(data, _NoValue) else data


def _sorted(path: Path) -> bool:
    latest: dict[tuple[str, int], int] = {}
    newest = 0
    for batch in read_positions(path):
        for position in batch:
            moment = _moment(latest, position)
            if moment < newest:
                return False
            newest = moment
    return True


def _timed(path: Path) -> Iterator[tuple[int, Envelope]]:
    latest: dict[tuple[str, int], int] = {}
    for batch in read_envelopes(path):
        for envelope in batch:
            yield _moment(latest, envelope), envelope


def _moment(latest: dict[tuple[str, int], int], position: Envelope | Position) -> int:
    """The newest time seen in the record's partition, in milliseconds."""
    source = position.topic, position.partition
    moment = max(position.ts, latest.get(source, 0))
    latest[source] = moment
    return moment


def _split(path: Path, folder: Path) -> list[Path]:
    """Write each partition of a recording to a file of its own, in first-seen order."""
    parts: dict[tuple[str, int], Path] = {}
    with ExitStack() as stack:
        files: dict[tuple[str, int], Any] = {}
        for batch in read_envelopes(path):
            for envelope in batch:
                source = envelope.topic, envelope.partition
                if source not in files:
                    parts[source] = folder / f"{len(parts)}.jsonl"
                    files[source] = stack.enter_context(parts[source].open("wb"))
                files[source].write(to_line(to_record(envelope)) + b"\n")
    return list(parts.values())
