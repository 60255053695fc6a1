"""The benchmark's scoring, on detectors whose figure follows from the rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.evaluation.nab import (
    PROFILES,
    REWARD_LOW_FN,
    REWARD_LOW_FP,
    STANDARD,
    Judged,
    Profile,
    at_threshold,
    best,
    cross_validated,
    locate,
    probation,
    scaled_sigmoid,
)

POINTS = 1000
WINDOWS = ((300, 399), (600, 699))

every_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)


def alarms(*at: int, points: int = POINTS) -> list[float]:
    scores = [0.0] * points
    for point in at:
        scores[point] = 1.0
    return scores


def value(*at: int, profile: Profile = STANDARD) -> float:
    return at_threshold([Judged(alarms(*at), WINDOWS)], profile, 1.0).value


@every_profile
def test_a_detector_that_never_alarms_has_nought(profile: Profile) -> None:
    assert value(profile=profile) == 0.0


@every_profile
def test_one_alarm_at_the_begin_of_every_window_is_perfect(profile: Profile) -> None:
    assert value(300, 600, profile=profile) == pytest.approx(100.0)


def test_half_of_the_windows_found_at_once_is_half() -> None:
    assert value(300) == pytest.approx(50.0)


@every_profile
def test_an_alarm_at_every_point_pays_for_each_outside(profile: Profile) -> None:
    before = range(150, 300)
    between = [scaled_sigmoid((i - 399) / 99) for i in range(400, 600)]
    after = [scaled_sigmoid((i - 699) / 99) for i in range(700, POINTS)]
    paid = profile.false_alarm * (-len(before) + sum(between) + sum(after))
    whole = 2 * (profile.hit + profile.miss)
    expected = 100.0 * (whole + paid) / whole
    assert value(*range(POINTS), profile=profile) == pytest.approx(expected)


def test_within_a_window_only_the_earliest_alarm_counts() -> None:
    assert value(310, 350, 399) == value(310)
    assert value(310) > value(311)


def test_an_alarm_at_the_last_point_of_a_window_is_still_better_than_a_miss() -> None:
    hit = scaled_sigmoid(-1 / 100) / scaled_sigmoid(-1.0)
    assert value(399) == pytest.approx(100.0 * (hit + 1.0) / 4.0)


def test_a_false_alarm_costs_more_the_further_it_lies_behind_a_window() -> None:
    near, far = value(401), value(599)
    assert 0.0 > near > far
    assert far == pytest.approx(-100.0 * 0.11 * -scaled_sigmoid(200 / 99) / 4.0)


def test_before_the_first_window_and_far_behind_the_last_a_false_alarm_costs_all_it_can() -> None:
    assert value(200) == pytest.approx(-100.0 * 0.11 / 4.0)
    assert value(999) == pytest.approx(-100.0 * 0.11 / 4.0)


def test_low_fp_pays_twice_for_a_false_alarm_and_low_fn_once_of_a_larger_whole() -> None:
    assert value(200, profile=REWARD_LOW_FP) == pytest.approx(2 * value(200))
    assert value(200, profile=REWARD_LOW_FN) == pytest.approx(value(200) * 4.0 / 6.0)


def test_the_first_15_percent_are_not_judged_but_750_points_at_most() -> None:
    assert probation(1000) == 150
    assert probation(4999) == 749
    assert probation(20_000) == 750
    assert value(*range(150)) == 0.0
    assert value(150) < 0.0


def test_a_window_that_begins_in_the_probation_is_judged_from_its_end_on() -> None:
    judged = Judged(alarms(120, 160), ((100, 199),))
    found = at_threshold([judged], STANDARD, 1.0)
    assert (found.detected, found.windows, found.false_alarms) == (1, 1, 0)
    hit = scaled_sigmoid((160 - 200) / 100) / scaled_sigmoid(-1.0)
    assert found.value == pytest.approx(100.0 * (hit + 1.0) / 2.0)
    assert Judged(alarms(), ((100, 149),)).windows == 0


@every_profile
@given(st.sets(st.integers(0, POINTS - 1), max_size=30))
def test_alarms_gain_as_scores_that_reach_a_threshold_do(profile: Profile, at: set[int]) -> None:
    quiet = Judged(alarms(), WINDOWS)
    gain = quiet.gain(np.array(sorted(at), dtype=np.int64), profile)
    whole = 2 * (profile.hit + profile.miss)
    assert 100.0 * gain / whole == pytest.approx(value(*at, profile=profile))


def test_the_threshold_is_one_for_all_files() -> None:
    loud = Judged([0.5 + 0.5 * score for score in alarms(300, 600)], WINDOWS)
    faint = Judged([0.4 * score for score in alarms(300, 600)], WINDOWS)
    assert best([loud], STANDARD).value == pytest.approx(100.0)
    assert best([faint], STANDARD).value == pytest.approx(100.0)
    # What would find the faint alarms is reached by every point of the loud file.
    together = best([loud, faint], STANDARD)
    assert together.threshold == 1.0
    assert together.value == pytest.approx(50.0)


def test_where_no_alarm_is_best_the_threshold_is_infinite() -> None:
    found = best([Judged(alarms(*range(160, 290)), WINDOWS)], STANDARD)
    assert (found.value, found.threshold, found.detected) == (0.0, math.inf, 0)
    assert best([], STANDARD).value == 0.0


@given(st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8]), min_size=100, max_size=100))
def test_no_threshold_is_better_than_the_best(scores: list[float]) -> None:
    judged = [Judged(scores, ((30, 39), (70, 79)))]
    found = best(judged, STANDARD)
    tried = [at_threshold(judged, STANDARD, each).value for each in (0.0, 0.2, 0.4, 0.6, 0.8, 2.0)]
    assert found.value == pytest.approx(max(tried))
    assert found.value <= 100.0 + 1e-9


def test_cross_validation_scores_each_file_with_the_threshold_of_the_others() -> None:
    alike = [Judged(alarms(300, 600), WINDOWS) for _ in range(10)]
    assert cross_validated(alike, STANDARD) == pytest.approx(100.0)
    # The one file that whispers is never found with what the others teach.
    whisper = Judged([0.5 * score for score in alarms(300, 600)], WINDOWS)
    assert (
        cross_validated([*alike[:9], whisper], STANDARD)
        < best([*alike[:9], whisper], STANDARD).value
    )
    with pytest.raises(ValueError, match="4 files cannot be dealt out to 5 folds"):
        cross_validated(alike[:4], STANDARD)


def test_windows_are_found_by_their_timestamps_the_first_of_equal_ones() -> None:
    stamps = ["01:00", "01:05", "01:05", "01:10", "01:15"]
    assert locate(stamps, [("01:05", "01:15")]) == ((1, 4),)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ([("b", "x")], "no point at x"),
        ([("c", "b")], "an order"),
        ([("a", "c"), ("b", "d")], "an order"),
        ([("b", "b")], "a length"),
    ],
)
def test_windows_that_cannot_be_of_the_file_are_refused(
    limits: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        locate(list("abcd"), limits)


def test_scores_that_are_no_numbers_and_windows_beyond_the_file_are_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        Judged(np.array([0.0, math.nan]), ())
    with pytest.raises(ValueError, match="beyond the 5 points"):
        Judged([0.0] * 5, ((2, 5),))
