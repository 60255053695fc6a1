"""Who begins a contact, and when."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from ruptura.simulator.curves import KINDS, Curves
from ruptura.simulator.scenario import Channel, ExceptionKind
from ruptura.simulator.timeline import MINUTE, Floats, Ints

PLAIN: Final = len(KINDS)
"""The code of a contact without an exception; the others are indexes of `KINDS`."""


class Arrivals(msgspec.Struct, frozen=True):
    """Contacts that customers begin, in order of time.

    Attributes:
        at: Seconds since the begin of the recording.
        channel: Index among the channels.
        exception: Index of `KINDS`, or `PLAIN`.
    """

    at: list[float]
    channel: list[int]
    exception: list[int]


def exception_rate(channel: Channel, kind: ExceptionKind, demand: Floats, curves: Curves) -> Floats:
    """Return contacts a minute with a kind of exception; a wave comes on top of the demand."""
    return demand * channel.exceptions.get(kind, 0.0) * curves.exceptions[kind]


def draw_arrivals(
    channel: Channel, demand: Floats, curves: Curves, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Draw the contacts of a channel from a Poisson process whose rate changes by the minute.

    Args:
        channel: Whose.
        demand: Contacts a minute, all that changes them but waves of exceptions included.
        curves: Those waves.
        rng: Of this channel.

    Returns:
        Seconds since the begin of the recording, and codes of exceptions.
    """
    plain = demand * (1.0 - sum(channel.exceptions.values()))
    rates = [exception_rate(channel, kind, demand, curves) for kind in KINDS]
    times: list[Floats] = []
    codes: list[Ints] = []
    for code, rate in enumerate((*rates, plain)):
        counts = rng.poisson(rate)
        minutes = np.repeat(np.arange(len(rate), dtype=np.float64), counts)
        times.append((minutes + rng.random(minutes.size)) * MINUTE)
        codes.append(np.full(minutes.size, code, np.int64))
    return np.concatenate(times), np.concatenate(codes)


def merge(drawn: list[tuple[Floats, Ints]]) -> Arrivals:
    """Merge the contacts of all channels by time."""
    at = np.concatenate([times for times, _ in drawn])
    codes = np.concatenate([found for _, found in drawn])
    channel = np.repeat(np.arange(len(drawn)), [times.size for times, _ in drawn])
    order = np.argsort(at, kind="stable")
    return Arrivals(at[order].tolist(), channel[order].tolist(), codes[order].tolist())
