"""The detectors on single series: River's scorers, three-sigma bands, and Ruptura's novelty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from ruptura.core.detect import novelty
from ruptura.evaluation import river_baselines
from ruptura.evaluation.bands import DAY_SECONDS, SIGMAS, WEEK_SECONDS, Moments
from ruptura.evaluation.baselines import RUPTURA
from ruptura.evaluation.labelled import TIMESTAMP

_HOUR_SECONDS: Final = 3600.0


class Detector(msgspec.Struct, frozen=True):
    """A scorer of one series.

    Attributes:
        make: Makes a fresh one, given the seconds between two points.
        threshold: Its own; None for one that is chosen on the first part of the data.
    """

    make: Callable[[float], river_baselines.Scorer]
    threshold: float | None = None


class BandScorer:
    """The z-score over the last day (by the minute) or week (by the hour), as a fraction.

    Args:
        window: Values in the window.
    """

    def __init__(self, window: int) -> None:
        self._moments = Moments(window)

    def score_one(self, x: Mapping[str, float]) -> float:
        """Return z / (1 + z), so that a deviation of three is 0.75."""
        sigmas = abs(self._moments.strangeness(x[river_baselines.VALUE]))
        return sigmas / (1.0 + sigmas)

    def learn_one(self, x: Mapping[str, float]) -> None:
        """Add the value to the window."""
        self._moments.add(x[river_baselines.VALUE])


def window_of(step_seconds: float) -> int:
    """Return the values in a day, or in a week where points are an hour or more apart."""
    span = DAY_SECONDS if step_seconds < _HOUR_SECONDS else WEEK_SECONDS
    return max(round(span / step_seconds), 7)


def season_of(step_seconds: float) -> int:
    """Return the values in a day; in a week where points are a day apart."""
    span = DAY_SECONDS if step_seconds < DAY_SECONDS else WEEK_SECONDS
    return max(round(span / step_seconds), 2)


def univariate_detectors() -> dict[str, Detector]:
    """Return all that can score a single series, by name.

    Static thresholds are not among them: they cannot be written for an unknown series.
    """
    return {
        RUPTURA: Detector(lambda _: novelty.Novelty(), novelty.THRESHOLD),
        "3 sigma": Detector(
            lambda seconds: BandScorer(window_of(seconds)), SIGMAS / (1.0 + SIGMAS)
        ),
        "HalfSpaceTrees": Detector(
            lambda _: river_baselines.HalfSpace(lags=7, leave_out=frozenset({TIMESTAMP}))
        ),
        "GaussianScorer": Detector(lambda seconds: river_baselines.Gaussian(window_of(seconds))),
        "PredictiveAnomalyDetection": Detector(
            lambda seconds: river_baselines.Predictive(season_of(seconds))
        ),
    }
