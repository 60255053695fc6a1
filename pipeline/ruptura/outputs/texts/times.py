"""Times for people and for tables."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def utc(moment: float) -> str:
    """Write a time, in seconds since the Unix epoch, for people; nothing where there is none."""
    if not math.isfinite(moment):
        return ""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%MZ")


def utc_seconds(moment: float) -> str:
    """Write a bucket's start so that every spreadsheet and pandas can read it."""
    return utc(moment).replace("Z", ":00Z").replace(" ", "T")
