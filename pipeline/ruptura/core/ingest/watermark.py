"""Event time: how far each source has come, and how far their partition may close buckets.

A bucket closes when the clock of every source of the partition has passed its end by the allowed
lateness; an idle source counts as having come as far as its idle watermark. An event is late if the
clock of its own source has passed its bucket so, or if the partition has closed that bucket. While
no source is idle the second never comes without the first, so the outcome does not depend on the
order in which the records of different topics are fetched (Akidau et al., The Dataflow Model, VLDB
2015); with a source that is idle it depends on the ticks that found it so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from ruptura.core.contracts.record import Tick
from ruptura.core.contracts.tuning import WindowTuning

VERSION: Final = 1

_END: Final = 2.3e11
"""No event time is later: the year 9258."""

_SKEW_SECONDS: Final = 300.0
"""How far a record's own time is assumed to be ahead at most of the passing time."""

_NEVER: Final = -1


class SourceState(msgspec.Struct, frozen=True, array_like=True):
    """How far a source had come; as the attributes of `Source`, of which the rest follow."""

    next_offset: int = 0
    newest: float = -math.inf
    newest_at: float = -math.inf
    last_at: float = -math.inf
    ticked_at: float = -math.inf
    clock: float = -math.inf
    is_idle: bool = False
    idle_watermark: float = -math.inf
    next_idle_watermark: float = -math.inf
    next_idle_watermark_at: float = math.inf


class Source:
    """How far one source of a partition has come.

    Times are seconds since the Unix epoch, minus infinity before the first: event time, or broker
    time where it says so. Invariants: `newest <= clock`; `first_open` and `turns_at` follow from
    `clock`; none of them ever falls.

    Attributes:
        next_offset: Offset of the next record.
        newest, newest_at: Newest event time, and the broker time of its record.
        last_at: Broker time of the last record.
        ticked_at: Broker time of the last tick.
        clock: Newest event time, carried on by ticks at the pace of broker time.
        is_idle: Whether the last tick found that nothing had come for long, and nothing has since.
        idle_watermark: How far an idle source holds the others back: where they were when it was
            last known to hold nothing more.
        next_idle_watermark: Where the others were when it was last seen idle. It counts once a
            tick has seen all records up to `next_idle_watermark_at` (broker time; infinity: it
            was never seen idle): the others may have been read further than this source is known
            to be.
        first_open: Index of the first bucket that is not late for this source.
        turns_at: Event time at which `first_open` grows.
    """

    # Slots, not a struct: they are written for every record, and structs are slow to write.
    __slots__ = (
        "clock",
        "first_open",
        "idle_watermark",
        "is_idle",
        "last_at",
        "newest",
        "newest_at",
        "next_idle_watermark",
        "next_idle_watermark_at",
        "next_offset",
        "ticked_at",
        "turns_at",
    )

    def __init__(self, state: SourceState) -> None:
        self.next_offset = state.next_offset
        self.newest, self.newest_at = state.newest, state.newest_at
        self.last_at, self.ticked_at = state.last_at, state.ticked_at
        self.clock = state.clock
        self.is_idle = state.is_idle
        self.idle_watermark = state.idle_watermark
        self.next_idle_watermark = state.next_idle_watermark
        self.next_idle_watermark_at = state.next_idle_watermark_at
        self.first_open = _NEVER
        self.turns_at = -math.inf

    def dump(self) -> SourceState:
        """Return how far it has come."""
        return SourceState(
            self.next_offset,
            self.newest,
            self.newest_at,
            self.last_at,
            self.ticked_at,
            self.clock,
            self.is_idle,
            self.idle_watermark,
            self.next_idle_watermark,
            self.next_idle_watermark_at,
        )

    @property
    def last_heard_at(self) -> float:
        """Broker time of the last record or tick."""
        return max(self.last_at, self.ticked_at)

    def see(self, occurred_at: float, timestamp: float) -> bool:
        """Note an event; return whether `Watermark.turn` has to follow.

        Args:
            occurred_at: Event time.
            timestamp: Broker time of the record that carries it.
        """
        if timestamp > self.last_at:  # noqa: PLR1730 - max() would cost a call for every record
            self.last_at = timestamp
        if occurred_at > self.newest:
            self.newest, self.newest_at = occurred_at, timestamp
            if occurred_at > self.clock:
                self.clock = occurred_at
                return occurred_at >= self.turns_at
        return False


