"""Tails corrected by experience: wider where they were wrong, never narrower, back in full."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.detect.calibration import (
    ABOVE,
    BELOW,
    BUCKET_ABOVE,
    THRESHOLD,
    Calibration,
    CalibrationState,
)

probabilities = st.floats(1e-300, 1.0)


def taught(tails: list[float], memory: float = 20_000.0, longest: float = 12.0) -> Calibration:
    calibration = Calibration(memory, longest)
    for tail in tails:
        calibration.learn((1.0, 1.0, tail, 1.0), 1.0)
    return calibration


def test_before_anything_was_seen_what_is_common_stays_and_the_far_tail_is_doubted() -> None:
    fresh = Calibration(1000.0, 12.0)
    assert fresh.corrected(ABOVE, 0.3) == 0.3
    assert fresh.corrected(ABOVE, 0.04) == pytest.approx(0.04, rel=0.01)
    assert 1e-9 < fresh.corrected(ABOVE, 1e-9) < 1e-5


def test_tails_of_the_right_model_stay_as_they_are() -> None:
    chance = np.random.default_rng(0)
    calibration = taught([float(tail) for tail in chance.uniform(1e-12, 1.0, 20_000)])
    assert calibration.corrected(ABOVE, 0.001) == pytest.approx(0.001, rel=0.25)


@pytest.mark.parametrize("power", [1.5, 2.5])
def test_tails_that_fall_too_fast_are_put_right(power: float) -> None:
    # The model says p where q = p ** (1 / power) is true: as a tail that is heavier than thought.
    chance = np.random.default_rng(1)
    calibration = taught([float(q) ** power for q in chance.uniform(1e-12, 1.0, 20_000)])
    for true in (0.01, 0.001, 0.0001):
        assert calibration.corrected(ABOVE, true**power) == pytest.approx(true, rel=0.5)


def test_sides_and_kinds_are_learned_apart() -> None:
    chance = np.random.default_rng(1)
    calibration = taught([float(q) ** 2.0 for q in chance.uniform(1e-12, 1.0, 5000)])
    fresh = taught([1.0] * 5000)
    for tail in (BELOW, BUCKET_ABOVE):
        assert calibration.corrected(tail, 1e-5) == fresh.corrected(tail, 1e-5)


def test_what_lasts_teaches_nothing_while_it_lasts_and_little_after() -> None:
    quiet = [0.5] * 5000
    before = taught(quiet).corrected(ABOVE, 1e-8)
    during = taught([*quiet, *[1e-12] * 1000]).corrected(ABOVE, 1e-8)
    after = taught([*quiet, *[1e-12] * 1000, 0.5]).corrected(ABOVE, 1e-8)
    assert during == pytest.approx(before, rel=0.01)
    assert before < after < 100.0 * before


@given(st.lists(probabilities, max_size=60), probabilities, st.floats(0.05, 1.0))
def test_a_correction_is_a_probability_and_never_makes_a_tail_rarer(
    lessons: list[float], asked: float, weight: float
) -> None:
    calibration = Calibration(100.0, 5.0)
    for tail in lessons:
        calibration.learn((tail, 1.0, tail, tail), weight)
    for kind in range(4):
        corrected = calibration.corrected(kind, asked)
        assert asked * (1.0 - 1e-9) <= corrected <= 1.0


@given(st.lists(probabilities, max_size=40), probabilities, st.floats(0.1, 0.999))
def test_what_is_rarer_stays_rarer(lessons: list[float], asked: float, share: float) -> None:
    calibration = taught(lessons, memory=100.0)
    rarer = max(asked * share, 1e-300)
    assert calibration.corrected(ABOVE, rarer) <= calibration.corrected(ABOVE, asked) * (1 + 1e-9)
    if asked < THRESHOLD:
        assert calibration.corrected(ABOVE, asked) < 1.0


def test_bytes_out_and_in_again_change_nothing_and_others_are_refused() -> None:
    one, other = taught([0.5, 0.01, 1e-9, 0.001] * 20), Calibration(20_000.0, 12.0)
    state = one.dump()
    other.load(state)
    assert other.dump() == state
    assert other.corrected(ABOVE, 1e-7) == one.corrected(ABOVE, 1e-7)
    for poison, told in ((math.nan, "not finite"), (math.inf, "not finite"), (-1.0, "under 0")):
        with pytest.raises(ValueError, match=told):
            other.load(CalibrationState(poison, state.tails))
        with pytest.raises(ValueError, match=told):
            other.load(CalibrationState(1.0, struct.pack("<d", poison) + state.tails[8:]))
    with pytest.raises(ValueError, match="these tails"):
        other.load(CalibrationState(1.0, state.tails[:-8]))
    assert other.dump() == state
