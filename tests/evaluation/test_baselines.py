"""The baselines by name: each finds what is plain, and none is loud where all is constant."""

from __future__ import annotations

import numpy as np
import pytest

from ruptura.evaluation.baselines import QUANTILES, ByChannel, BySeries, baseline_makers
from ruptura.evaluation.bucket import Bucket, Selection
from ruptura.evaluation.river_baselines import VALUE
from ruptura.evaluation.univariate import (
    BandScorer,
    season_of,
    univariate_detectors,
    window_of,
)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

every = pytest.mark.parametrize("name", list(baseline_makers()))


def judged(name: str, break_at: int, minutes: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether any condition held, by minute: errors, latency and volume break together."""
    baseline = baseline_makers()[name](MINUTE, {})
    chance = np.random.default_rng(8)
    told = []
    for minute in range(minutes):
        broken = minute >= break_at
        values = {
            "errors_ratio": 0.5 if broken else float(chance.normal(0.01, 0.001)),
            "request_seconds": 9.0 if broken else float(chance.normal(0.5, 0.02)),
            "requests": 0.0 if broken else float(chance.poisson(300.0)),
        }
        told.append(any(baseline.observe(Bucket(minute * MINUTE, values)).values()))
    return np.array(told)


@every
def test_a_break_of_everything_is_seen(name: str) -> None:
    begin = 9 * 1440
    told = judged(name, begin, begin + 5)
    assert told[begin:].any()
    assert told[3 * 1440 : begin].mean() < 0.05


def test_quantiles_are_those_of_rivers_scorers() -> None:
    assert set(QUANTILES) < set(baseline_makers())
    assert all(0.9 < q < 1.0 for q in QUANTILES.values())


def test_a_scorer_of_its_own_is_kept_for_each_series_or_one_for_all() -> None:
    make = univariate_detectors()["GaussianScorer"].make
    bucket = Bucket(0.0, {"requests": 1.0, "errors_ratio": 0.1, "heartbeats": 6.0})
    observed = BySeries(lambda: make(MINUTE), 0.9).observe(bucket)
    assert set(observed) == {"requests", "errors_ratio"}
    together = ByChannel(lambda: make(MINUTE), 0.9)
    assert together.observe(Bucket(0.0, {})) == {}
    assert len(together.observe(Bucket(0.0, {VALUE: 1.0}))) == 1


@pytest.mark.parametrize("name", list(univariate_detectors()))
def test_a_detector_for_single_series_can_be_made_for_any_step(name: str) -> None:
    detector = univariate_detectors()[name]
    for step in (MINUTE, HOUR, DAY):
        scorer = detector.make(step)
        for index in range(50):
            x = {"timestamp": index * step, VALUE: float(index % 7)}
            assert 0.0 <= scorer.score_one(x) <= 1.0
            scorer.learn_one(x)


def test_three_sigma_score_three_quarters() -> None:
    scorer = BandScorer(100)
    for value in [-1.0, 1.0] * 50:
        scorer.learn_one({VALUE: value})
    assert scorer.score_one({VALUE: 3.0}) == pytest.approx(0.75)
    assert scorer.score_one({VALUE: -3.0}) == pytest.approx(0.75)


def test_windows_and_seasons_fit_the_step() -> None:
    assert (window_of(MINUTE), window_of(HOUR), window_of(DAY)) == (1440, 168, 7)
    assert (season_of(MINUTE), season_of(HOUR), season_of(DAY)) == (1440, 24, 7)


def test_counts_are_selected_while_they_come_often_enough() -> None:
    selection = Selection()
    told = [
        [series for series, _ in selection.of(Bucket(0.0, {"tickets.reopened": count}))]
        for count in (0.0, 1.0, 2.0, 0.0, 1.0)
    ]
    # Means: 0, 1/2, 1, 3/4, 4/5.
    assert told == [[], [], ["tickets.reopened"], [], []]


def test_ratios_and_levels_are_always_selected_and_heartbeats_never() -> None:
    values = {"errors_ratio": 0.0, "request_seconds": 0.1, "moods": 0.0, "heartbeats": 6.0}
    selected = dict(Selection().of(Bucket(0.0, values)))
    assert set(selected) == set(values) - {"heartbeats"}
