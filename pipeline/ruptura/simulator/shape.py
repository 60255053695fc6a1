"""Demand over day and week, and how it strays from that.

Arrivals of contact centres are Poisson with a rate that is itself random, from day to day and
within the day: Avramidis, Deslauriers & L'Ecuyer, Modeling Daily Arrivals to a Telephone Call
Center, Management Science 50(7), 2004.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ruptura.core.ingest.calendar import parse_opening_hours
from ruptura.simulator.scenario import Channel, Shape
from ruptura.simulator.timeline import DAY_MINUTES, Floats, Timeline, open_week

SHAPES: Final[dict[Shape, tuple[float, ...]]] = {
    "flat": (1.0,) * 24,
    "office": (
        0.06, 0.04, 0.03, 0.03, 0.05, 0.12, 0.3, 0.7, 1.35, 1.85, 2.0, 1.8,
        1.4, 1.55, 1.85, 1.8, 1.6, 1.25, 0.85, 0.6, 0.45, 0.3, 0.2, 0.1,
    ),
    "retail": (
        0.35, 0.18, 0.1, 0.08, 0.1, 0.2, 0.4, 0.7, 1.1, 1.4, 1.55, 1.55,
        1.5, 1.45, 1.4, 1.35, 1.3, 1.35, 1.5, 1.7, 1.8, 1.6, 1.2, 0.7,
    ),
    "evening": (
        0.5, 0.25, 0.12, 0.08, 0.08, 0.12, 0.25, 0.4, 0.6, 0.75, 0.9, 1.1,
        1.3, 1.1, 0.95, 0.95, 1.1, 1.4, 1.9, 2.4, 2.6, 2.2, 1.5, 0.9,
    ),
}  # fmt: skip
"""Relative demand in the middle of each local hour."""

_HOURLY_MEMORY = 0.7  # correlation of the demand's deviation from hour to hour
_HOUR = 60


def ordinary_rate(channel: Channel, timeline: Timeline) -> Floats:
    """Return contacts a minute by minute, as planners expect them on ordinary days.

    Its mean over the open hours of a week is `contacts_per_hour`, closed hours have none.
    """
    opening = parse_opening_hours(channel.hours)
    minutes = np.arange(7 * DAY_MINUTES)
    week = _shape(channel.shape, minutes % DAY_MINUTES / 60.0)
    week *= np.asarray(channel.week, np.float64)[minutes // DAY_MINUTES]
    opened = open_week(opening)
    week[~opened] = 0.0
    week *= channel.contacts_per_hour / 60.0 / week[opened].mean()
    rate: Floats = week[timeline.local_minutes % (7 * DAY_MINUTES)]
    rate[: channel.begins_day * DAY_MINUTES] = 0.0
    return rate


def busyness(channel: Channel, timeline: Timeline, rng: np.random.Generator) -> Floats:
    """Return factors of mean 1 by minute: some days and hours are busier than others."""
    daily = _lognormal(rng.standard_normal(timeline.days + 2), channel.busyness)[timeline.day]
    hours = timeline.minutes // _HOUR + 2
    innovation = rng.standard_normal(hours) * (1.0 - _HOURLY_MEMORY**2) ** 0.5
    walk = np.empty(hours)
    state = float(rng.standard_normal())
    for hour, step in enumerate(innovation.tolist()):
        state = _HOURLY_MEMORY * state + step
        walk[hour] = state
    minute = np.arange(timeline.minutes) / _HOUR
    hourly = np.interp(minute, np.arange(hours), _lognormal(walk, channel.busyness / 2.0))
    factors: Floats = daily * hourly
    return factors


def _lognormal(normal: Floats, variation: float) -> Floats:
    """Turn standard normal numbers into factors of mean 1 and this coefficient of variation."""
    variance = np.log1p(variation**2)
    factors: Floats = np.exp(normal * variance**0.5 - variance / 2.0)
    return factors


def _shape(shape: Shape, hour: Floats) -> Floats:
    return np.interp(hour, np.arange(24) + 0.5, SHAPES[shape], period=24.0)
