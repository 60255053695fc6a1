"""The signals of a channel become one probability, with the terms that add up to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from ruptura.core.contracts.document import Direction, Kind
from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.contracts.event import ExceptionKind
from ruptura.core.contracts.facts import Deviation, Facts, Prior, Repetition, Term
from ruptura.core.detect.signals import Signal
from ruptura.core.series.registry import Registry

_MOST_EVIDENCE: Final = 40.0
"""Log-odds beyond which one family's evidence adds nothing that could change a decision."""

_REPEATED: Final = 0.25
"""What evidence of contacts beyond that of distinct customers counts: one customer who repeats
costs time, but is no rupture. A prior, not a measurement."""

_LEAST_DAMPING: Final = 0.5
"""Log-odds that are worth a term."""

_KNOWN: Final = 0.5
"""Customers over contacts, of what is expected, under which too few are named to judge by."""


class Risk(msgspec.Struct, frozen=True, gc=False):
    """The probability of a rupture of one channel, and why.

    Attributes:
        probability: In [0, 1].
        causes: The terms, in natural log-odds; their sum is the logit of the probability.
        kind: The family that is dominant; None without signals.
        signals: All signals, strongest first.
        exception: Kind of the exceptions that the strongest of their signals counts, if any.
        began: The earliest `since` of the signals that the causes name; None if they name none.
    """

    probability: float
    causes: Sequence[Term]
    kind: Kind | None
    signals: Sequence[Signal]
    exception: ExceptionKind | None = None
    began: float | None = None


def evidence(probability: float) -> float:
    """Return the log of the largest Bayes factor that a tail probability allows.

    -1 / (e p ln p) for p < 1/e: Sellke, Bayarri & Berger, Calibration of p Values for Testing
    Precise Null Hypotheses, The American Statistician 55 (2001).
    """
    if probability >= 1.0 / math.e:
        return 0.0
    return min(-math.log(-math.e * probability * math.log(probability)), _MOST_EVIDENCE)


def combine(
    signals: Sequence[Signal],
    prior: float,
    registry: Registry,
    *,
    points: Sequence[SeriesPoint] = (),
    siblings: Sequence[Term] = (),
) -> Risk:
    """Combine the strongest signal of each family, as if the families were independent.

    Signals of one family, of one series, or of the number of contacts in one direction are about
    the same thing: the strongest counts. A signal that is a probability of rupture by itself (a
    forecast) adds what the others lack of it.

    Args:
        signals: Of one channel and bucket.
        prior: Probability of a rupture without any evidence, in (0, 1).
        registry: What the series speak for and measure.
        points: Of the same bucket, for what is only evidence together with a signal.
        siblings: Terms that the other channels of the service add; nothing without a signal here.
    """
    if not signals:
        return _calm(prior)
    ranked = sorted(
        signals,
        key=lambda signal: (-_strength(signal), signal.series, signal.kind, signal.direction),
    )
    causes = list(_calm(prior).causes)
    dominant: tuple[float, Kind] | None = None
    kinds: set[Kind] = set()
    counted: set[str | Direction] = set()
    forecast: tuple[float, Signal] | None = None
    began = math.inf
    for signal in ranked:
        if signal.log_odds is not None:
            if forecast is None or signal.log_odds > forecast[0]:
                forecast = signal.log_odds, signal
            continue
        is_volume = registry.role(signal.series) == "contacts"
        volume = signal.direction if is_volume else signal.series
        if signal.kind in kinds or signal.series in counted or volume in counted:
            continue
        kinds.add(signal.kind)
        counted |= {signal.series, volume}
        term = _strength(signal)
        causes.append(Term(f"{signal.kind}:{signal.series}", term, _facts(signal)))
        began = min(began, signal.since)
        damping = _repetition(signal, ranked, points, registry)
        if damping is not None:
            causes.append(damping)
            term += damping.contribution
        if dominant is None or term > dominant[0]:
            dominant = term, signal.kind
    causes.extend(siblings)
    total = sum(cause.contribution for cause in causes)
    if forecast is not None and forecast[0] > total:
        # The same data speak in both, so they do not add up: the larger probability stands.
        term, signal = forecast[0] - total, forecast[1]
        total = forecast[0]
        causes.append(Term(f"{signal.kind}:{signal.series}", term, _facts(signal)))
        began = min(began, signal.since)
        if dominant is None or term > dominant[0]:
            dominant = term, signal.kind
    kind = dominant[1] if dominant is not None else None
    probability = 1.0 / (1.0 + math.exp(min(-total, 700.0)))
    since = began if began < math.inf else None
    return Risk(probability, causes, kind, ranked, _exception(ranked, registry), since)


def _strength(signal: Signal) -> float:
    return signal.weight * evidence(signal.probability)


def _repetition(
    signal: Signal, ranked: Sequence[Signal], points: Sequence[SeriesPoint], registry: Registry
) -> Term | None:
    """The term that damps a surge of contacts which is not one of distinct customers."""
    if signal.direction != "above" or registry.measure(signal.series) != "opened_contacts":
        return None
    distinct = registry.measuring("distinct_customers")
    customers = next((point for point in points if point.series in distinct), None)
    expected = signal.point.expected
    if customers is None or customers.expected is None or customers.score is None or not expected:
        return None
    if customers.expected < _KNOWN * expected:
        return None
    # Whatever else speaks for a surge loses nothing by contacts that repeat.
    others = [s for s in ranked if s.kind == "surge" and s.series != signal.series]
    of_customers = max((_strength(s) for s in others if s.series in distinct), default=0.0)
    full = _strength(signal)
    left = max(
        of_customers + _REPEATED * (full - of_customers),
        max((_strength(s) for s in others), default=0.0),
    )
    if full - left < _LEAST_DAMPING:
        return None
    facts = Repetition(customers.observed or 0.0, customers.expected, signal.point.observed or 0.0)
    return Term("few_customers", left - full, facts)


def _exception(signals: Sequence[Signal], registry: Registry) -> ExceptionKind | None:
    known = (registry.get(signal.series) for signal in signals)
    return next((spec.exception for spec in known if spec and spec.exception), None)


@lru_cache(maxsize=16)
def _calm(prior: float) -> Risk:
    """The risk without signals, which is nearly always."""
    total = math.log(prior / (1.0 - prior))
    term = Term("prior", total, Prior(prior))
    return Risk(1.0 / (1.0 + math.exp(min(-total, 700.0))), (term,), None, ())


def _facts(signal: Signal) -> Facts:
    if signal.breach is not None:
        return signal.breach
    return Deviation(
        signal.series,
        signal.kind,
        signal.direction,
        signal.since,
        signal.point.observed,
        signal.point.expected or 0.0,
        signal.probability,
    )
