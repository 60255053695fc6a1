"""The queue of a channel in front of its agents: first come, first served, with patience."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heapreplace

from ruptura.simulator.staffing import Shift


class Desk:
    """A queue with many servers and abandonment (G/G/n+G).

    Who is offered in order of arrival finds the agent who has been free for longest; how long
    that takes is known at once, since whoever comes later waits behind (Baccelli & Hebuterne, On
    Queues with Impatient Customers, Performance 1981). An agent ends a contact that outlasts the
    shift, and begins none after it.

    Args:
        shifts: Of the agents.
    """

    def __init__(self, shifts: Iterable[Shift]) -> None:
        self._free = list(shifts)  # (when the agent is next free, when the shift ends)
        heapify(self._free)

    def offer(self, now: float, patience: float, handling: float) -> float | None:
        """Offer a contact, in order of time.

        Args:
            now: When it enters the queue; never less than before. Seconds.
            patience: How long it waits.
            handling: How long an agent will take.

        Returns:
            When an agent takes it; None if it is given up first.
        """
        free = self._free
        while free:
            free_at, leaves = free[0]
            begins = max(free_at, now)
            if begins >= leaves:
                heappop(free)  # went home; whoever comes later comes too late as well
                continue
            if begins - now > patience:
                return None
            heapreplace(free, (begins + handling, leaves))
            return begins
        return None
