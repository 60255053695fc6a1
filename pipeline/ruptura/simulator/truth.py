"""When customers feel a rupture, and when they no longer do: the simulated truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from ruptura.simulator.curves import KINDS, Curves
from ruptura.simulator.figures import Figures
from ruptura.simulator.happenings import Happening
from ruptura.simulator.scenario import Channel, Objectives
from ruptura.simulator.timeline import Bools, Floats, Numbers

_SERVICE_LEVEL_MINUTES: Final = 30
_SHORT_MINUTES: Final = 10
_LEAST_CONTACTS: Final = 10
"""Fewer in the window are no service level, nor an abandonment ratio."""
_SETTLED_MINUTES: Final = 10
"""What has been kept for so long after the cause is gone is back to normal."""
_FELT_AT_ONCE: Final = ("outage", "silent_feed")
_WAITS: Final = ("service_level", "abandonment")
_FAILURES: Final = ("errors", "latency")
_THREATENS: Final[dict[str, tuple[str, ...]]] = {
    "outage": (*_WAITS, *_FAILURES),
    "silent_feed": (),
    "error_creep": ("errors",),
    "latency_creep": ("latency",),
    "platform_migration": _FAILURES,
    "bot_release": _WAITS,
    "staffing_shortage": _WAITS,
    "demand_surge": _WAITS,
    "slow_backlog": _WAITS,
    "exceptions_product": ("exceptions_product",),
    "exceptions_service": ("exceptions_service",),
    "exceptions_policy": ("exceptions_policy",),
}
"""The objectives that a rupture can break; others are broken by chance now and then."""


class Truth:
    """The state of a channel against its objectives, by minute.

    Failures, latency and exceptions are those that the world holds ready for whoever comes,
    without the noise of the few who do; waits are those of the contacts there were.

    Args:
        channel: Which.
        objectives: What its customers are promised.
        curves: What the world did to it.
        figures: What came of it.
    """

    def __init__(
        self, channel: Channel, objectives: Objectives, curves: Curves, figures: Figures
    ) -> None:
        ended = figures.answered + figures.given_up
        failing = _mean(curves.failing)
        latency = _mean(channel.platform.request_seconds * curves.latency)
        self._violated: dict[str, Bools] = {
            "errors": failing > objectives.errors_ratio,
            "latency": latency > objectives.request_seconds,
            "service_level": _ratio_below(
                figures.in_time, figures.due, _SERVICE_LEVEL_MINUTES, objectives.service_level_ratio
            ),
            "abandonment": _ratio_below(
                figures.answered, ended, _SHORT_MINUTES, 1.0 - objectives.abandonment_ratio
            ),
        }
        for kind in KINDS:
            wave = _mean(curves.exceptions[kind]) > objectives.exceptions_factor
            self._violated[f"exceptions_{kind}"] = wave

    def violated(self, kind: str) -> Bools:
        """Whether any objective is violated that a kind of rupture threatens, by minute."""
        minutes = len(self._violated["errors"])
        found = [self._violated[name] for name in _THREATENS[kind]]
        return np.logical_or.reduce(found) if found else np.zeros(minutes, np.bool_)


def breach(happening: Happening, truths: Mapping[str, Truth]) -> int | None:
    """Return the minute at whose end customers have first felt a rupture.

    That is the end of the first minute, from the onset on, at which a rolling objective that it
    threatens is violated on a channel in which it is caused; of an outage or a silence, the onset
    itself.

    Args:
        happening: The rupture.
        truths: By channel of the service.
    """
    if happening.kind in _FELT_AT_ONCE:
        return happening.onset
    until = happening.ends + _SERVICE_LEVEL_MINUTES
    found: list[int] = []
    for name in happening.channels:
        minutes = np.flatnonzero(truths[name].violated(happening.kind)[happening.onset : until])
        found += (happening.onset + minutes[:1] + 1).tolist()
    return min(found, default=None)


def settled(happening: Happening, channels: Sequence[str], truths: Mapping[str, Truth]) -> int:
    """Return the minute at which the last effect of a rupture is gone.

    Args:
        happening: The rupture.
        channels: Where it can be seen.
        truths: By channel of the service.
    """
    last = happening.ends
    for name in channels:
        violated = truths[name].violated(happening.kind)
        minute, calm = happening.ends, 0
        while minute < len(violated) and calm < _SETTLED_MINUTES:
            calm = 0 if violated[minute] else calm + 1
            minute += 1
        last = max(last, minute - calm)
    return last


def _ratio_below(part: Numbers, whole: Numbers, minutes: int, least: float) -> Bools:
    all_of_it = _rolling(whole, minutes)
    below: Bools = (_rolling(part, minutes) < least * all_of_it) & (all_of_it >= _LEAST_CONTACTS)
    return below


def _mean(values: Floats) -> Floats:
    return _rolling(values, _SHORT_MINUTES) / _SHORT_MINUTES


def _rolling(values: Numbers, minutes: int) -> Floats:
    """Add up the last minutes, each included; at the begin what there is stands for all."""
    padded = np.concatenate((np.full(minutes - 1, values[0]), values)).astype(np.float64)
    total = np.cumsum(padded)
    total[minutes:] = total[minutes:] - total[:-minutes]
    return total[minutes - 1 :]
