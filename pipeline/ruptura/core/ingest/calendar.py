"""Where in the day and the week a moment falls, in the service's own time.

Pure: zones come from zoneinfo, holidays from a function that the caller gives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

WORKING_DAY, SATURDAY, SUNDAY, HOLIDAY = range(4)

_HOUR = 3600
_DAY_MINUTES = 1440
_LAST_HOUR = math.nextafter(24.0, 0.0)
_MAX_CACHED_HOURS = 1024
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS_TEXT = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*)\s+)?"
    r"(?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d)"
)


class Phase(msgspec.Struct, frozen=True, gc=False):
    """The place of a moment in the calendar.

    Attributes:
        day_type: 0 working day, 1 Saturday, 2 Sunday, 3 holiday (whatever the weekday).
        hour: Local hour of the day by the wall clock, in [0, 24).
        open: Whether the service is open.
        commemorative: Whether it is a day of trade, on which more than usual is normal.
        muted: Whether a planned window keeps alerts away.
        learns: Whether what happens may be learned as normal.
    """

    day_type: int
    hour: float
    open: bool
    commemorative: bool = False
    muted: bool = False
    learns: bool = True


class Planned(msgspec.Struct, frozen=True):
    """A planned window.

    Attributes:
        begin, end: Half-open, in seconds since the Unix epoch.
        mute: Whether nothing alerts.
        learn: Whether what happens is learned as normal.
    """

    begin: float
    end: float
    mute: bool
    learn: bool


Span = tuple[int, int]
"""Half-open, in minutes of the local day, 0 to 1440."""


class OpeningHours(msgspec.Struct, frozen=True):
    """The spans of a week, by weekday from Monday.

    Attributes:
        begun: Spans that begin on the weekday, cut at midnight.
        after_midnight: The rest of spans that began the day before.
    """

    begun: tuple[tuple[Span, ...], ...]
    after_midnight: tuple[tuple[Span, ...], ...]


class _Hour(msgspec.Struct, frozen=True, gc=False):
    """What holds for a whole hour of UTC; `opened` is None where it changes within the hour."""

    day: date
    day_type: int
    first: float
    opened: bool | None
    spans: tuple[Span, ...]
    commemorative: bool


class Calendar:
    """The calendar of one service.

    Args:
        zone: Time zone of the service.
        is_holiday: Whether a local date is a holiday; must not change its answers.
        opening: When the service is open; None means always. Once hours are given, holidays are
            closed, together with the rest of a span that would have begun on a holiday.
        is_commemorative: Whether a local date is a day of trade; must not change its answers.
        planned: Planned windows; where they overlap, one that mutes or stops learning does.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        is_holiday: Callable[[date], bool],
        opening: OpeningHours | None = None,
        *,
        is_commemorative: Callable[[date], bool] = lambda _: False,
        planned: Sequence[Planned] = (),
    ) -> None:
        self._zone = zone
        self._is_commemorative = is_commemorative
        self._planned = tuple(planned)
        self._is_holiday = is_holiday
        self._opening = opening
        self._hours: dict[float, _Hour | None] = {}

    def phase(self, timestamp: float) -> Phase:
        """The place of a moment, in seconds since the Unix epoch."""
        phase = self._unplanned(timestamp)
        for window in self._planned:
            if window.begin <= timestamp < window.end:
                phase = _under(phase, window)
        return phase

    def phase_of_bucket(self, start: float, end: float) -> Phase:
        """The place of a bucket: that of its middle, under every planned window that it touches.

        A bucket that holds a part of a window would speak of what went on inside it.

        Args:
            start, end: Half-open, in seconds since the Unix epoch.
        """
        phase = self._unplanned((start + end) / 2.0)
        for window in self._planned:
            if window.begin < end and start < window.end:
                phase = _under(phase, window)
        return phase

    def _unplanned(self, timestamp: float) -> Phase:
        index = timestamp // _HOUR
        try:
            cached = self._hours[index]
        except KeyError:
            cached = self._enter(index)
        if cached is None:
            return self._exact(timestamp)
        hour = cached.first + (timestamp - index * _HOUR) / _HOUR
        if hour >= 24.0:  # rounding in the last instant of a day
            hour = _LAST_HOUR
        opened = cached.opened
        if opened is None:
            opened = _within(cached.spans, int(hour * 60.0))
        return Phase(cached.day_type, hour, opened, cached.commemorative)

    def local_date(self, timestamp: float) -> date:
        """The local date of a moment, in seconds since the Unix epoch."""
        index = timestamp // _HOUR
        try:
            cached = self._hours[index]
        except KeyError:
            cached = self._enter(index)
        if cached is None:
            return datetime.fromtimestamp(math.floor(timestamp), self._zone).date()
        return cached.day

    def _enter(self, index: float) -> _Hour | None:
        """Look at an hour of UTC for the first time.

        None where its two ends differ in date or offset: midnight in zones with half hours,
        and changes of the clock that do not happen on the hour.
        """
        start = datetime.fromtimestamp(index * _HOUR, self._zone)
        last = datetime.fromtimestamp(index * _HOUR + _HOUR - 1, self._zone)
        hour = None
        day = start.date()
        if day == last.date() and start.utcoffset() == last.utcoffset():
            first = start.hour + start.minute / 60 + start.second / 3600
            spans = self._spans(day)
            changes = any(0 < edge - first * 60 < 60 for span in spans for edge in span)
            opened = None if changes else _within(spans, int(first * 60))
            hour = _Hour(
                day, self._day_type(day), first, opened, spans, self._is_commemorative(day)
            )
        if len(self._hours) >= _MAX_CACHED_HOURS:
            self._hours.clear()
        self._hours[index] = hour
        return hour

    def _exact(self, timestamp: float) -> Phase:
        whole = math.floor(timestamp)
        local = datetime.fromtimestamp(whole, self._zone)
        seconds = local.hour * 3600 + local.minute * 60 + local.second + (timestamp - whole)
        day = local.date()
        return Phase(
            self._day_type(day),
            min(seconds / _HOUR, _LAST_HOUR),
            _within(self._spans(day), local.hour * 60 + local.minute),
            self._is_commemorative(day),
        )

    def _day_type(self, day: date) -> int:
        if self._is_holiday(day):
            return HOLIDAY
        return max(WORKING_DAY, day.weekday() - 4)

    def _spans(self, day: date) -> tuple[Span, ...]:
        if self._opening is None:
            return ((0, _DAY_MINUTES),)
        if self._is_holiday(day):
            return ()
        spans = self._opening.begun[day.weekday()]
        after_midnight = self._opening.after_midnight[day.weekday()]
        if after_midnight and not self._is_holiday(day - timedelta(days=1)):
            spans += after_midnight
        return spans


