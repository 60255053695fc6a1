"""What happens to a channel, minute by minute: the state of the world behind the records."""

from __future__ import annotations

import numpy as np

from ruptura.simulator.scenario import Channel, ExceptionKind
from ruptura.simulator.timeline import Bools, Floats

KINDS: tuple[ExceptionKind, ...] = ("product", "service", "policy")


class Curves:
    """What ruptures and other happenings change, by minute of the recording.

    Attributes:
        demand: Factor of the contacts that customers begin.
        planned: Factor of the demand that agents are planned for.
        blocked: Share of contacts that do not get in, beside failing requests.
        failing: Share of failing requests.
        requests: Factor of the requests that reach the platform.
        latency: Factor of the platform's latency.
        heartbeats: Factor of the signs of life.
        staff: Factor of the agents that are there.
        handling: Factor of the handle time.
        containment: Factor of what the bot ends by itself.
        exceptions: Factor of the ordinary rate of exceptions, by kind.
        reports_tickets, reports_metrics: Whether events of that topic are reported.
    """

    def __init__(self, channel: Channel, minutes: int) -> None:
        self.demand: Floats = np.ones(minutes)
        self.planned: Floats = np.ones(minutes)
        self.blocked: Floats = np.zeros(minutes)
        self.failing: Floats = np.full(minutes, channel.platform.errors_ratio)
        self.requests: Floats = np.ones(minutes)
        self.latency: Floats = np.ones(minutes)
        self.heartbeats: Floats = np.ones(minutes)
        self.staff: Floats = np.ones(minutes)
        self.handling: Floats = np.ones(minutes)
        self.containment: Floats = np.ones(minutes)
        self.exceptions: dict[ExceptionKind, Floats] = {kind: np.ones(minutes) for kind in KINDS}
        self.reports_tickets: Bools = np.ones(minutes, np.bool_)
        self.reports_metrics: Bools = np.ones(minutes, np.bool_)


def ramp(minutes: int, onset: int, grown: int, ends: int, power: float = 1.0) -> Floats:
    """Return a curve from 0 at the onset to 1 once grown, and 0 again from its end.

    Args:
        minutes: Length of the curve.
        onset, grown, ends: Minutes of the recording.
        power: 1 grows evenly, more grows late.
    """
    at = np.arange(minutes, dtype=np.float64)
    grows = np.clip((at - onset + 1.0) / max(grown - onset, 1), 0.0, 1.0) ** power
    return np.where((at >= onset) & (at < ends), grows, 0.0)
