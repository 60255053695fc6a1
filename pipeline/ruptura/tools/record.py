"""Write what passes on topics to a recording, in the envelope that `kcat -C -J` prints.

What was written stays readable whenever the process dies: the file only grows by whole blocks of
lines, each compressed on its own (a gzip member, a zstd frame) and synced to the disk. Reading
disturbs nobody: no consumer group, no commits.
"""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
import zstandard
from kafka import KafkaConsumer, TopicPartition

from ruptura.clients import consumer_client, topic_partitions
from ruptura.core.contracts.record import Record
from ruptura.files.recording import to_line
from ruptura.settings import Settings
from ruptura.tools.interrupt import stop_on_signals

_BLOCK_BYTES = 1 << 20
_FLUSH_SECONDS = 1.0
_POLL_MS = 100
_POLL_RECORDS = 2000
_LOG_APPEND_TIME = 1

Progress = Callable[[int, int, float], None]
"""Told after each batch: records and bytes written so far, newest record time in Unix seconds."""


Reason = Literal["count", "time", "end", "interrupted"]


class RecordError(Exception):
    """The recording cannot be made; the text says why."""


class RecordSummary(msgspec.Struct, frozen=True):
    """What a recording holds.

    Attributes:
        records: Lines written.
        bytes: Their size before compression.
        by_topic: Lines by topic.
        seconds: How long it took.
        reason: What ended it: the count, the time, the end of the topics, or the user.
    """

    records: int
    bytes: int
    by_topic: dict[str, int]
    seconds: float
    reason: Reason


class BlockWriter:
    """A file of lines that grows by whole blocks only.

    Args:
        path: The file; its name says how to compress, as everywhere for recordings.
        overwrite: Whether a file that exists may be replaced.

    Raises:
        RecordError: the file exists or cannot be made.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._path = path
        self._lines: list[bytes] = []
        self._pending = 0
        self._length = 0
        self.bytes = 0
        try:
            self._file = path.open("wb" if overwrite else "xb", buffering=0)
        except FileExistsError:
            raise RecordError(f"{path} exists already") from None
        except OSError as error:
            raise RecordError(f"cannot write {path}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush()
        finally:
            self._file.close()

    def add(self, line: bytes) -> None:
        """Take a line without its newline; it is safe after the next `flush`."""
        self._lines.append(line)
        self._pending += len(line) + 1
        if self._pending >= _BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was taken as one block, down to the disk.

        Raises:
            RecordError: the disk refuses; the blocks before stay as they are.
        """
        if not self._lines:
            return
        block = _compress(self._path, b"\n".join(self._lines) + b"\n")
        self.bytes += self._pending
        self._lines.clear()
        self._pending = 0
        try:
            view = memoryview(block)
            while view:
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            # Half a block would make the whole file unreadable.
            os.ftruncate(self._file.fileno(), self._length)
            raise RecordError(f"cannot write {self._path}: {error.strerror}") from None
        self._length += len(block)


def record(
    settings: Settings,
    topics: Sequence[str],
    output: Path,
    *,
    count: int | None = None,
    seconds: float | None = None,
    from_beginning: bool = True,
    until_end: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> RecordSummary:
    """Record topics until the first of: a count, a time, their end, SIGINT or SIGTERM.

    Records of aborted transactions are not written. Offsets may have gaps (compaction,
    transaction markers), as Kafka's own.

    Args:
        settings: Where Kafka is.
        topics: Names; none stands for the two input topics.
        output: The file; `*.gz` and `*.zst` are compressed.
        count: Most records to write, 1 or more.
        seconds: Longest time to read, wall-clock.
        from_beginning: Whether to start at the oldest record kept, or with what comes now.
        until_end: Whether to stop at the ends that the partitions had when reading began.
        overwrite: Whether to replace `output` if it exists.
        progress: Told after each batch.
        stop: Ends the recording when set; None makes SIGINT and SIGTERM do so.

    Raises:
        KafkaUnavailable: no broker answers at the start within 10 s.
        SettingsError: the settings of the connection cannot be used.
        RecordError: a topic does not exist, or the file cannot be written.
    """
    topics = tuple(topics) or tuple(settings.topics.inputs.values())
    partitions = _partitions(settings, topics)
    with ExitStack() as stack:
        stop = stop or stack.enter_context(stop_on_signals())
        consumer = stack.enter_context(
            consumer_client(
                settings.kafka,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                max_poll_records=_POLL_RECORDS,
            )
        )
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions) if until_end or not from_beginning else {}
        if from_beginning:
            consumer.seek_to_beginning(*partitions)
        else:
            for partition in partitions:
                consumer.seek(partition, ends[partition])
        writer = stack.enter_context(BlockWriter(output, overwrite=overwrite))
        bounds = _Bounds(count, seconds, ends if until_end else None, stop)
        return _run(consumer, writer, bounds, progress)