def _under(phase: Phase, window: Planned) -> Phase:
    return msgspec.structs.replace(
        phase, muted=phase.muted or window.mute, learns=phase.learns and window.learn
    )


def parse_opening_hours(lines: Sequence[str]) -> OpeningHours | None:
    """Read spans such as `mon-fri 08:00-18:00`, `sat,sun 09:00-13:00` or `22:00-06:00`.

    Days are English, three letters; without days a span is for every day. A span whose end is
    not after its begin ends on the next day; `00:00-24:00` is the whole day.

    Returns:
        The hours of a week, or None (always open) when there is no line.

    Raises:
        ValueError: a line that cannot be read; the text quotes it and says what is expected.
    """
    if not lines:
        return None
    begun: list[tuple[Span, ...]] = [()] * 7
    after_midnight: list[tuple[Span, ...]] = [()] * 7
    for line in lines:
        found = _HOURS_TEXT.fullmatch(line.strip().lower())
        if found is None:
            raise _unreadable(line, "hours such as `mon-fri 08:00-18:00`")
        begin, end = _minute(line, found["from"]), _minute(line, found["to"])
        if begin in (end, _DAY_MINUTES):
            raise _unreadable(line, "a begin before its end; the whole day is `00:00-24:00`")
        for day in _weekdays(line, found["days"]):
            if begin < end:
                begun[day] += ((begin, end),)
            else:
                begun[day] += ((begin, _DAY_MINUTES),)
                after_midnight[(day + 1) % 7] += ((0, end),)
    return OpeningHours(tuple(begun), tuple(after_midnight))


def _weekdays(line: str, text: str | None) -> list[int]:
    if text is None:
        return list(range(7))
    days: list[int] = []
    for part in text.split(","):
        names = part.split("-")
        if unknown := [name for name in names if name not in _DAYS]:
            raise _unreadable(line, f"one of {', '.join(_DAYS)} for {unknown[0]}")
        first, last = _DAYS.index(names[0]), _DAYS.index(names[-1])
        days += [(first + step) % 7 for step in range((last - first) % 7 + 1)]
    return days


def _minute(line: str, text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if minutes > 59 or hours * 60 + minutes > _DAY_MINUTES:
        raise _unreadable(line, f"a time from 00:00 to 24:00 for {text}")
    return hours * 60 + minutes


def _unreadable(line: str, expected: str) -> ValueError:
    return ValueError(f"got {line!r}, expected {expected}")


def _within(spans: tuple[Span, ...], minute: int) -> bool:
    return any(begin <= minute < end for begin, end in spans)
