"""Novelty in a single series: what it tells, what it keeps quiet about, what it costs."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, update_wrapper
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.checks import common

from ruptura.core.detect.novelty import THRESHOLD, WARM_UP, Novelty, blend
from ruptura.core.detect.novelty_record import KEPT, Record
from ruptura.core.detect.novelty_views import Departure, Shift

MONDAY = 1_456_704_000.0
STEP_SECONDS = 300.0
DAY = 288

numbers = st.floats(allow_nan=True, allow_infinity=True)


def watch(values: Iterable[float], subject: Novelty | None = None, begin: int = 0) -> list[float]:
    subject = subject or Novelty()
    scores = []
    for n, value in enumerate(values, begin):
        x = {"timestamp": MONDAY + n * STEP_SECONDS, "value": value}
        scores.append(subject.score_one(x))
        subject.learn_one(x)
    return scores


NOT_IN_0_24 = {
    "check_repr_roundtrips_clone",
    "check_get_params_matches_signature",
    "check_clone_is_independent",
    "check_no_state_aliasing_with_input",
}
"""Checks that River has had since; all others are in every version that the package allows."""


def checks_of_river() -> list[Callable[[Novelty], None]]:
    """Return River's own, on a series in place of its data set of card payments."""
    plain = [
        "check_pickling_supports_roundtrip",
        "check_repr",
        "check_str",
        "check_tags",
        "check_clone_same_class",
        "check_clone_is_idempotent",
        "check_mutate_can_be_idempotent",
        "check_init_has_default_params_for_tests",
        "check_init_default_params_are_not_mutable",
        "check_clone_changes_memory_addresses",
        "check_repr_roundtrips_clone",
        "check_get_params_matches_signature",
    ]
    on_series = [
        "check_learn_one",
        "check_shuffle_features_no_impact",
        "check_emerging_features",
        "check_disappearing_features",
        "check_radically_disappearing_features",
        "check_pickling",
        "check_clone_is_independent",
        "check_no_state_aliasing_with_input",
    ]
    missing = {name for name in (*plain, *on_series) if not hasattr(common, name)}
    assert missing in (set(), NOT_IN_0_24), "River has renamed or dropped a check"
    found = [getattr(common, name) for name in plain if name not in missing]
    for name in on_series:
        if name in missing:
            continue
        check = getattr(common, name)
        bound = partial(check, dataset=Series())
        update_wrapper(bound, check)
        found.append(bound)
    return found


def alarms(scores: Sequence[float]) -> list[int]:
    return [at for at, score in enumerate(scores) if score >= THRESHOLD]


def noise(points: int, seed: int = 0, level: float = 100.0) -> list[float]:
    chance = Random(seed)
    return [chance.gauss(level, 1.0) for _ in range(points)]


def daily(points: int, seed: int = 0) -> list[float]:
    chance = Random(seed)
    return [
        50.0 + 30.0 * math.sin(2 * math.pi * n / DAY) + chance.gauss(0.0, 1.0)
        for n in range(points)
    ]


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1e-12, 123_456.789, -1e12])
def test_a_constant_series_is_never_novel(level: float) -> None:
    assert set(watch([level] * 3000)) == {0.0}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sigmas", [10.0, -10.0])
def test_a_spike_of_ten_sigma_alarms_at_its_point(sigmas: float, seed: int) -> None:
    values = noise(2001, seed)
    values[2000] = 100.0 + sigmas
    assert watch(values)[2000] >= THRESHOLD


@pytest.mark.parametrize("seed", range(3))
def test_noise_alarms_less_than_once_in_five_hundred_points(seed: int) -> None:
    assert len(alarms(watch(noise(5000, seed))[1000:])) <= 8


@pytest.mark.parametrize("seed", range(3))
def test_a_day_that_is_like_the_others_is_not_novel(seed: int) -> None:
    assert len(alarms(watch(daily(14 * DAY, seed))[7 * DAY :])) <= 2


def test_a_level_shift_is_told_at_once_and_becomes_normal_within_a_day() -> None:
    values = noise(3000) + noise(2000, seed=1, level=115.0)
    told = [at - 3000 for at in alarms(watch(values)) if at >= 3000]
    assert told[0] == 0
    assert len([at for at in told if at < DAY]) <= 2
    assert len([at for at in told if at >= DAY]) <= 4  # as noise


