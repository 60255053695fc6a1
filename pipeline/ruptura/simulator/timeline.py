"""The minutes of a recording, and what the clock of a service shows in each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ruptura.core.ingest.calendar import OpeningHours

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Numbers = NDArray[Any]
"""Counts or measurements."""

MINUTE = 60.0
DAY_MINUTES = 1440
_STEP = 15  # minutes; no zone changes its offset between quarters of an hour


class Timeline:
    """The minutes of a recording, in the time zone of a service.

    Args:
        begins: First moment, a full hour.
        days: Length in days of 24 h.
        zone: Of the service.

    Attributes:
        start: First moment, in seconds since the Unix epoch.
        minutes: How many there are.
    """

    def __init__(self, begins: datetime, days: int, zone: ZoneInfo) -> None:
        self.begins = begins.astimezone(UTC)
        self.start = begins.timestamp()
        self.days = days
        self.minutes = days * DAY_MINUTES
        self._zone = zone

    @cached_property
    def local_minutes(self) -> Ints:
        """Minutes on the local clock since Monday, 1970-01-05, by minute of the recording."""
        monday = datetime(1970, 1, 5, tzinfo=UTC)
        steps = []
        for minute in range(0, self.minutes, _STEP):
            local = (self.begins + timedelta(minutes=minute)).astimezone(self._zone)
            steps.append((local.replace(tzinfo=UTC) - monday) // timedelta(minutes=1))
        whole = np.repeat(np.array(steps, np.int64), _STEP)
        return whole + np.tile(np.arange(_STEP), len(steps))

    @cached_property
    def hour(self) -> Floats:
        """Local hour of the day, in [0, 24)."""
        return (self.local_minutes % DAY_MINUTES) / 60.0

    @cached_property
    def weekday(self) -> Ints:
        """Local weekday, Monday is 0."""
        weekday: Ints = self.local_minutes // DAY_MINUTES % 7
        return weekday

    @cached_property
    def day(self) -> Ints:
        """Local day, the first is 0."""
        days: Ints = self.local_minutes // DAY_MINUTES
        since: Ints = days - days[0]
        return since

    def minute_at(self, day: int, hour: float) -> int:
        """Return the first minute at or after an hour of a local day; the last one beyond."""
        at = np.flatnonzero((self.day == day) & (self.hour >= hour - 1e-9))
        return int(at[0]) if at.size else self.minutes - 1

    def moment(self, minute: float) -> datetime:
        """Return the time of a minute of the recording, in UTC."""
        return self.begins + timedelta(minutes=float(minute))

    def is_open(self, opening: OpeningHours | None) -> Bools:
        """Whether a channel with these hours is open, by minute."""
        if opening is None:
            return np.ones(self.minutes, np.bool_)
        opened: Bools = open_week(opening)[self.local_minutes % (7 * DAY_MINUTES)]
        return opened


def open_week(opening: OpeningHours | None) -> Bools:
    """Whether a channel is open, by minute of the local week."""
    if opening is None:
        return np.ones(7 * DAY_MINUTES, np.bool_)
    week = np.zeros(7 * DAY_MINUTES, np.bool_)
    for day in range(7):
        for first, last in (*opening.begun[day], *opening.after_midnight[day]):
            week[day * DAY_MINUTES + first : day * DAY_MINUTES + last] = True
    return week
