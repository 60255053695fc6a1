"""Novelty in a single series of numbers: one score, from several views of what is usual.

Each view turns a point into rises: by how much it leaves what was usual there, on the side above
and on the side below. What a rise is worth is told by the largest ones of the past, which fade
slowly: no distribution is assumed, and a series that often leaps is expected to leap. The score is
a mean of what the views say; after an alarm only what is clearly more novel is told, so that an
episode is told once.

It serves for series of which nothing is known but their times and values. Series whose family is
known (counts, ratios, gauges) are judged by the models of `factory`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from river import base

from ruptura.detectors.novelty_record import Record
from ruptura.detectors.novelty_views import Level, Season, Shape, Slope, View

THRESHOLD: Final = 0.225
"""A score that reaches it is worth an alarm. Set once, on the benchmark's files."""

_ALARM: Final = THRESHOLD / (1.0 - THRESHOLD)
"""The same before it is brought into [0, 1)."""

WARM_UP: Final = 100
"""Points before the first score: the largest rises of the past must have had their chance."""

_LULL_POINTS: Final = 100
"""So long after an alarm only what is clearly more novel is told."""

_CLEARLY: Final = 1.5
"""Times the novelty of the last alarm."""

_LARGEST: Final = 1e30
"""Values beyond count as this: what is kept in single precision must hold their differences."""

_TRIFLE: Final = 1e-6
"""A rise of such a part of the value is none: numbers are not kept to more digits."""


class Novelty(base.AnomalyDetector):
    """Anomaly detector of one series, in River's manner: score first, then learn.

    The score lies in [0, 1): s / (1 + s), with s the root mean square of the views' excesses over
    the largest rises of the past. It is 0 during the warm-up, and for a while after an alarm that
    it does not clearly exceed: an episode is told once.

    Args:
        time: Key of the time of a point, in seconds since the Unix epoch; read as the clock that
            hours and days of the week are told by. Points without it are of the first hour.
        value: Key of the value. A point without it, or whose value is not finite, scores 0 and is
            not learned.
    """

    def __init__(self, time: str = "timestamp", value: str = "value") -> None:
        self.time = time
        self.value = value
        self._views: tuple[View, ...] = (Season(), Level(), Slope(), Shape(4), Shape(12))
        self._records = tuple(Record() for view in self._views for _ in range(view.sides))
        self._learned = 0
        self._told = 0.0
        self._since_told = 0
        self._looked: tuple[float, float, list[float], float] | None = None

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, str]]:
        yield {"time": "Time", "value": "Amount"}

    def _point(self, x: Mapping[Any, Any]) -> tuple[float, float] | None:
        value = float(x.get(self.value, math.nan))
        seconds = float(x.get(self.time, 0.0))
        if not (math.isfinite(value) and math.isfinite(seconds)):
            return None
        return seconds, min(max(value, -_LARGEST), _LARGEST)

    def _look(self, seconds: float, value: float) -> tuple[list[float], float]:
        """Return the rises of a point, and the score before the lull."""
        if self._looked is not None and self._looked[:2] == (seconds, value):
            return self._looked[2:]
        trifle = _TRIFLE * abs(value)
        rises = [rise for view in self._views for rise in view.rises(seconds, value)]
        rises = [rise if rise > trifle else 0.0 for rise in rises]
        squares = 0.0
        if self._learned >= WARM_UP:
            for rise, record in zip(rises, self._records, strict=True):
                if rise > 0.0:
                    excess = record.excess(rise)
                    squares += excess * excess
        score = math.sqrt(squares / len(self._records))
        self._looked = (seconds, value, rises, score)
        return rises, score

    def score_one(self, x: Mapping[Any, Any]) -> float:
        """Tell how novel a point is, given the points learned before it."""
        point = self._point(x)
        if point is None:
            return 0.0
        score = self._look(*point)[1]
        return score / (1.0 + score) if score > self._told * _CLEARLY else 0.0

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Learn a point."""
        point = self._point(x)
        if point is None:
            return
        rises, score = self._look(*point)
        self._looked = None
        for view in self._views:
            view.learn(*point)
        for rise, record in zip(rises, self._records, strict=True):
            record.fade()
            if rise > 0.0:
                record.learn(rise)
        self._learned += 1
        self._since_told += 1
        if score >= _ALARM and score > self._told * _CLEARLY:
            self._told, self._since_told = score, 0
        elif self._since_told >= _LULL_POINTS:
            self._told = 0.0
