"""What a seed makes of the tables of a scenario: when, where, how much."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from ruptura.simulator.curves import Curves, ramp
from ruptura.simulator.scenario import (
    ExceptionKind,
    NonEventTable,
    Range,
    RuptureTable,
    Timing,
)
from ruptura.simulator.timeline import Timeline

GRADUAL_MINUTES = 15.0
"""What grows for so long can be seen before it is felt."""

_MOST_POWER = 1.8
_SPELL_MINUTES = (4, 18)  # of good and of bad minutes in a migration
_EXCEPTIONS: dict[str, ExceptionKind] = {
    "exceptions_product": "product",
    "exceptions_service": "service",
    "exceptions_policy": "policy",
}


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """A rupture or something else, as drawn.

    Attributes:
        name, kind: Of its table.
        channels: Where it is caused.
        onset, grown, ends: Minutes of the recording.
        size: Severity of a rupture, factor of anything else.
        power: How late it grows, from 1 (evenly).
        feed: What goes missing in a silent feed.
    """

    name: str
    kind: str
    channels: list[str]
    onset: int
    grown: int
    ends: int
    size: float
    power: float = 1.0
    feed: str = ""

    @property
    def gradual(self) -> bool:
        """Whether it grows from nothing."""
        return self.grown - self.onset >= GRADUAL_MINUTES


def draw_rupture(table: RuptureTable, timeline: Timeline, rng: np.random.Generator) -> Happening:
    """Draw when, where and how much."""
    channels = list(table.channels)
    if table.choose:
        chosen = rng.choice(len(channels), table.choose, replace=False)
        channels = [channels[index] for index in sorted(chosen.tolist())]
    onset, duration = _when(table, timeline, rng)
    return Happening(
        name=table.name,
        kind=table.kind,
        channels=channels,
        onset=onset,
        grown=onset + round(_between(table.ramp_minutes, rng)),
        ends=min(onset + duration, timeline.minutes),
        size=_between(table.severity, rng),
        power=float(rng.uniform(1.0, _MOST_POWER)),
        feed=str(table.feed[int(rng.integers(len(table.feed)))]),
    )


def draw_non_event(table: NonEventTable, timeline: Timeline, rng: np.random.Generator) -> Happening:
    """Draw when and how much."""
    onset, duration = _when(table, timeline, rng)
    return Happening(
        name=table.name,
        kind=table.kind,
        channels=list(table.channels),
        onset=onset,
        grown=onset,
        ends=min(onset + duration, timeline.minutes),
        size=_between(table.factor, rng),
    )


def _when(table: Timing, timeline: Timeline, rng: np.random.Generator) -> tuple[int, int]:
    day = int(rng.integers(table.day[0], table.day[1], endpoint=True))
    onset = timeline.minute_at(day, _between(table.hour, rng))
    return onset, max(round(_between(table.duration_minutes, rng)), 1)


def _between(bounds: Range, rng: np.random.Generator) -> float:
    return float(rng.uniform(bounds[0], bounds[1]))


def apply_rupture(
    happening: Happening, curves: Mapping[str, Curves], rng: np.random.Generator
) -> None:
    """Let a rupture change the channels in which it is caused.

    Args:
        happening: As drawn.
        curves: By channel of the service; changed.
        rng: For what differs between channels and minutes.
    """
    for name in happening.channels:
        _ruin(happening, curves[name], rng)


def _ruin(happening: Happening, curves: Curves, rng: np.random.Generator) -> None:
    minutes = len(curves.demand)
    span = slice(happening.onset, happening.ends)
    size = happening.size
    grows = ramp(minutes, happening.onset, happening.grown, happening.ends, happening.power)
    match happening.kind:
        case "outage":
            curves.blocked[span] = size
            if rng.random() < 0.5:  # nothing reaches the platform any more, or it answers nothing
                curves.requests[span] *= 1.0 - size
                curves.heartbeats[span] *= 1.0 - size
            else:
                curves.failing[span] = size
        case "error_creep":
            curves.failing = np.maximum(curves.failing, size * grows)
        case "latency_creep":
            curves.latency *= 1.0 + (size - 1.0) * grows
            # Agents wait for their screens, too.
            curves.handling *= 1.0 + 0.05 * (size - 1.0) * grows
        case "silent_feed":
            reports = (
                curves.reports_tickets if happening.feed == "tickets" else curves.reports_metrics
            )
            reports[span] = False
        case "bot_release":
            curves.containment *= 1.0 - size * grows
        case "platform_migration":
            _migrate(happening, curves, rng)
        case "staffing_shortage" | "slow_backlog":
            curves.staff *= 1.0 - size * grows
        case "demand_surge":
            curves.demand *= 1.0 + (size - 1.0) * grows
        case kind:
            curves.exceptions[_EXCEPTIONS[kind]] *= 1.0 + (size - 1.0) * grows


def _migrate(happening: Happening, curves: Curves, rng: np.random.Generator) -> None:
    """Bad spells take turns with good ones; the new platform is slower throughout."""
    curves.latency[happening.onset : happening.ends] *= float(rng.uniform(1.3, 2.5))
    minute, bad = happening.onset, True
    while minute < happening.ends:
        until = min(minute + int(rng.integers(*_SPELL_MINUTES)), happening.ends)
        if bad:
            curves.failing[minute:until] = happening.size
            curves.heartbeats[minute:until] *= 0.8
        minute, bad = until, not bad


def apply_non_event(happening: Happening, curves: Mapping[str, Curves]) -> None:
    """Let something that is no rupture change its channels."""
    for name in happening.channels:
        curve = curves[name]
        span = slice(happening.onset, happening.ends)
        if happening.kind == "maintenance":
            curve.blocked[span] = 1.0
            curve.requests[span] = 0.0
            curve.heartbeats[span] = 0.0
        elif happening.kind in {"holiday", "campaign", "level_change"}:
            curve.demand[span] *= happening.size
            curve.planned[span] *= happening.size
