"""A first look at quality that every run of the suite can afford; the rest is marked `quality`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ruptura.evaluation.baselines import RUPTURA
from ruptura.evaluation.simulated import run_trial
from tests.evaluation.small_scenario import small_scenario

MINUTE = 60.0


@pytest.mark.parametrize("seed", [1001, 1002])
def test_many_errors_on_a_small_channel_are_told_within_ten_minutes(
    tmp_path: Path, seed: int
) -> None:
    verdict = run_trial(small_scenario(tmp_path), seed, {}).verdicts[RUPTURA]
    [rupture] = verdict.ruptures
    assert rupture.told is not None
    assert rupture.told - rupture.onset <= 10 * MINUTE
