"""What a closed bucket says of each series of a channel: one value, or that nothing came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from ruptura.core.contracts.event import MAX_MAGNITUDE
from ruptura.core.series.extraction import TicketTotals, extract
from ruptura.core.series.registry import Registry

SentAs = Literal["value", "ratio"]
"""How a metric is sent: as a value, or as numerator and denominator; its first event decides."""


class MetricTotals(msgspec.Struct, frozen=True, gc=False):
    """What the measurements of one metric in a closed bucket add up to.

    Attributes:
        samples: How many there were, over 0.
        amount: Sum of values, or of numerators.
        size: Sum of denominators; 0 for plain values.
    """

    samples: int
    amount: float
    size: float


class Observation(NamedTuple):
    """What one series holds in one closed bucket.

    Attributes:
        value: Events, numerator, or level, in base units.
        size: Denominator of a ratio (over 0); 1 otherwise.
    """

    value: float
    size: float = 1.0


class Observations(msgspec.Struct, frozen=True, gc=False):
    """All series of a channel in one closed bucket.

    Attributes:
        tickets: Those made of tickets, by name; means of nothing are left out.
        metrics: One for each metric that was ever measured, by name; None where nothing was.
        has_measurements: Whether any metric came at all.
        handled: Contacts whose handle time is known.
    """

    tickets: Sequence[tuple[str, Observation]]
    metrics: Sequence[tuple[str, Observation | None]]
    has_measurements: bool
    handled: int


def observe(
    registry: Registry,
    tickets: TicketTotals | None,
    metrics: Mapping[str, MetricTotals | None],
    sent_as: Mapping[str, SentAs],
) -> Observations:
    """Make series of what a closed bucket of a channel adds up to.

    Args:
        registry: What is known of series.
        tickets: Of ticket events; None while there never were any.
        metrics: By metric; None where it did not come.
        sent_as: How each metric is sent.
    """
    measured = [
        (metric, _observation(registry, metric, totals, sent_as[metric]))
        for metric, totals in metrics.items()
    ]
    return Observations(
        ()
        if tickets is None
        else [
            (series, Observation(float(value), size))  # a count that came back may be whole
            for series, value, size in extract(registry.tickets, tickets)
        ],
        measured,
        any(totals is not None for totals in metrics.values()),
        0 if tickets is None else tickets.handled,
    )


def _observation(
    registry: Registry, metric: str, totals: MetricTotals | None, sent_as: SentAs
) -> Observation | None:
    """Return what a metric holds; None where the bucket tells nothing.

    A producer that mixes ratios and plain values under one name must not leave the range of
    either.
    """
    if totals is None:
        return None
    amount, size = totals.amount, totals.size
    if sent_as == "ratio":
        return Observation(min(max(amount, 0.0), size), size) if size > 0.0 else None
    if registry.metric(metric, is_ratio=False).family == "count":
        return Observation(max(float(amount), 0.0))
    level = amount / size if size > 0.0 else amount / totals.samples
    return Observation(min(max(level, -MAX_MAGNITUDE), MAX_MAGNITUDE))
