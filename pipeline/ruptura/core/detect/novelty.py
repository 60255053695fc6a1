"""Novelty in a single series of numbers: one score, from two views of what is usual.

Each view measures by how much a point leaves what was usual there: `Departure` how far its value
lies outside of what its hours and the last points explain, `Shift` how far the level has moved.
Such a rise is compared with the largest ones of the past, which fade slowly: no distribution is
assumed, and a series that often leaps is expected to leap. After an alarm only what is clearly
more novel raises another, so that an episode raises one alarm.

It serves for series of which nothing is known but their times and values. Series whose family is
known (counts, ratios, gauges) are judged by the models of `families`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

try:
    from river.base import AnomalyDetector
except ImportError:  # before River 0.26
    from river.anomaly.base import AnomalyDetector  # type: ignore[no-redef]  # the same class

from ruptura.core.detect.novelty_record import Record
from ruptura.core.detect.novelty_views import Departure, Shift, View

THRESHOLD: Final = 0.1
"""A score that reaches it is worth an alarm. Set once, on the benchmark's files."""

_ALARM: Final = THRESHOLD / (1.0 - THRESHOLD)
"""The same before it is brought into [0, 1)."""

WARM_UP: Final = 100
"""Points before the first score: the largest rises of the past must have had their chance."""

EXPONENT: Final = 0.5
"""Of the mean over the views: under 1, so that a high score needs both."""

LULL_POINTS: Final = 100
"""So long after an alarm only what is clearly more novel raises another."""

CLEARLY: Final = 2.0
"""Times the novelty of the last alarm."""

_LARGEST: Final = 1e30
"""Values beyond count as this: what is kept in single precision must hold their differences."""


def blend(excesses: Sequence[Sequence[float]], exponent: float = EXPONENT) -> float:
    """Return a single score, 0 or more, from the excesses of each view's rises.

    A view says the mean of its excesses; the score is the power mean of what the views say.
    """
    powers = [(sum(each) / len(each)) ** exponent for each in excesses]
    return float((sum(powers) / len(powers)) ** (1.0 / exponent))


class Novelty(AnomalyDetector):
    """Anomaly detector of one series, in River's manner: score first, then learn.

    The score lies in [0, 1): s / (1 + s), with s the blend of the views' excesses over the largest
    rises of the past. It is 0 during the warm-up, and for a while after an alarm that it does not
    clearly exceed: an episode raises one alarm.

    Args:
        time: Key of the time of a point, in seconds since the Unix epoch; read as the clock that
            hours and days of the week are read from. Points without it are of the first hour.
        value: Key of the value. A point without it, or whose value is not finite, scores 0 and is
            not learned.
    """

    def __init__(self, time: str = "timestamp", value: str = "value") -> None:
        self.time = time
        self.value = value
        self._views: tuple[View, ...] = (Departure(), Shift())
        self._records = tuple(tuple(Record() for _ in range(view.rises)) for view in self._views)
        self._learned = 0
        self._last_alarm = 0.0
        self._since_alarm = 0
        self._cached: tuple[float, float, list[tuple[float, ...]], float] | None = None

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, str]]:
        yield {"time": "Time", "value": "Amount"}

    def _point(self, x: Mapping[Any, Any]) -> tuple[float, float] | None:
        value = float(x.get(self.value, math.nan))
        seconds = float(x.get(self.time, 0.0))
        if not (math.isfinite(value) and math.isfinite(seconds)):
            return None
        return seconds, min(max(value, -_LARGEST), _LARGEST)

    def _rises(self, seconds: float, value: float) -> tuple[list[tuple[float, ...]], float]:
        """Return the rises of a point by view, and the score before the lull."""
        if self._cached is not None and self._cached[:2] == (seconds, value):
            return self._cached[2:]
        rises = [view.measure(seconds, value) for view in self._views]
        score = 0.0
        if self._learned >= WARM_UP:
            excesses = [
                [
                    record.excess(rise) if rise > 0.0 else 0.0
                    for rise, record in zip(each, records, strict=True)
                ]
                for each, records in zip(rises, self._records, strict=True)
            ]
            score = blend(excesses)
        self._cached = (seconds, value, rises, score)
        return rises, score

    def score_one(self, x: Mapping[Any, Any]) -> float:
        """Return how novel a point is, given the points learned before it."""
        point = self._point(x)
        if point is None:
            return 0.0
        score = self._rises(*point)[1]
        return score / (1.0 + score) if score > self._last_alarm * CLEARLY else 0.0

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Learn a point."""
        point = self._point(x)
        if point is None:
            return
        rises, score = self._rises(*point)
        self._cached = None
        for view in self._views:
            view.learn(*point)
        for each, records in zip(rises, self._records, strict=True):
            for rise, record in zip(each, records, strict=True):
                record.fade()
                if rise > 0.0:
                    record.learn(rise)
        self._learned += 1
        self._since_alarm += 1
        if score >= _ALARM and score > self._last_alarm * CLEARLY:
            self._last_alarm, self._since_alarm = score, 0
        elif self._since_alarm >= LULL_POINTS:
            self._last_alarm = 0.0