def _partitions(settings: Settings, topics: Sequence[str]) -> list[TopicPartition]:
    sizes = topic_partitions(settings.kafka)
    absent = [topic for topic in topics if topic not in sizes]
    if absent:
        raise RecordError(f"no such topic: {', '.join(absent)}")
    return [
        TopicPartition(topic, number)
        for topic in dict.fromkeys(topics)
        for number in range(sizes[topic])
    ]


class _Bounds(msgspec.Struct, frozen=True):
    """What ends a recording; None bounds nothing."""

    count: int | None
    seconds: float | None
    ends: dict[TopicPartition, int] | None
    stop: threading.Event

    def reached(self, consumer: KafkaConsumer, written: int, elapsed: float) -> Reason | None:
        if self.stop.is_set():
            return "interrupted"
        if self.count is not None and written >= self.count:
            return "count"
        if self.seconds is not None and elapsed >= self.seconds:
            return "time"
        if self.ends is not None and all(
            consumer.position(partition) >= end for partition, end in self.ends.items()
        ):
            return "end"
        return None

    def wanted(self, partition: TopicPartition, batch: list[Any]) -> list[Any]:
        if self.ends is None:
            return batch
        return [found for found in batch if found.offset < self.ends[partition]]

    def most(self, written: int) -> int:
        left = _POLL_RECORDS if self.count is None else self.count - written
        return min(_POLL_RECORDS, left)


def _run(
    consumer: KafkaConsumer, writer: BlockWriter, bounds: _Bounds, progress: Progress | None
) -> RecordSummary:
    started = flushed = time.monotonic()
    by_topic: Counter[str] = Counter()
    newest = 0.0
    while True:
        now = time.monotonic()
        if now - flushed >= _FLUSH_SECONDS:
            writer.flush()
            flushed = now
        written = by_topic.total()
        reason = bounds.reached(consumer, written, now - started)
        if reason is not None:
            writer.flush()
            return RecordSummary(written, writer.bytes, dict(by_topic), now - started, reason)
        for partition, batch in consumer.poll(_POLL_MS, bounds.most(written)).items():
            for found in bounds.wanted(partition, batch):
                writer.add(_line(found))
                newest = max(newest, found.timestamp / 1000)
                by_topic[found.topic] += 1
        if progress is not None:
            progress(by_topic.total(), writer.bytes, newest)


def _line(found: Any) -> bytes:
    return to_line(
        Record(
            found.topic,
            found.partition,
            found.offset,
            # -1 where the oldest message format has no time.
            max(found.timestamp, 0) / 1000,
            found.key,
            found.value,
            tuple((name, value or b"") for name, value in found.headers),
        ),
        "logappend" if found.timestamp_type == _LOG_APPEND_TIME else "create",
    )


def _compress(path: Path, block: bytes) -> bytes:
    if path.suffix == ".gz":
        return gzip.compress(block, compresslevel=6, mtime=0)
    if path.suffix in (".zst", ".zstd"):
        return zstandard.compress(block)
    return block
