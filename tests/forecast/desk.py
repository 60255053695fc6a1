"""A small seeded desk of agents: what it reports each minute, as an forecaster reads it.

Contacts come as a Poisson process whose rate may change, handle times and patience are
exponential, agents may leave: M(t)/M/n(t)+M, event by event.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from random import Random

from ruptura.core.series.registry import Measure

MINUTE = 60.0


class Desk:
    """One queue before agents, minute by minute.

    Args:
        seed: Of all chance.
        per_minute: Contacts a minute, at a time in seconds.
        agents: How many there are, at a time in seconds.
        aht, patience: Means, in seconds.
        target: Time within which a contact should be answered.
    """

    def __init__(
        self,
        seed: int,
        per_minute: Callable[[float], float],
        agents: Callable[[float], int],
        *,
        aht: float,
        patience: float,
        target: float,
    ) -> None:
        self.chance = Random(seed)
        self.per_minute, self.agents = per_minute, agents
        self.aht, self.patience, self.target = aht, patience, target
        self.now = 0.0
        self.busy: list[float] = []  # when each contact in service ends
        self.waiting: deque[tuple[float, float]] = deque()  # came, gives up

    def minute(self) -> dict[Measure, tuple[float, float]]:
        """Let a minute pass and report it."""
        end = self.now + MINUTE
        opened = abandoned = answered = soon = handled = 0
        seconds = area = 0.0
        coming = self._next_arrival(self.now, end)
        while True:
            ends = self.busy[0] if self.busy else end
            gives_up = min((up for _, up in self.waiting), default=end)
            at = min(coming, ends, gives_up, end)
            area += len(self.waiting) * (at - self.now)
            self.now = at
            if at >= end:
                break
            if at == coming:
                opened += 1
                leaves = at + self.chance.expovariate(1.0 / self.patience)
                self.waiting.append((at, leaves))
                coming = self._next_arrival(at, end)
            elif at == ends:
                heapq.heappop(self.busy)
                handled += 1
            else:
                self.waiting = deque(c for c in self.waiting if c[1] > at)
                abandoned += 1
            while self.waiting and len(self.busy) < self.agents(at):
                came, _ = self.waiting.popleft()
                length = self.chance.expovariate(1.0 / self.aht)
                seconds += length
                answered += 1
                soon += at - came <= self.target
                heapq.heappush(self.busy, at + length)
        readings: dict[Measure, tuple[float, float]] = {
            "opened_contacts": (float(opened), 0.0),
            "abandoned_contacts": (float(abandoned), 0.0),
            "waiting_contacts": (float(len(self.waiting)), 0.0),
            "agents": (float(self.agents(self.now)), 0.0),
            "oldest_wait": (
                self.now - self.waiting[0][0] if self.waiting else 0.0,
                0.0,
            ),
        }
        if answered:
            readings["handle_time"] = (seconds / answered, float(answered))
        if answered + abandoned:
            ended = float(answered + abandoned)
            readings["service_level"] = (float(soon), ended)
            readings["abandonment"] = (float(abandoned), ended)
        return readings

    def _next_arrival(self, at: float, end: float) -> float:
        # The rate stands still within a minute.
        rate = self.per_minute(end - MINUTE) / MINUTE
        return at + self.chance.expovariate(rate) if rate > 0.0 else end + 1.0
