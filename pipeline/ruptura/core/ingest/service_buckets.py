"""The channels of one service, whose buckets close together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ruptura.core.contracts.tuning import Index, Tally
from ruptura.core.ingest.calendar import Calendar, Phase
from ruptura.core.ingest.event_ids import EventIds
from ruptura.core.ingest.open_buckets import ChannelProgress, OpenBuckets, OpenBucketsState

CalendarOf = Callable[[str, str], Calendar]
"""The calendar of a service's channel."""

VERSION: Final = 1

NEVER: Final = -1
"""The index of no bucket."""

_LONGEST_SILENCE: Final = 31_536_000.0
"""Seconds: the most after which a channel may be taken as gone, whatever it is now."""


class ServiceProgress(msgspec.Struct, frozen=True, array_like=True):
    """How far a service has come.

    Attributes:
        next_bucket: Index of the next bucket to close.
        last_closed: Index of the last one that was closed, -1 before the first.
        last_filled: Index of the last one that holds anything, -1 where none does. A service may
            be ahead of the clocks that were saved with it.
        next_offsets: By source, the offset after the last record that the state reflects.
        channels: By name; at least one.
    """

    next_bucket: Index
    last_closed: Index
    last_filled: Index
    next_offsets: dict[str, Tally]
    channels: Annotated[dict[str, ChannelProgress], Meta(min_length=1)]


class ServiceBuckets:
    """The open buckets of a service.

    Args:
        name: Of the service.
        calendar: Its calendars.

    Attributes:
        key: The record key that its events should have.
        channels: By name.
        next_bucket: Index of the next bucket to close.
        last_closed: Index of the last one that was closed.
        applied_offsets: By source, the offset after the last record that the state reflected when
            it was restored: what comes again before it is passed over.
    """

    __slots__ = (
        "_calendar_of",
        "_calendars",
        "applied_offsets",
        "channels",
        "key",
        "last_closed",
        "name",
        "next_bucket",
    )

    def __init__(self, name: str, calendar: CalendarOf) -> None:
        self.name = name
        self.key = name.encode()
        self._calendar_of = calendar
        self._calendars: dict[str, Calendar] = {}  # by channel
        self.channels: dict[str, OpenBuckets] = {}
        self.next_bucket = NEVER
        self.last_closed = NEVER
        self.applied_offsets: Mapping[str, int] = {}

    def reconfigure(self, calendar: CalendarOf) -> None:
        """Replace the calendars."""
        self._calendar_of, self._calendars = calendar, {}

    def phase(self, channel: str, start: float, end: float, known: dict[int, Phase]) -> Phase:
        """Return the phase of a channel in a bucket.

        Args:
            channel: Its name.
            start, end: Of the bucket, in seconds since the Unix epoch.
            known: Phases in this bucket by calendar, to which what is found is added.
        """
        calendar = self._calendars.get(channel)
        if calendar is None:
            calendar = self._calendars[channel] = self._calendar_of(self.name, channel)
        phase = known.get(id(calendar))
        if phase is None:
            phase = known[id(calendar)] = calendar.phase_of_bucket(start, end)
        return phase

    def end(self, channel: str) -> bool:
        """End a channel taken to be gone; return whether what came after begins a new one."""
        self._calendars.pop(channel, None)
        renewed = self.channels[channel].renewed()
        if renewed is None:
            del self.channels[channel]
            return False
        self.channels[channel] = renewed
        return True

    def advance(self) -> None:
        """Note that the next bucket is closed."""
        self.last_closed = self.next_bucket
        self.next_bucket += 1

    def skip_to_data(self) -> None:
        """Pass over buckets in which no channel has begun: a gap of years is no work."""
        if not any(channel.last_at != -math.inf for channel in self.channels.values()):
            waiting = (channel.pending() for channel in self.channels.values())
            first = min((index for index in waiting if index is not None), default=0)
            self.next_bucket = max(self.next_bucket, first)

    def progress(self, next_offsets: Mapping[str, int]) -> ServiceProgress:
        """Return how far the service has come.

        Args:
            next_offsets: By source, of the partition.
        """
        applied = self.applied_offsets
        return ServiceProgress(
            self.next_bucket,
            self.last_closed,
            max((channel.last_filled() for channel in self.channels.values()), default=NEVER),
            {name: max(offset, applied.get(name, 0)) for name, offset in next_offsets.items()},
            {name: channel.progress() for name, channel in self.channels.items()},
        )

    def resume(self, progress: ServiceProgress, bucket_seconds: float) -> None:
        """Go on from where a service had come, with nothing in its open buckets.

        Raises:
            ValueError: the last event of a channel does not fit the progress.
        """
        self.next_bucket, self.last_closed = progress.next_bucket, progress.last_closed
        self.applied_offsets = progress.next_offsets
        for name, come in progress.channels.items():
            channel = self.channels[name] = OpenBuckets()
            channel.resume(come)
            silent = progress.next_bucket * bucket_seconds - channel.last_at
            longest = _LONGEST_SILENCE + bucket_seconds
            if not math.isinf(silent) and not 0.0 <= silent <= longest:
                raise ValueError("the last event of a channel does not fit the progress")

    def begin_after(self, index: int) -> None:
        """Count nothing more of buckets up to an index: what they held is not known.

        Raises:
            ValueError: no channel is left of which anything is known.
        """
        for channel in self.channels.values():
            channel.clear()
        self.channels = {n: held for n, held in self.channels.items() if held.has_ever_held()}
        if not self.channels:
            raise ValueError("a service of which nothing is known without its open buckets")
        self.last_closed = max(self.last_closed, index)
        self.next_bucket = max(self.next_bucket, index + 1)

    def dump_open(self) -> dict[str, OpenBucketsState]:
        """Return the contents of the open buckets by channel."""
        return {name: channel.dump() for name, channel in self.channels.items()}

    def load_open(self, states: Mapping[str, OpenBucketsState]) -> None:
        """Take contents back; ValueError if they could not be those of these channels."""
        if states.keys() != self.channels.keys():
            raise ValueError("open buckets of other channels")
        for name, state in states.items():
            self.channels[name].load(state)
            if not self.channels[name].has_ever_held():
                raise ValueError("a channel without any event")

    def dump_event_ids(self) -> dict[str, dict[str, EventIds]]:
        """Return the event_ids by channel and source."""
        return {name: channel.event_ids for name, channel in self.channels.items()}

    def load_event_ids(self, states: Mapping[str, dict[str, EventIds]]) -> None:
        """Take event_ids back."""
        for name, channel in self.channels.items():
            channel.event_ids = states.get(name, {})
