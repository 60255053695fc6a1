"""The metrics that a channel reports each minute, from its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from ruptura.core.series.registry import Measure
from ruptura.simulator.documents import Born, Metric, Stamps, encode
from ruptura.simulator.figures import Figures
from ruptura.simulator.scenario import Channel, Delivery
from ruptura.simulator.timeline import DAY_MINUTES, MINUTE, Bools, Numbers

_RECENT = 5  # minutes over which means of few contacts are taken
_PHASE = (15.0, 45.0)  # second of the minute in which a channel reports

Ratio = tuple[Numbers, Numbers]
"""Numerators and denominators by minute."""


def _recent(values: Numbers) -> Numbers:
    """Add up the last minutes."""
    sums: Numbers = np.convolve(values, np.ones(_RECENT))[: len(values)]
    return sums


def _mean(total: Numbers, count: Numbers) -> Numbers:
    """Return means over the last minutes; NaN where there was nothing."""
    total, count = _recent(total), _recent(count)
    means: Numbers = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return means


RATIOS: Final[dict[Measure, Callable[[Figures], Ratio]]] = {
    "errors": lambda f: (f.errors, f.requests),
    "service_level": lambda f: (f.in_time, f.due),
    "abandonment": lambda f: (f.given_up, f.answered + f.given_up),
    "bot_fallback": lambda f: (f.fallbacks, f.turns),
    "bot_containment": lambda f: (f.contained, f.sessions),
    "delivery": lambda f: (f.delivered, f.sent),
}
"""Reported as both counts, also where there was nothing to count."""

VALUES: Final[dict[Measure, Callable[[Figures], Numbers]]] = {
    "platform_requests": lambda f: f.requests,
    "latency": lambda f: np.where(f.requests > 0, f.latency, np.nan),
    "saturation": lambda f: np.minimum(0.2 + 0.5 * f.requests / f.requests.max(), 1.0),
    "waiting_contacts": lambda f: f.queue,
    "oldest_wait": lambda f: f.oldest,
    "wait": lambda f: _mean(f.waited, f.answered),
    "handle_time": lambda f: _mean(f.worked, (f.worked > 0).astype(np.float64)),
    "agents": lambda f: np.maximum(f.agents, f.busy),
    "occupancy": lambda f: f.busy / np.maximum(np.maximum(f.agents, f.busy), 1),
    "signs_of_life": lambda f: f.heartbeats,
    "orders": lambda f: f.purchases,
}
"""Reported as a number; nothing where it is NaN."""


def report(
    index: int,
    channel: Channel,
    figures: Figures,
    *,
    measures: Mapping[str, Measure],
    reported: Bools,
    delivery: Delivery,
    stamps: Stamps,
    rng: np.random.Generator,
) -> list[Born]:
    """Return the reports of a channel's metrics.

    Args:
        index: Among the channels.
        channel: Which.
        figures: Its minutes.
        measures: What each metric measures.
        reported: Whether metrics are reported at all, by minute.
        delivery: How many reports are missing, and how steady their moment is.
        stamps: Times of documents.
        rng: For these.
    """
    minutes = len(reported)
    phase = rng.uniform(*_PHASE)
    jitter = rng.standard_normal(minutes) * delivery.jitter_seconds
    # A report is about the minute that ended before it.
    at = (np.arange(minutes) + 1.0) * MINUTE + np.clip(phase + jitter, 0.0, MINUTE - 0.01)
    made = (at < stamps.seconds) & (np.arange(minutes) >= channel.begins_day * DAY_MINUTES)
    made[made] = reported[(at[made] // MINUTE).astype(np.int64)]
    born: list[Born] = []
    for metric in channel.metrics:
        sent = made & (rng.random(minutes) >= delivery.gap_ratio)
        measure = measures[metric]
        ratio = RATIOS.get(measure)
        if ratio is not None:
            numerator, denominator = ratio(figures)
            columns = [numerator[sent].tolist(), denominator[sent].tolist()]
        else:
            values = np.asarray(VALUES[measure](figures), np.float64)
            sent &= np.isfinite(values)
            columns = [np.round(values[sent], 3).tolist()]
        prefix = f"{channel.name}-{metric}-"
        for minute, moment, *numbers in zip(
            np.flatnonzero(sent).tolist(), at[sent].tolist(), *columns, strict=True
        ):
            parts = numbers if ratio is None else (None, *numbers)
            document = Metric(
                f"{prefix}{minute:x}",
                stamps.at(moment),
                channel.service,
                channel.name,
                metric,
                *parts,
            )
            born.append(Born(moment, index, encode(document)))
    return born
