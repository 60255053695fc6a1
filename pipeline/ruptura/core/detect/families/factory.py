"""Which estimator and which likelihood serve which family of series."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ruptura.core.contracts.tuning import DetectionTuning
from ruptura.core.detect.families.count import CountLikelihood, SeasonalCount
from ruptura.core.detect.families.gauge import GaugeLikelihood, RobustLevel
from ruptura.core.detect.families.ratio import RatioLikelihood, SteadyRatio
from ruptura.core.detect.likelihood import Likelihood
from ruptura.core.detect.profile import Grid
from ruptura.core.detect.protocol import Baseline, BaselineFactory
from ruptura.core.series.registry import Family, SeriesSpec

_LIKELIHOODS: Final[dict[Family, type[CountLikelihood | RatioLikelihood | GaugeLikelihood]]] = {
    "count": CountLikelihood,
    "ratio": RatioLikelihood,
    "gauge": GaugeLikelihood,
}


def baseline_factory(bucket_seconds: float) -> BaselineFactory:
    """Return the maker of estimators for buckets of this length."""
    grid = Grid.of(3600.0 / bucket_seconds)

    def make(spec: SeriesSpec) -> Baseline:
        if spec.family == "count":
            return SeasonalCount(bucket_seconds, grid)
        if spec.family == "ratio":
            return SteadyRatio(bucket_seconds)
        return RobustLevel(bucket_seconds, grid, logarithmic=spec.scale == "log")

    return make


@lru_cache(maxsize=256)  # it knows nothing of the past, so series of one kind share it
def likelihood(spec: SeriesSpec, tuning: DetectionTuning) -> Likelihood:
    """Return the likelihood of a series.

    Args:
        spec: How it is judged.
        tuning: What matters.
    """
    return _LIKELIHOODS[spec.family](spec, tuning)
