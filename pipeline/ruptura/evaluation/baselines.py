"""The baselines that Ruptura is measured against, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ruptura.core.series.registry import Measure
from ruptura.evaluation import river_baselines
from ruptura.evaluation.bands import DailyBands, WeeklyBands
from ruptura.evaluation.bucket import Baseline, Bucket, Selection
from ruptura.evaluation.thresholds import StaticThresholds

DAY_SECONDS: Final = 86_400.0

RUPTURA: Final = "ruptura"

QUANTILES: Final[Mapping[str, float]] = {
    "HalfSpaceTrees": 0.99,
    "GaussianScorer": 0.995,
    "PredictiveAnomalyDetection": 0.99,
}
"""The quantile of its own scores that a strange one reaches, by scorer. Chosen among 0.99, 0.995,
0.999, 0.9995 and 0.9999 for the best F1 over the scenarios `error_creep` and `outage` with seed 2,
which no report uses; where none found anything, the lowest."""


class ByChannel:
    """One scorer for the selected series of a channel together.

    Args:
        make: Makes the scorer.
        q: Quantile of its filter.
    """

    patience: Mapping[str, float] = {}

    def __init__(self, make: river_baselines.MakeScorer, q: float) -> None:
        self._gate = river_baselines.Gate(make(), q)
        self._selection = Selection()

    def observe(self, bucket: Bucket) -> Mapping[str, bool]:
        """Judge the vector of their values."""
        values = dict(self._selection.of(bucket))
        return {"all series": self._gate.is_strange(values)} if values else {}


class BySeries:
    """A scorer for each selected series of a channel.

    Args:
        make: Makes a scorer.
        q: Quantile of their filters.
    """

    patience: Mapping[str, float] = {}

    def __init__(self, make: river_baselines.MakeScorer, q: float) -> None:
        self._make, self._q = make, q
        self._gates: dict[str, river_baselines.Gate] = {}
        self._selection = Selection()

    def observe(self, bucket: Bucket) -> Mapping[str, bool]:
        """Judge each value by the scorer of its series."""
        conditions: dict[str, bool] = {}
        gates = self._gates
        for series, value in self._selection.of(bucket):
            gate = gates.get(series)
            if gate is None:
                gate = gates[series] = river_baselines.Gate(self._make(), self._q)
            conditions[series] = gate.is_strange({river_baselines.VALUE: value})
        return conditions


Make = Callable[[float, Mapping[Measure, float]], Baseline]
"""Makes a baseline for one channel: buckets of so many seconds, and objectives by measure."""


def baseline_makers(quantiles: Mapping[str, float] = QUANTILES) -> dict[str, Make]:
    """Return the makers of the baselines by name.

    Args:
        quantiles: Of the filters of River's scorers, by name.
    """
    return {
        "static thresholds": StaticThresholds,
        "3 sigma of the day": lambda seconds, _: DailyBands(seconds),
        "3 sigma of last week": lambda seconds, _: WeeklyBands(seconds),
        "HalfSpaceTrees": lambda seconds, _: ByChannel(
            lambda: river_baselines.HalfSpace(gather=round(DAY_SECONDS / seconds)),
            quantiles["HalfSpaceTrees"],
        ),
        "GaussianScorer": lambda seconds, _: BySeries(
            lambda: river_baselines.Gaussian(round(DAY_SECONDS / seconds)),
            quantiles["GaussianScorer"],
        ),
        "PredictiveAnomalyDetection": lambda seconds, _: BySeries(
            lambda: river_baselines.Predictive(round(DAY_SECONDS / seconds)),
            quantiles["PredictiveAnomalyDetection"],
        ),
    }
