"""Which model serves which family of series."""

from __future__ import annotations

from ruptura.core.baseline import Baseline, BaselineFactory
from ruptura.core.series import SeriesSpec
from ruptura.detectors.robust_level import RobustLevel
from ruptura.detectors.seasonal_count import SeasonalCount
from ruptura.detectors.steady_ratio import SteadyRatio
from ruptura.detectors.week import Grid


def baseline_factory(bucket_seconds: float) -> BaselineFactory:
    """Return the maker of models for buckets of this length."""
    grid = Grid(3600.0 / bucket_seconds)

    def make(spec: SeriesSpec) -> Baseline:
        if spec.family == "count":
            return SeasonalCount(bucket_seconds, grid)
        if spec.family == "ratio":
            return SteadyRatio(bucket_seconds)
        return RobustLevel(bucket_seconds, grid, logarithmic=spec.scale == "log")

    return make
