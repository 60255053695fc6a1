"""River's detectors as baselines: they see what is strange, and bear what recordings hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from ruptura.evaluation.river_baselines import VALUE, Gate, Gaussian, HalfSpace, Predictive, Scorer

MAKERS: dict[str, Callable[[], Scorer]] = {
    "half-space trees": HalfSpace,
    "half-space trees with lags": lambda: HalfSpace(lags=3),
    "gaussian": lambda: Gaussian(200),
    "predictive": lambda: Predictive(24),
}
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def scores(scorer: Scorer, values: list[float]) -> list[float]:
    found = []
    for value in values:
        found.append(scorer.score_one({VALUE: value}))
        scorer.learn_one({VALUE: value})
    return found


def noise(count: int) -> list[float]:
    return [float(value) for value in np.random.default_rng(4).normal(10.0, 1.0, count)]


@makers
def test_a_spike_is_stranger_than_the_usual(make: Callable[[], Scorer]) -> None:
    found = scores(make(), [*noise(600), 30.0])
    assert found[-1] > np.quantile(found[400:-1], 0.95)


@makers
def test_scores_lie_between_nothing_and_one(make: Callable[[], Scorer]) -> None:
    found = scores(make(), [*noise(400), 1e9, -1e9, *noise(50)])
    assert all(0.0 <= score <= 1.0 for score in found)
    assert found[0] == 0.0


@makers
@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e12])
def test_a_constant_series_is_borne_and_is_not_strange(
    make: Callable[[], Scorer], value: float
) -> None:
    found = scores(make(), [value] * 600)
    assert all(0.0 <= score <= 1.0 for score in found)
    assert found[-1] < 0.95


@makers
def test_the_same_values_give_the_same_scores(make: Callable[[], Scorer]) -> None:
    assert scores(make(), noise(400)) == scores(make(), noise(400))


def test_trees_wait_until_they_know_the_features_and_fill_in_what_is_missing() -> None:
    scorer = HalfSpace(gather=2, leave_out=frozenset({"timestamp"}))
    scorer.learn_one({"a": 1.0, "timestamp": 5.0})
    scorer.learn_one({"b": 2.0})
    assert scorer._features({"a": 3.0}) == {"a": 3.0, "b": 2.0}


def test_lags_are_the_values_before() -> None:
    scorer = HalfSpace(lags=2)
    for value in (1.0, 2.0, 3.0):
        scorer.learn_one({VALUE: value})
    assert scorer._features({VALUE: 4.0}) == {VALUE: 4.0, "value-1": 3.0, "value-2": 2.0}


class Echo:
    """Scores what it is told."""

    def score_one(self, x: Mapping[str, float]) -> float:
        return x[VALUE]

    def learn_one(self, x: Mapping[str, float]) -> None:
        """Nothing to learn."""


def test_a_gate_lets_about_as_much_through_as_its_quantile_says() -> None:
    gate = Gate(Echo(), 0.99)
    chance = np.random.default_rng(5)
    strange = [gate.is_strange({VALUE: float(chance.uniform(0.1, 0.9))}) for _ in range(5000)]
    assert 0.005 <= np.mean(strange[500:]) <= 0.02
    assert gate.is_strange({VALUE: 1.0})


def test_a_gate_is_shut_while_its_scorer_warms_up() -> None:
    gate = Gate(Echo(), 0.5)
    assert not any(gate.is_strange({VALUE: 0.0}) for _ in range(100))
