"""Event time: how far each source has come, and how far their partition may close buckets.

An event is late by the clock of its own source alone, and a bucket closes only when every source
of the partition has passed it, so the outcome does not depend on the order in which the records
of different topics are fetched (Akidau et al., The Dataflow Model, VLDB 2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from ruptura.core.contracts.record import Tick

_END: Final = 2.3e11
"""No event time is later: the year 9258."""


_SKEW_SECONDS = 300.0  # how far a record's own time is believed to be ahead of the passing time


class Source(msgspec.Struct):
    """One topic's part of a partition.

    Times are seconds since the Unix epoch; event time unless said otherwise.

    Attributes:
        newest: Newest event time seen.
        newest_at: Broker time of the record that carried it.
        last_at: Broker time of the last record.
        told_at: Broker time of the last record or tick.
        clock: Newest event time, carried on by ticks at the pace of broker time.
        heard: Whether anything, record or tick, has come at all.
        reach: Where the other sources were when this one was last known to hold nothing more.
        mark, mark_at: The same for the next tick: their clock, and the broker time it stands for.
        closable: Buckets before this index are late for this source.
        edge: Event time at which `closable` grows.
        position: Offset of the next record.
    """

    newest: float = -math.inf
    newest_at: float = -math.inf
    last_at: float = -math.inf
    told_at: float = -math.inf
    clock: float = -math.inf
    heard: bool = False
    idle: bool = False
    reach: float = -math.inf
    mark: float = -math.inf
    mark_at: float = math.inf
    closable: int = -1
    edge: float = -math.inf
    position: int = 0


class Watermark:
    """The clocks of one partition's sources.

    Args:
        topics: All input topics; each counts until it is known to hold nothing.
        bucket_seconds: Length of a bucket.
        lateness_seconds: How late an event may come.
        idle_seconds: Broker time after which a source that was read to its end holds nothing back.
    """

    def __init__(
        self,
        topics: tuple[str, ...],
        bucket_seconds: float,
        lateness_seconds: float,
        idle_seconds: float,
    ) -> None:
        self._bucket = bucket_seconds
        self._lateness = lateness_seconds
        self._idle = idle_seconds
        self.sources = {topic: Source() for topic in topics}

    def see(self, source: Source, occurred_at: float, timestamp: float) -> bool:
        """Note a newer event time; tell whether buckets may now close."""
        source.newest = occurred_at
        source.newest_at = timestamp
        if occurred_at <= source.clock:
            return False
        source.clock = occurred_at
        if occurred_at < source.edge:
            return False
        self._turn(source)
        return True

    def _turn(self, source: Source) -> None:
        source.closable = math.floor((source.clock - self._lateness) / self._bucket)
        source.edge = (source.closable + 1) * self._bucket + self._lateness

    def tick(self, tick: Tick) -> bool:
        """Let time pass for one source; tell whether buckets may now close."""
        source = self.sources[tick.topic]
        source.heard = True
        # Records carry their producers' clocks; one that is wrong must not hold up the others.
        limit = tick.now + _SKEW_SECONDS
        source.last_at = min(source.last_at, limit)
        source.newest_at = min(source.newest_at, limit)
        source.told_at = min(source.told_at, limit)
        if source.mark_at < math.inf:
            source.mark_at = min(source.mark_at, limit)
        source.told_at = max(source.told_at, tick.now)
        if source.newest > -math.inf:
            clock = source.newest + max(0.0, tick.now - source.newest_at)
            source.idle = tick.now - source.last_at >= self._idle
            if clock > source.clock:
                source.clock = clock
                if clock >= source.edge:
                    self._turn(source)
        else:
            source.idle = True
        if source.idle:
            # Two steps: the others may have been read further than this source is known to be.
            if source.mark_at < math.inf and tick.now < source.mark_at:
                return True  # a mark that were renewed before it is reached would never be
            if source.mark_at < math.inf:
                source.reach = max(source.reach, source.mark)
            others = [other for other in self.sources.values() if other is not source]
            source.mark = max((other.clock for other in others), default=-math.inf)
            # A clock that ticks carried on stands for the time of those ticks.
            source.mark_at = max((other.told_at for other in others), default=-math.inf)
        return True

    def closable(self) -> int:
        """Return the index of the first bucket that must stay open."""
        least = math.inf
        for source in self.sources.values():
            if not source.heard:
                return -1
            clock = max(source.clock, source.reach) if source.idle else source.clock
            least = min(least, clock)
        if least == -math.inf:
            return -1
        return math.floor((least - self._lateness) / self._bucket)

    def load(self, sources: Mapping[str, Source]) -> None:
        """Take clocks back; those of topics that are no input any more are left out.

        Raises:
            ValueError: they could not be clocks.
        """
        for source in sources.values():
            times = (source.newest, source.newest_at, source.last_at, source.told_at, source.clock)
            if not all(time < _END for time in (*times, source.reach, source.mark)):
                raise ValueError("a clock with times that are none")
            if math.isnan(source.mark_at) or source.position < 0:
                raise ValueError("a clock with numbers that are none")
        for topic in self.sources:
            if topic in sources:
                source = self.sources[topic] = sources[topic]
                source.closable, source.edge = -1, -math.inf
                if source.clock > -math.inf:
                    self._turn(source)
