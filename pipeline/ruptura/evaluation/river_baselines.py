"""River's own anomaly detectors, as others would use them: what Ruptura is measured against.

They are for evaluations; no engine holds one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from river import anomaly, preprocessing, stats, time_series

Features = dict[Any, Any]
"""Numbers by name, as wide as River's own type for them."""


class Scorer(Protocol):
    """A model that scores first and learns after, as River's do."""

    def score_one(self, x: Features) -> float:
        """Return how strange the features are, in [0, 1]; 0 while the model warms up."""

    def learn_one(self, x: Features) -> None:
        """Learn the features; all are finite."""


_river: Any = anomaly
_series: Any = time_series
"""Typed in part, and in part not rightly (PredictiveAnomalyDetection takes no features)."""

VALUE: Final = "value"
"""The feature that scorers of one series read."""


class HalfSpace:
    """HalfSpaceTrees over all features, scaled as River's documentation recommends.

    Tan, Ting & Liu, Fast Anomaly Detection for Streaming Data, IJCAI 2011. The trees split the
    features of the first vector that they learn, so nothing is learned before `gather` vectors
    have told which features there are. A feature that is missing has its last value.

    Args:
        gather: Vectors looked at before the trees are built.
        lags: How many earlier values of each feature are features too.
        leave_out: Keys that are not features.
    """

    def __init__(
        self, gather: int = 1, lags: int = 0, leave_out: frozenset[str] = frozenset()
    ) -> None:
        self._model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=1)
        self._left = gather
        self._lags = lags
        self._leave_out = leave_out
        self._last: dict[str, float] = {}

    def score_one(self, x: Mapping[str, float]) -> float:
        """Return the score of the trees."""
        if self._left > 0:
            return 0.0
        return max(float(self._model.score_one(self._features(x))), 0.0)

    def learn_one(self, x: Mapping[str, float]) -> None:
        """Learn the features."""
        features = self._features(x)
        self._last = features
        self._left -= 1
        if self._left < 0:
            self._model.learn_one(features)

    def _features(self, x: Mapping[str, float]) -> dict[str, float]:
        last = self._last
        features = dict(last)
        for name, value in x.items():
            if name in self._leave_out:
                continue
            features[name] = value
            for lag in range(1, self._lags + 1):
                earlier = name if lag == 1 else f"{name}-{lag - 1}"
                features[f"{name}-{lag}"] = last.get(earlier, value)
        return features


class Gaussian:
    """GaussianScorer of one series over a rolling window.

    Args:
        window: Values in the window.
    """

    def __init__(self, window: int) -> None:
        self._model = _river.GaussianScorer(window_size=window, grace_period=100)

    def score_one(self, x: Mapping[str, float]) -> float:
        """Return the probability mass that lies nearer to the mean."""
        model = self._model
        if not isinstance(model.gaussian.sigma, float) or model.gaussian.sigma <= 0.0:
            return 0.0  # rounding makes the rolling variance of a constant series negative
        return float(model.score_one(None, x[VALUE]))

    def learn_one(self, x: Mapping[str, float]) -> None:
        """Learn the value."""
        self._model.learn_one(None, x[VALUE])


class Predictive:
    """PredictiveAnomalyDetection of one series, with HoltWinters as the predictor.

    Laptev, Amizadeh & Flint, Generic and Scalable Framework for Automated Time-series Anomaly
    Detection, KDD 2015. HoltWinters predicts nothing before it has seen a whole season.

    Args:
        season: Values in a season, 2 or more.
    """

    def __init__(self, season: int) -> None:
        self._model = _river.PredictiveAnomalyDetection(
            _series.HoltWinters(alpha=0.1, beta=0.001, gamma=0.1, seasonality=season),
            horizon=1,
            n_std=10.0,  # at 3, the default, scores of 1 are so many that no threshold ranks them
            warmup_period=season,
        )
        self._left = season + 1
        self._is_begun = False

    def score_one(self, x: Mapping[str, float]) -> float:
        """Return the squared error of the prediction, relative to its usual range."""
        if self._left > 0:
            return 0.0
        score = float(self._model.score_one(None, float(x[VALUE])))
        return score if math.isfinite(score) else 0.0

    def learn_one(self, x: Mapping[str, float]) -> None:
        """Learn the value; HoltWinters cannot begin with a season of zeros."""
        value = float(x[VALUE])
        if self._is_begun or value:
            self._is_begun = True
            self._left -= 1
            self._model.learn_one(None, value)


class Gate:
    """A scorer whose scores are judged by their own quantile, as River's QuantileFilter does.

    Unlike there, strange values are learned too (`protect_anomaly_detector=False`): otherwise a
    permanent change of level would be an anomaly for ever.

    Args:
        scorer: The model, fresh.
        q: Quantile of the past scores that a strange one reaches, in (0, 1).
    """

    def __init__(self, scorer: Scorer, q: float) -> None:
        self._scorer = scorer
        self._quantile = stats.Quantile(q)

    def is_strange(self, x: Features) -> bool:
        """Score, judge, then learn."""
        score = self._scorer.score_one(x)
        self._scorer.learn_one(x)
        if score <= 0.0:
            return False  # the model warms up, or saw nothing strange at all
        limit = self._quantile.get()
        self._quantile.update(score)
        return limit is not None and score >= limit


MakeScorer = Callable[[], Scorer]
