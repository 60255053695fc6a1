"""From events to records: what is held up, sent twice or lost, in the order of the broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ruptura.core.contracts.record import Record
from ruptura.simulator.documents import Born
from ruptura.simulator.scenario import Channel, Delivery
from ruptura.simulator.timeline import Floats

TICKETS: Final = "ruptura.tickets"
CHANNEL_METRICS: Final = "ruptura.channel-metrics"
_LATE_SECONDS: Final = (60.0, 600.0)
_AGAIN_SECONDS: Final = (0.05, 30.0)  # within the time that engines remember identifiers

Batch = tuple[str, Sequence[Born]]
"""A topic, and what is to be sent to it."""


def deliver(
    batches: Sequence[Batch],
    *,
    channels: Sequence[Channel],
    ways: Sequence[Delivery],
    start: float,
    rng: np.random.Generator,
) -> list[Record]:
    """Send documents; whatever arrives after others keeps its own time of event.

    Args:
        batches: What is sent.
        channels: By index.
        ways: How the events of each channel travel.
        start: Begin of the recording, in seconds since the Unix epoch.
        rng: For delays.

    Returns:
        Records in the order in which the broker appends them, whose times never go back.
    """
    arrived: list[Floats] = []
    which: list[tuple[int, int]] = []
    for number, (_, documents) in enumerate(batches):
        at, index = _travel(documents, ways, rng)
        arrived.append(at)
        which.extend((number, document) for document in index.tolist())
    moments = np.concatenate(arrived)
    order = np.argsort(moments, kind="stable")
    times = (np.round((moments[order] + start) * 1000.0) / 1000.0).tolist()
    keys = [channel.service.encode() for channel in channels]
    offsets = {TICKETS: 0, CHANNEL_METRICS: 0}
    records: list[Record] = []
    for index, time in zip(order.tolist(), times, strict=True):
        number, document = which[index]
        topic, documents = batches[number]
        born = documents[document]
        offset = offsets[topic]
        offsets[topic] = offset + 1
        records.append(Record(topic, 0, offset, time, keys[born.channel], born.value))
    return records


def _travel(
    documents: Sequence[Born], ways: Sequence[Delivery], rng: np.random.Generator
) -> tuple[Floats, np.ndarray]:
    """Return when documents arrive, and which they are; those sent twice come twice."""
    count = len(documents)
    at = np.fromiter((born.at for born in documents), np.float64, count)
    channel = np.fromiter((born.channel for born in documents), np.int64, count)
    delay = np.array([way.delay_seconds for way in ways])[channel]
    late = np.array([way.late_ratio for way in ways])[channel]
    twice = np.array([way.duplicate_ratio for way in ways])[channel]
    arrives = at + rng.exponential(1.0, count) * delay
    held = rng.random(count) < late
    arrives[held] += rng.uniform(*_LATE_SECONDS, int(held.sum()))
    again = np.flatnonzero(rng.random(count) < twice)
    second = arrives[again] + rng.uniform(*_AGAIN_SECONDS, again.size)
    return np.concatenate((arrives, second)), np.concatenate((np.arange(count), again))
