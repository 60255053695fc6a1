"""Replay: recordings through the engine, with time driven by the recording alone.

The same recordings and settings give the same alerts, byte for byte, and the same as a worker
gave that consumed these records. With repartition that takes the number of partitions that the
topics of the worker have.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from ruptura.assembly.build import build_engine, build_route
from ruptura.assembly.history import warm_engine, write_history
from ruptura.core.contracts.record import Input, Tick
from ruptura.files.recording import (
    Envelope,
    RecordingError,
    read_envelopes,
    read_positions,
    to_record,
)
from ruptura.outputs.sink import Sink, Sinks
from ruptura.outputs.summary import Summary
from ruptura.settings import Settings

_BATCH = 4096
_TICKS_PER_BUCKET = 4

Order = Literal["time", "partitions", "none"]
Moments = Iterator[tuple[float, Envelope]]
"""Envelopes with the time by which their whole partition has come so far, in seconds."""


class Survey(msgspec.Struct, frozen=True):
    """What a look over the recordings found.

    Attributes:
        records: How many records there are.
        partitions: The partitions they come from.
        orders: How each file is ordered: every line by `time`; by time as far as `partitions`
            have come, whose own order is kept though their times go back; or not (`none`).
        first, last: Broker time of the first and the last record, seconds since the Unix epoch.
    """

    records: int
    partitions: Sequence[int]
    orders: Sequence[Order]
    first: float
    last: float


def survey(paths: Sequence[Path]) -> Survey:
    """Look over recordings before they are replayed.

    Raises:
        RecordingError: a line is not a recorded record; it names file and line.
        OSError: a file cannot be read.
    """
    records = 0
    partitions: set[int] = set()
    orders: list[Order] = []
    first, last = math.inf, -math.inf
    for path in paths:
        in_time = True
        now = -math.inf
        for batch in read_positions(path):
            records += len(batch)
            times = [position.ts for position in batch]
            partitions.update({position.partition for position in batch})
            first, last = min(first, *times), max(last, *times)
            in_time = in_time and times[0] >= now and times == sorted(times)
            now = times[-1]
        orders.append("time" if in_time else _order_by_partitions(path))
    if not records:
        return Survey(0, (), tuple(orders), 0.0, 0.0)
    return Survey(records, tuple(sorted(partitions)), tuple(orders), first / 1000, last / 1000)


def _order_by_partitions(path: Path) -> Order:
    """Return whether a file is ordered by how far its partitions have come."""
    now = -math.inf
    reached: dict[tuple[str, int], float] = {}
    for batch in read_positions(path):
        for position in batch:
            source = (position.topic, position.partition)
            moment = reached[source] = max(reached.get(source, -math.inf), position.ts)
            if moment < now:
                return "none"
            now = moment
    return "partitions"


def replay(
    paths: Sequence[Path],
    settings: Settings,
    *,
    sink: Sink,
    surveyed: Survey | None = None,
    progress: Callable[[int, float], None] = lambda _records, _now: None,
    state_in: Path | None = None,
    state_out: Path | None = None,
) -> Summary:
    """Drive a fresh engine with recordings, merged by time.

    Args:
        paths: Recordings; files that are not in order of time are sorted in memory.
        settings: Of the engine.
        sink: Gets the effects of each step, in order, and is flushed at the end.
        surveyed: What `survey` found, if it was called before.
        progress: Gets the records read so far and the recording's time, after each step.
        state_in: What an earlier replay had learned, for channels that begin.
        state_out: Where to write what was learned.

    Returns:
        The summary.

    Raises:
        RecordingError: a line is not a recorded record.
        HistoryError: `state_in` cannot be used.
        OSError: a file cannot be read.
    """
    found = surveyed or survey(paths)
    settings = _as_wide_as(found, settings)
    engine = build_engine(settings) if state_in is None else warm_engine(settings, state_in)
    route = build_route(settings)
    partitions = route.partitions(found.partitions)
    ticking = [(source, p) for p in partitions for source in route.sources]
    summary = Summary()
    sinks = Sinks(summary, sink)

    def step(inputs: Sequence[Input]) -> None:
        sinks.apply(route.in_terms_of_topics(engine.step(inputs)))

    interval = settings.window.bucket_seconds / _TICKS_PER_BUCKET
    ticked = -math.inf
    now = -math.inf
    inputs: list[Input] = []
    append = inputs.append
    for moment, envelope in _merged(paths, found):
        now = max(now, moment)
        if now - ticked >= interval:
            ticked = now
            # Records of this very millisecond may still follow.
            inputs.extend(Tick(topic, partition, now - 0.001) for topic, partition in ticking)
        append(route.route(to_record(envelope)))
        if len(inputs) >= _BATCH:
            step(inputs)
            inputs.clear()
            progress(summary.records, now)
            ticked = -math.inf
    for _ in range(2):  # the second watermark makes the first one count between sources
        inputs.extend(Tick(topic, partition, now) for topic, partition in ticking)
    step(inputs)
    asyncio.run(sinks.flush())
    progress(summary.records, now)
    if state_out is not None:
        write_history(engine, state_out)
    return summary


def _as_wide_as(found: Survey, settings: Settings) -> Settings:
    """Settings that know at least the partitions of the recordings."""
    widest = max((number + 1 for number in found.partitions), default=1)
    topics = settings.topics
    topics = msgspec.structs.replace(topics, partitions=max(topics.partitions, widest))
    return msgspec.structs.replace(settings, topics=topics)


def _merged(paths: Sequence[Path], found: Survey) -> Moments:
    streams = [_stream(path, order) for path, order in zip(paths, found.orders, strict=True)]
    return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=_moment)


def _stream(path: Path, order: Order) -> Moments:
    if order == "time":
        return (
            (envelope.ts / 1000, envelope) for batch in read_envelopes(path) for envelope in batch
        )
    moments = _moments(path)
    return moments if order == "partitions" else iter(sorted(moments, key=_moment))


def _moments(path: Path) -> Moments:
    """Yield envelopes; the order within a partition is that of the file, whatever its times."""
    reached: dict[tuple[str, int], float] = {}
    for batch in read_envelopes(path):
        for envelope in batch:
            source = (envelope.topic, envelope.partition)
            moment = max(reached.get(source, -math.inf), envelope.ts / 1000)
            reached[source] = moment
            yield moment, envelope


def _moment(pair: tuple[float, Envelope]) -> float:
    return pair[0]


__all__ = ["RecordingError", "Summary", "Survey", "replay", "survey"]