def test_an_episode_is_told_once_unless_it_grows() -> None:
    values = [*noise(2000), 115.0, 100.0, 115.0, 100.0, 115.0, 100.0]
    assert [at for at in alarms(watch(values)) if at >= 2000] == [2000]
    grown = [*noise(2000), 112.0, *[100.0] * 5, 1000.0]
    assert [at for at in alarms(watch(grown)) if at >= 2000] == [2000, 2006]


def test_the_first_rise_of_a_series_that_never_moved_alarms() -> None:
    assert alarms(watch([5.0] * 500 + [6.0])) == [500]


def test_nothing_is_told_before_the_warm_up_ends() -> None:
    values = [*noise(WARM_UP - 1), 1e6]
    assert not alarms(watch(values))
    assert alarms(watch([*noise(WARM_UP), 1e6])) == [WARM_UP]


def test_gaps_repeated_and_absent_timestamps_do_not_break_it() -> None:
    chance = Random(1)
    subject = Novelty()
    at = MONDAY
    for n in range(2000):
        at += chance.choice((0.0, 60.0, 300.0, 86_400.0 * 9))
        x = {"timestamp": at, "value": chance.gauss(0.0, 1.0)}
        if n % 3 == 0:
            del x["timestamp"]
        assert 0.0 <= subject.score_one(x) < 1.0
        subject.learn_one(x)
    assert subject.score_one({"timestamp": at, "value": 50.0}) >= THRESHOLD


@pytest.mark.parametrize("bad", [{}, {"value": math.nan}, {"value": math.inf, "timestamp": 0.0}])
def test_a_point_without_a_finite_value_scores_nought_and_changes_nothing(
    bad: dict[str, float],
) -> None:
    subject = Novelty()
    watch(noise(500), subject)
    before = pickle.dumps(subject)
    assert subject.score_one(bad) == 0.0
    subject.learn_one(bad)
    assert pickle.dumps(subject) == before


@settings(max_examples=30, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=60))
def test_scores_stay_within_nought_and_one(values: list[float]) -> None:
    for score in watch(values, begin=0) + watch(noise(WARM_UP) + values):
        assert 0.0 <= score <= 1.0


def test_the_unit_of_the_values_does_not_matter() -> None:
    values = noise(1500)
    scores = watch(values)
    for scale in (1e-6, 1e6):
        assert watch([scale * each for each in values]) == pytest.approx(scores, abs=1e-3)


def test_scoring_changes_nothing_and_the_same_series_scores_the_same() -> None:
    values = daily(1500)
    subject = Novelty()
    scores = []
    for n, value in enumerate(values):
        x = {"timestamp": MONDAY + n * STEP_SECONDS, "value": value}
        subject.score_one({"timestamp": 0.0, "value": 1e9})
        scores.append(subject.score_one(x))
        assert subject.score_one(x) == scores[-1]
        subject.learn_one(x)
    assert scores == watch(values)


def test_points_learned_without_being_scored_count_alike() -> None:
    values = daily(1000)
    scored, unscored = Novelty(), Novelty()
    watch(values, scored)
    for n, value in enumerate(values):
        unscored.learn_one({"timestamp": MONDAY + n * STEP_SECONDS, "value": value})
    assert watch(noise(50), scored, 1000) == watch(noise(50), unscored, 1000)


def test_a_pickled_detector_goes_on_without_a_difference() -> None:
    subject = Novelty()
    watch(daily(1000), subject)
    restored = pickle.loads(pickle.dumps(subject))  # noqa: S301 - our own bytes
    assert watch(daily(500, seed=2), subject, 1000) == watch(daily(500, seed=2), restored, 1000)


def test_its_state_fits_in_four_kilobytes_however_long_it_lives() -> None:
    subject = Novelty()
    watch(daily(3 * DAY), subject)
    sizes = [len(pickle.dumps(subject))]
    watch(noise(6000, seed=3), subject, 3 * DAY)
    sizes.append(len(pickle.dumps(subject)))
    assert max(sizes) <= 4096


class Series:
    """What River's checks are given: points and whether they are labelled."""

    def __iter__(self) -> Iterator[tuple[dict[str, float], int]]:
        for n, value in enumerate(noise(150)):
            spike = n in {120, 140}
            yield {"timestamp": n * 300.0, "value": value + 50.0 * spike}, int(spike)


@pytest.mark.parametrize("check", checks_of_river(), ids=lambda check: check.__name__)
def test_it_passes_the_checks_of_river(check: Callable[[Novelty], None]) -> None:
    check(Novelty())


