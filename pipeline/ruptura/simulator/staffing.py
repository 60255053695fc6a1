"""Agents by shift: how many are planned, how many come, and who works when."""

from __future__ import annotations

import numpy as np

from ruptura.simulator.curves import Curves
from ruptura.simulator.scenario import Channel
from ruptura.simulator.timeline import MINUTE, Bools, Floats, Ints

_SHIFT_STEP = 60  # minutes; plans are made by the hour

_RESERVE = 1.5  # standard deviations of the absences that the plan allows for

Shift = tuple[float, float]
"""When an agent may take contacts, in seconds since the begin of the recording."""


def agents_present(
    channel: Channel, ordinary: Floats, opened: Bools, curves: Curves, rng: np.random.Generator
) -> Ints:
    """Return how many agents are signed in, by minute.

    Args:
        channel: Whose agents.
        ordinary: Contacts a minute that planners expect on ordinary days.
        opened: When the channel is open.
        curves: What is planned for, and who stays away.
        rng: For absences.
    """
    if channel.agents:
        present = np.full(len(ordinary), channel.agents)
    else:
        present = rng.binomial(_planned(channel, ordinary * curves.planned), _presence(channel))
        present = np.repeat(np.maximum(present, 1), _SHIFT_STEP)
    there: Ints = np.rint(present * curves.staff).astype(np.int64)
    there[~opened] = 0
    return there


def _presence(channel: Channel) -> float:
    return 1.0 - channel.absence_ratio


def _planned(channel: Channel, expected: Floats) -> Ints:
    """Return the agents on the plan by hour, those included who will be away."""
    contained = 0.0 if channel.bot is None else channel.bot.containment_ratio
    work = (1.0 - contained) * (1.0 + channel.reopened_ratio) * channel.handle_seconds / MINUTE
    hourly = expected.reshape(-1, _SHIFT_STEP)
    # The second half of an hour may ask for more than its mean.
    load = np.maximum(hourly[:, :30].mean(axis=1), hourly[:, 30:].mean(axis=1)) * work
    wanted = np.maximum(np.ceil(load + channel.staffing * np.sqrt(load)), 1.0)
    spare = _RESERVE * np.sqrt(wanted * channel.absence_ratio)
    planned: Ints = np.ceil((wanted + spare) / _presence(channel)).astype(np.int64)
    return planned


def shifts(present: Ints) -> list[Shift]:
    """Cut the number of agents into shifts: those who came last leave first."""
    found: list[Shift] = []
    for agent in range(int(present.max(initial=0))):
        there = np.concatenate(([False], present > agent, [False]))
        edges = np.flatnonzero(there[1:] != there[:-1]) * MINUTE
        found.extend(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    return found
