"""The signals of a channel become one probability, with the terms that add up to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from ruptura.core.document import Cause, Kind
from ruptura.core.signal import Signal

_MOST_EVIDENCE: Final = 40.0
"""Log-odds beyond which one family's evidence adds nothing that could change a decision."""


class Risk(msgspec.Struct, frozen=True, gc=False):
    """The probability of a rupture of one channel, and why.

    Attributes:
        probability: In [0, 1].
        causes: The terms, in natural log-odds; their sum is the logit of the probability.
        kind: The family that speaks loudest; None without signals.
        signals: All signals, strongest first.
    """

    probability: float
    causes: Sequence[Cause]
    kind: Kind | None
    signals: Sequence[Signal]


def evidence(probability: float) -> float:
    """Return the log of the largest Bayes factor that a tail probability allows.

    -1 / (e p ln p) for p < 1/e: Sellke, Bayarri & Berger, Calibration of p Values for Testing
    Precise Null Hypotheses, The American Statistician 55 (2001).
    """
    if probability >= 1.0 / math.e:
        return 0.0
    return min(-math.log(-math.e * probability * math.log(probability)), _MOST_EVIDENCE)


def combine(signals: Sequence[Signal], prior: float) -> Risk:
    """Combine the strongest signal of each family, as if the families were independent.

    Signals of one family, or of one series, tell of the same thing: the strongest counts.

    Args:
        signals: Of one channel and bucket.
        prior: Probability of a rupture without any evidence, in (0, 1).
    """
    if not signals:
        return _calm(prior)
    ranked = sorted(
        signals,
        key=lambda s: (-s.weight * evidence(s.probability), s.series, s.kind, s.direction),
    )
    calm = _calm(prior)
    causes = list(calm.causes)
    total = causes[0].contribution
    kind: Kind | None = None
    kinds: set[Kind] = set()
    series: set[str] = set()
    for signal in ranked:
        if signal.kind in kinds or signal.series in series:
            continue
        kinds.add(signal.kind)
        series.add(signal.series)
        kind = kind or signal.kind
        term = signal.weight * evidence(signal.probability)
        total += term
        causes.append(Cause(f"{signal.kind}:{signal.series}", term, _sentence(signal)))
    return Risk(1.0 / (1.0 + math.exp(min(-total, 700.0))), causes, kind, ranked)


@lru_cache(maxsize=16)
def _calm(prior: float) -> Risk:
    """The risk without signals, which is nearly always."""
    total = math.log(prior / (1.0 - prior))
    text = f"Without evidence the risk is {prior:g} in each bucket."
    return Risk(
        1.0 / (1.0 + math.exp(min(-total, 700.0))), (Cause("prior", total, text),), None, ()
    )


def _sentence(signal: Signal) -> str:
    point = signal.point
    observed = "nothing" if point.observed is None else f"{point.observed:.4g}"
    expected = 0.0 if point.expected is None else point.expected
    return (
        f"{signal.series} is {signal.direction} normal: {observed} against {expected:.4g} expected "
        f"in the last bucket; evidence added up over time has probability {signal.probability:.2g}."
    )
