"""The queue of contacts before agents in its steady state: Erlang B, C and A.

Erlang A has exponential patience (M/M/n+M). Its measures are written with the integrals of the
M/M/n+G queue: Zeltyn & Mandelbaum, Call centers with impatient customers: many-server asymptotics
of the M/M/n+G queue, Queueing Systems 51 (2005), section 2; Garnett, Mandelbaum & Reiman,
Designing a call center with impatient customers, MSOM 4(3), 2002. Without patience to lose it is
Erlang C. Unit of time: the mean handle time (AHT) of a contact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
from scipy.special import gammaincc, gammaln

_INTERVALS: Final = 200
_NODES: Final = np.linspace(0.0, 1.0, _INTERVALS + 1)
# Simpson's rule in the square root of x: nodes lie closer where the integrand falls fast.
_SQUARES: Final = _NODES * _NODES
_SIMPSON: Final = np.where(np.arange(_INTERVALS + 1) % 2, 4.0, 2.0) * 2.0 * _NODES / _INTERVALS / 3
_SIMPSON[-1] /= 2.0
_NEGLIGIBLE: Final = 40.0
"""An exponent so far below the largest adds nothing to an integral (e^-40 = 4e-18)."""

_RAREST: Final = 1e-280

_LOADS: Final = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0)
"""Offered load per agent at which a table is drawn up."""


class Steady(msgspec.Struct, frozen=True, gc=False):
    """The steady state of a queue.

    Attributes:
        delayed: Probability that a contact has to wait.
        abandoned: Share of contacts that give up.
        late: Share of contacts that are not answered within the target time.
        wait: Mean wait of all contacts, in units of the AHT.
        queue: Mean number of contacts that wait.
        present: Mean number of contacts in the system.
    """

    delayed: float
    abandoned: float
    late: float
    wait: float
    queue: float
    present: float


def blocking(load: float, agents: int) -> float:
    """Erlang B: the probability that all agents are busy where nobody waits.

    Args:
        load: Offered load in erlangs, over 0.
        agents: 0 or more.
    """
    if load > agents:  # the closed form would divide nothing by nothing
        inverse = 1.0
        for served in range(1, agents + 1):
            inverse = 1.0 + served / load * inverse
        return 1.0 / inverse
    logarithm = agents * math.log(load) - load - float(gammaln(agents + 1))
    return math.exp(logarithm) / float(gammaincc(agents + 1, load))


def delayed(load: float, agents: int) -> float:
    """Erlang C: the probability of a wait where nobody gives up; 1 for a load of `agents` or more.

    Args:
        load: Offered load in erlangs, over 0.
        agents: 1 or more.
    """
    if load >= agents:
        return 1.0
    busy = blocking(load, agents)
    return busy / (1.0 - load / agents * (1.0 - busy))


def steady(load: float, agents: int, patience: float, target: float) -> Steady:
    """Erlang A, the steady state with patience.

    Args:
        load: Offered load in erlangs, over 0.
        agents: 1 or more.
        patience: Mean patience in units of the AHT, over 0.
        target: Time within which a contact should be answered, in units of the AHT.
    """
    # Exponent of the integrand: load * integral of the survival of patience, less agents * x.
    peak = patience * math.log(load / agents) if load > agents else 0.0
    end = peak
    while _exponent(end, load, agents, patience) > (
        _exponent(peak, load, agents, patience) - _NEGLIGIBLE
    ):
        end = 2.0 * end + 1.0 / agents
    highest = _exponent(peak, load, agents, patience)
    # Two integrals of one function: up to the target, and beyond it.
    target = min(target, end)
    early = _integral(0.0, target, highest, load, agents, patience)
    beyond = _integral(target, end, highest, load, agents, patience)
    whole = early + beyond
    # All are scaled by exp(-highest); so is what stands for an idle agent.
    idle = math.exp(-highest) / (load * max(blocking(load, agents - 1), _RAREST))
    total = idle + whole
    waits = whole / total
    lost = (math.exp(-highest) + (load - agents) * whole) / (load * total)
    at_target = math.exp(_exponent(target, load, agents, patience) - highest)
    # Answered after a wait of no more than the target; integrated by parts.
    soon = (at_target - math.exp(-highest) + agents * early) / (load * total)
    abandoned = min(max(lost, 0.0), 1.0)
    queue = abandoned * load * patience
    return Steady(
        delayed=waits,
        abandoned=abandoned,
        late=min(max(waits - soon, 0.0), 1.0),
        wait=queue / load,
        queue=queue,
        present=load * (1.0 - abandoned) + queue,
    )


class Table(msgspec.Struct, frozen=True):
    """What a mean number of contacts in the system means for their waits; all columns rise.

    Attributes:
        present: Mean number in the system.
        late: Share of contacts not answered within the target time.
        abandoned: Share of contacts that give up.
    """

    present: Sequence[float]
    late: Sequence[float]
    abandoned: Sequence[float]


@lru_cache(maxsize=4096)
def table(agents: int, patience: float, target: float) -> Table:
    """Draw up the steady states of a queue for loads from light to three times too heavy.

    Args:
        agents: 1 or more.
        patience: Mean patience in units of the AHT, over 0.
        target: Time within which a contact should be answered, in units of the AHT.
    """
    states = [steady(share * agents, agents, patience, target) for share in _LOADS]
    return Table(
        [state.present for state in states],
        [state.late for state in states],
        [state.abandoned for state in states],
    )


def _exponent(x: float, load: float, agents: int, patience: float) -> float:
    return load * patience * -math.expm1(-x / patience) - agents * x


def _integral(
    start: float, end: float, highest: float, load: float, agents: int, patience: float
) -> float:
    if end <= start:
        return 0.0
    x = start + (end - start) * _SQUARES
    y = np.exp(load * patience * -np.expm1(-x / patience) - agents * x - highest)
    return (end - start) * float(y @ _SIMPSON)