def test_a_clone_knows_nothing_and_keeps_the_names_of_the_keys() -> None:
    subject = Novelty(time="Time", value="Amount")
    for n, value in enumerate(noise(500)):
        subject.learn_one({"Time": float(n), "Amount": value})
    clone = subject.clone()
    assert (clone.time, clone.value) == ("Time", "Amount")
    assert clone.score_one({"Time": 0.0, "Amount": 1e9}) == 0.0
    assert copy.deepcopy(subject).score_one({"Time": 501.0, "Amount": 1e9}) > 0.0


def test_a_record_tells_how_far_a_rise_is_beyond_the_largest() -> None:
    record = Record(kept=4)
    for rise in (1.0, 2.0, 4.0, 8.0, 0.5):
        record.learn(rise)
    assert record.excess(1.0) == 0.0
    assert record.excess(4.0) == pytest.approx((math.log(4.0) + math.log(2.0)) / 4.0)
    assert record.excess(16.0) == pytest.approx(math.log(16.0 * 8.0 * 4.0 * 2.0) / 4.0)


def test_a_record_of_few_rises_counts_those_that_never_came_as_none() -> None:
    record = Record(kept=4)
    unheard = record.excess(1.0)
    assert unheard > 1.0
    record.learn(1.0)
    assert record.excess(0.25) == 0.0
    assert record.excess(0.5) == pytest.approx(math.log(2.0))
    assert record.excess(1e9) == unheard


def test_a_record_forgets_what_is_long_ago() -> None:
    record = Record()
    for _ in range(KEPT):
        record.learn(100.0)
    before = record.excess(200.0)
    for _ in range(40_000):
        record.fade()
    assert record.excess(100.0) == pytest.approx(2.5, rel=1e-3)
    assert record.excess(200.0) == pytest.approx(before + 2.5, rel=1e-3)


def departures(hourly: Sequence[float]) -> list[tuple[float, ...]]:
    view = Departure()
    told = []
    for hour, value in enumerate(hourly):
        told.append(view.measure(MONDAY + hour * 3600.0, value))
        view.learn(MONDAY + hour * 3600.0, value)
    return told


def test_a_value_that_the_hour_of_the_week_explains_is_no_departure_from_it() -> None:
    week = [100.0] * 168
    week[50] = 500.0  # Wednesday, 02:00
    with_week, in_steps, without_week = departures([*week, *week])[168 + 50]
    assert with_week == in_steps == 0.0
    assert without_week > 300.0


def test_a_departure_is_the_distance_outside_all_that_is_usual() -> None:
    always_more_at_noon = [120.0 if hour % 24 == 12 else 100.0 for hour in range(24 * 14)]
    to_noon = [100.0] * 12
    for value, distance in ((125.0, 5.0), (120.0, 0.0), (110.0, 0.0), (90.0, 10.0)):
        with_week, _, without_week = departures([*always_more_at_noon, *to_noon, value])[-1]
        # Below, the usual level counts, which noons have raised a little.
        assert (with_week, without_week) == pytest.approx((distance, distance), abs=1.0)


def test_a_departure_is_told_when_the_hours_are_known_and_not_before() -> None:
    told = departures([0.0] * 10 + [50.0] + [0.0] * (24 - 11) + [50.0])
    assert told[10] == (0.0, 0.0, 0.0)
    assert told[24] == pytest.approx((0.0, 0.0, 50.0 - 50.0 / 24))


def test_the_same_departure_counts_less_in_a_rough_stretch() -> None:
    chance = Random(5)
    smooth, rough = ([chance.gauss(100.0, sigma) for _ in range(336)] for sigma in (1.0, 10.0))
    in_steps = [departures([*before, 200.0])[-1][1] for before in (smooth, rough)]
    assert in_steps[0] > 5.0 * in_steps[1] > 0.0


@pytest.mark.parametrize("to", [110.0, 90.0])
def test_a_shift_grows_while_the_level_stays_away(to: float) -> None:
    view = Shift()
    for _ in range(500):
        view.learn(0.0, 100.0)
    assert view.measure(0.0, 100.0) == pytest.approx((0.0, 0.0), abs=1e-9)
    quick = []
    for _ in range(10):
        quick.append(view.measure(0.0, to)[0])
        view.learn(0.0, to)
    assert quick == sorted(quick)
    assert quick[0] == pytest.approx(1.0)
    assert quick[-1] > 6.0


def test_one_view_alone_says_less_than_both() -> None:
    assert blend([[1.0, 3.0], [2.0, 2.0]]) == pytest.approx(2.0)
    assert blend([[2.0, 2.0], [0.0, 0.0]]) == pytest.approx(0.5)
    assert blend([[0.0, 0.0], [0.0, 0.0]]) == 0.0
