"""Times as people export them: many formats, local clocks, daylight saving."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from ruptura.tools.importing.mapping import Times

TimeReader = Callable[[str], tuple[int, str]]

_CACHED = 16_384
_MAX_MILLISECONDS = 221_845_392_000_000
"""The year 9000, as the core has it."""


def time_reader(times: Times) -> TimeReader:
    """Make a function from a text to milliseconds since the Unix epoch and RFC 3339 in UTC.

    The function raises ValueError for a text that fits no format, a local time that the mapping
    rejects, and a time outside the years 1970 to 9000; its message goes on from the text.
    """
    zone = ZoneInfo(times.zone)

    @lru_cache(_CACHED)
    def read(text: str) -> tuple[int, str]:
        try:
            moment = _in_utc(_parse(text, times.formats), zone, times)
            milliseconds = round(moment.timestamp() * 1000)
        except OverflowError:
            milliseconds = -1
        if not 0 <= milliseconds < _MAX_MILLISECONDS:
            raise ValueError("is not between the years 1970 and 9000")
        return milliseconds, f"{moment.replace(tzinfo=None).isoformat()}Z"

    return read


def _parse(text: str, formats: tuple[str, ...]) -> datetime:
    for form in formats:
        try:
            if form == "iso":
                return datetime.fromisoformat(text)
            if form in ("unix", "unix_ms"):
                return datetime.fromtimestamp(float(text) / (1 if form == "unix" else 1000), UTC)
            return datetime.strptime(text, form)  # noqa: DTZ007 - the zone comes next
        except (ValueError, OSError):
            continue
    raise ValueError(f"fits none of {', '.join(formats)}")


def _in_utc(moment: datetime, zone: ZoneInfo, times: Times) -> datetime:
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    earlier = moment.replace(tzinfo=zone, fold=0)
    later = moment.replace(tzinfo=zone, fold=1)
    before, after = earlier.utcoffset(), later.utcoffset()
    if before != after and before is not None and after is not None:
        # PEP 495: fold tells the two apart; where clocks go forward, fold 0 has the old offset.
        if before > after:
            if times.ambiguous == "reject":
                raise ValueError(f"occurs twice in {times.zone}")
            return (later if times.ambiguous == "later" else earlier).astimezone(UTC)
        if times.nonexistent == "reject":
            raise ValueError(f"does not exist in {times.zone}")
    return earlier.astimezone(UTC)
