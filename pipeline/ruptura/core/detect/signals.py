"""What a score means: the signals that it gives, and how far its bucket is to be trusted."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from ruptura.core.contracts.document import Direction, Kind
from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.contracts.facts import Breach
from ruptura.core.detect.likelihood import Likelihood
from ruptura.core.detect.protocol import SUSPICION, Prediction, Score
from ruptura.core.series.registry import SeriesSpec

_LARGEST: Final = 1e60
_LATEST: Final = 2.3e11  # seconds since the epoch, as `Moment`
_LEAST_LEARNING: Final = 0.05
_FAST_LEARNING: Final = 4.0
_REBASELINE_AFTER: Final = 86_400.0
"""A deviation that lasts longer is on its way to be the new normal, and learned so much faster
than what is normal, until it is no deviation any more."""

_SEASONED_SECONDS: Final = 5 * 86_400.0
_FRESH: Final = 0.75
"""What the signals of a new series count: it has not shown all that is usual, as nights of
bursts."""

_SLIGHTEST: Final = 0.3
"""Share of the least deviation that matters under which nothing is said."""


class Signal(msgspec.Struct, frozen=True, gc=False):
    """A score that matters.

    Attributes:
        series: Name of the series.
        kind: What it speaks for.
        direction: Whether the series is above or below what was expected.
        probability: Tail probability of the windows.
        weight: How much the series counts, in (0, 1].
        since: Start of the bucket in which the deviation began, seconds since the Unix epoch.
        point: The latest bucket of the series.
        log_odds: Logit of the probability of a rupture that the signal is by itself, prior
            included; None where it is evidence.
        breach: Of a forecast, what there is to say of it.
        share: The deviation over the least one that is worth an alert by itself; of a forecast,
            its probability.
        is_news: Whether it rests on what its bucket measured; not, where it stands from earlier.
    """

    series: str
    kind: Kind
    direction: Direction
    probability: float
    weight: float
    since: float
    point: SeriesPoint
    log_odds: float | None = None
    breach: Breach | None = None
    share: float = 1.0
    is_news: bool = True

    def is_sound(self) -> bool:
        """Whether the numbers can be a signal's; they come back from snapshots."""
        point = self.point
        if not (0.0 <= self.since <= _LATEST and 0.0 <= point.start <= _LATEST):
            return False
        numbers = [self.log_odds or 0.0]
        numbers += [number for number in msgspec.structs.astuple(point)[3:] if number is not None]
        return (
            0.0 < self.probability <= 1.0
            and 0.0 < self.weight <= 1.0
            and 0.0 < self.share <= _LARGEST
            and all(abs(number) <= _LARGEST for number in numbers)
        )


def signals(
    score: Score,
    prediction: Prediction,
    point: SeriesPoint,
    spec: SeriesSpec,
    likelihood: Likelihood,
    started: float,
    threshold: float,
) -> tuple[Signal, ...]:
    """Return the signals of a bucket.

    Args:
        score, prediction: Of the bucket.
        point: The bucket as it is published.
        spec, likelihood: Of the series.
        started: Start of its first bucket, in seconds since the Unix epoch; infinite: this one.
        threshold: Tail probability under which a score is a signal.
    """
    found: list[Signal] = []
    since, expected = score.since, prediction.expected
    if score.silence < threshold:
        found.append(
            signal("silence", "below", score.silence, 1.0, point, spec.weight, started, since)
        )
    above, below = score.windows.above, score.windows.below
    if spec.above is not None and score.above < threshold:
        share = likelihood.share(above.excess, above.relative, expected)
        if share >= _SLIGHTEST:
            found.append(
                signal(spec.above, "above", score.above, share, point, spec.weight, started, since)
            )
    if spec.below is not None and score.below < threshold:
        share = likelihood.share(below.excess, below.relative, expected)
        if share >= _SLIGHTEST:
            found.append(
                signal(spec.below, "below", score.below, share, point, spec.weight, started, since)
            )
    return tuple(found)


def signal(
    kind: Kind,
    direction: Direction,
    probability: float,
    share: float,
    point: SeriesPoint,
    weight: float,
    started: float,
    since: float,
) -> Signal:
    """Return a signal of one kind; arguments as in `Signal` and `signals`."""
    age = min(max(point.start - started, 0.0) / _SEASONED_SECONDS, 1.0)
    return Signal(
        point.series,
        kind,
        direction,
        probability,
        weight * (_FRESH + (1.0 - _FRESH) * age),
        point.start if math.isnan(since) else since,
        point,
        share=min(share, _LARGEST),
    )


def trust(score: Score, start: float) -> float:
    """Return how much to trust a bucket as normal, in [0.05, 4].

    Args:
        score: Of the bucket.
        start: Of the bucket, in seconds since the Unix epoch.
    """
    strongest = score.strongest
    if strongest >= SUSPICION:
        return 1.0
    caution = max(math.sqrt(math.sqrt(strongest / SUSPICION)), _LEAST_LEARNING)
    if score.silence < SUSPICION:
        return caution  # silence is never learned as a new level
    days = (start - score.since) / _REBASELINE_AFTER
    return min(max(caution, (days - 1.0) * _FAST_LEARNING), _FAST_LEARNING)