class Watermark:
    """The clocks of one partition's sources.

    Args:
        topics: All sources; each counts until it is known to hold nothing.
        window: Length of a bucket, how late an event may come, and the broker time after which a
            source that was read to its end holds nothing back.
    """

    def __init__(self, topics: tuple[str, ...], window: WindowTuning) -> None:
        self._bucket = float(window.bucket_seconds)
        self._lateness = window.lateness_seconds
        self._idle = window.idle_seconds
        self.sources = {topic: Source(SourceState()) for topic in topics}

    def turn(self, source: Source) -> None:
        """Move on to the bucket that the clock of a source has reached."""
        source.first_open = self._first_open(source.clock)
        source.turns_at = (source.first_open + 1) * self._bucket + self._lateness

    def _first_open(self, clock: float) -> int:
        return math.floor((clock - self._lateness) / self._bucket)

    def tick(self, tick: Tick) -> None:
        """Let time pass for one source."""
        source, now = self.sources[tick.topic], tick.now
        # Records carry their producers' clocks; one that is wrong must not hold up the others.
        limit = now + _SKEW_SECONDS
        source.last_at = min(source.last_at, limit)
        source.newest_at = min(source.newest_at, limit)
        source.ticked_at = max(min(source.ticked_at, limit), now)
        if source.newest == -math.inf:
            source.is_idle = True
        else:
            source.is_idle = now - source.last_at >= self._idle
            clock = source.newest + max(0.0, now - source.newest_at)
            if clock > source.clock:
                source.clock = clock
                if clock >= source.turns_at:
                    self.turn(source)
        seen_idle = source.next_idle_watermark_at < math.inf
        if seen_idle:
            source.next_idle_watermark_at = min(source.next_idle_watermark_at, limit)
        if not source.is_idle:
            return
        if seen_idle:
            if now < source.next_idle_watermark_at:
                return  # one that were renewed before it is reached would never be
            source.idle_watermark = max(source.idle_watermark, source.next_idle_watermark)
        others = [other for other in self.sources.values() if other is not source]
        source.next_idle_watermark = max((other.clock for other in others), default=-math.inf)
        # A clock that ticks carried on stands for the time of those ticks.
        heard = max((other.last_heard_at for other in others), default=-math.inf)
        source.next_idle_watermark_at = heard

    def first_open(self) -> int:
        """Return the index of the first bucket that must stay open; -1 while nothing is known."""
        least = math.inf
        for source in self.sources.values():
            clock = source.clock
            if source.is_idle and source.idle_watermark > clock:
                clock = source.idle_watermark
            if clock == -math.inf:
                return _NEVER
            least = min(least, clock)
        return self._first_open(least) if least < math.inf else _NEVER

    def newest(self) -> float:
        """Return the newest event time of all sources."""
        return max((source.newest for source in self.sources.values()), default=-math.inf)

    def dump(self) -> dict[str, SourceState]:
        """Return how far each source has come."""
        return {topic: source.dump() for topic, source in self.sources.items()}

    def load(self, sources: Mapping[str, SourceState]) -> None:
        """Take clocks back; those of topics that are no input any more are left out.

        Raises:
            ValueError: they could not be clocks.
        """
        for state in sources.values():
            times = [state.newest, state.newest_at, state.last_at, state.ticked_at]
            times += [state.clock, state.idle_watermark, state.next_idle_watermark]
            if not all(time < _END for time in times):
                raise ValueError("a clock that is not finite, or after the year 9000")
            if math.isnan(state.next_idle_watermark_at) or state.next_offset < 0:
                raise ValueError("a clock that is not a number, or a negative offset")
        for topic in self.sources:
            if topic in sources:
                source = self.sources[topic] = Source(sources[topic])
                if source.clock > -math.inf:
                    self.turn(source)
