"""Which model serves which family of series."""

from __future__ import annotations

from ruptura.core.detect.families.count import SeasonalCount
from ruptura.core.detect.families.gauge import RobustLevel
from ruptura.core.detect.families.ratio import SteadyRatio
from ruptura.core.detect.profile import Grid
from ruptura.core.detect.protocol import Baseline, BaselineFactory
from ruptura.core.series.registry import SeriesSpec


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
