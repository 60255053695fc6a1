"""How strange it is that nothing comes: by what was due, and by how long gaps usually last."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ruptura.core.detect.gap_model import GapModel, GapState


def add(model: GapModel, value: float, due: float) -> float:
    probability = model.score(value, due, 1.0, 0.0)
    model.learn(value, due)
    return probability


def gaps(model: GapModel, counts: list[int], due: float) -> list[float]:
    return [add(model, float(count), due) for count in counts]


def test_without_experience_silence_is_as_strange_as_what_was_due() -> None:
    model = GapModel()
    for n in range(1, 40):
        assert add(model, 0.0, 1.0) == pytest.approx(math.exp(-(n - 1.0)))
    assert add(model, 1.0, 1.0) == 1.0
    assert model.expected_count == 0.0


def test_where_events_come_in_bursts_gaps_are_usual() -> None:
    chance = np.random.default_rng(3)
    sessions = chance.random(20_000) < 0.1
    counts = np.where(np.convolve(sessions, np.ones(4))[: len(sessions)] > 0, 5, 0).tolist()
    model = GapModel()
    due = float(np.mean(counts))
    learned = gaps(model, counts[:10_000], due)
    judged = gaps(model, counts[10_000:], due)
    assert min(learned) < 1e-6, "as the mean tells, some gap would have been a rupture"
    assert sum(p < 1e-3 for p in judged) <= 2e-3 * len(judged)
    assert gaps(model, [0] * 600, due)[-1] < 1e-6, "a true silence still is one"


def test_in_busy_hours_bursts_of_the_night_excuse_nothing() -> None:
    model = GapModel()
    model.load(GapState(0.0, 50.0, 100.0))
    assert add(model, 0.0, 20.0) == pytest.approx(math.exp(-20.0))


def test_one_long_outage_does_not_teach_that_outages_are_usual() -> None:
    model = GapModel()
    gaps(model, [0, 0, 0, 1] * 100, 1.0)
    before = model.burst
    gaps(model, [0] * 5_000 + [1], 1.0)
    assert model.burst < before * 1.1


@pytest.mark.parametrize("state", [(0.0, 0.5, 1.0), (0.0, 1e7, 1.0), (0.0, 2.0, 1e4)])
def test_a_state_that_could_not_be_one_is_refused(state: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="gaps out of range"):
        GapModel().load(GapState(*state))


def test_an_event_in_a_bucket_that_is_scored_twice_ends_the_gap_once() -> None:
    model = GapModel()
    gaps(model, [0, 0, 0], 1.0)
    assert model.score(0.0, 1.0, 1.0, 0.0) == model.score(0.0, 1.0, 1.0, 0.0)
    assert model.score(1.0, 1.0, 1.0, 0.0) == 1.0
    assert model.expected_count == 3.0
