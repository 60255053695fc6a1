"""Labelled series by segments, with figures worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pytest

from ruptura.evaluation.labelled import (
    LabelledSeries,
    Tally,
    choose_threshold,
    delay_points,
    report,
    run_scorer,
    scoring,
    segments,
    tally,
)

POINTS = 100
HOUR = 3600.0
MINUTE = 60.0


def flags(*spans: tuple[int, int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Points from begin to end, the latter not included."""
    found = np.zeros(POINTS, bool)
    for begin, end in spans:
        found[begin:end] = True
    return found


def series(*spans: tuple[int, int], step: float = HOUR) -> LabelledSeries:
    return LabelledSeries(
        "by-hand", np.arange(POINTS, dtype=np.float64) * step, np.zeros(POINTS), flags(*spans)
    )


TWO = series((10, 20), (60, 62))


def count(*alarms: tuple[int, int], labelled: LabelledSeries = TWO) -> Tally:
    return tally(labelled, flags(*alarms), 0, POINTS)


def test_a_perfect_stream_finds_every_segment() -> None:
    found = count((10, 11), (60, 61))
    assert (found.segments, found.found, found.false_runs) == (2, 2, 0)
    assert (found.hit_points, found.missed_points, found.false_points) == (12, 0, 0)
    figures = scoring([found])
    assert (figures.recall, figures.precision, figures.f1) == (1.0, 1.0, 1.0)
    assert figures.point_f1 == 1.0


def test_an_empty_stream_finds_nothing_and_is_never_wrong() -> None:
    figures = scoring([count()])
    assert (figures.recall, figures.precision, figures.f1) == (0.0, None, 0.0)
    assert (figures.point_recall, figures.point_precision) == (0.0, None)


@pytest.mark.parametrize(("late", "found"), [(0, 1), (3, 1), (4, 0), (9, 0)])
def test_by_the_hour_an_alarm_may_be_three_points_late(late: int, found: int) -> None:
    assert count((10 + late, 11 + late)).found == found


@pytest.mark.parametrize(("late", "found"), [(7, 1), (8, 0)])
def test_by_the_minute_an_alarm_may_be_seven_points_late(late: int, found: int) -> None:
    by_minute = series((10, 20), (60, 62), step=MINUTE)
    assert count((10 + late, 11 + late), labelled=by_minute).found == found


def test_an_alarm_just_behind_a_short_segment_is_false() -> None:
    found = count((62, 63))
    assert (found.found, found.false_runs, found.false_points) == (0, 1, 1)


def test_a_late_alarm_within_a_segment_is_neither_true_nor_false() -> None:
    found = count((15, 20))
    assert (found.hit_points, found.missed_points, found.false_points) == (0, 12, 0)
    assert found.false_runs == 0


def test_a_noisy_stream_is_counted_by_runs_and_by_points() -> None:
    found = count((5, 12), (30, 40), (50, 51))
    assert (found.found, found.false_runs) == (1, 3)
    # Five before the segment, ten, and one.
    assert (found.hit_points, found.missed_points, found.false_points) == (10, 2, 16)
    figures = scoring([found])
    assert figures.recall == 0.5
    assert figures.precision == pytest.approx(1 / 4)
    assert figures.f1 == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    assert figures.point_precision == pytest.approx(10 / 26)
    assert figures.false_runs_per_week == pytest.approx(3 / (POINTS / 168))


def test_parts_of_a_series_add_up_to_the_whole() -> None:
    alarms = flags((5, 12), (30, 40), (48, 52), (61, 62), (99, 100))
    whole = tally(TWO, alarms, 0, POINTS)
    for cut in range(POINTS):
        parts = tally(TWO, alarms, 0, cut) + tally(TWO, alarms, cut, POINTS)
        assert parts.weeks == pytest.approx(whole.weeks)
        assert (parts.segments, parts.found, parts.false_runs) == (2, 2, 4)
        assert parts.false_points == whole.false_points


def test_segments_may_touch_both_ends() -> None:
    assert segments(flags((0, 3), (98, 100))) == [(0, 3), (98, 100)]
    assert segments(flags()) == []


def test_delays_are_those_of_the_competition() -> None:
    steps = (60.0, 300.0, 3600.0, 86_400.0)
    assert [delay_points(step) for step in steps] == [7, 7, 3, 1]


def test_a_threshold_is_chosen_on_the_first_part_alone() -> None:
    scores = np.full(POINTS, 0.1)
    scores[10] = 0.8
    scores[30] = 0.5
    scores[60] = 0.95  # would allow a higher one
    scores[80:90] = 0.9  # false, and not seen when it is chosen
    chosen = choose_threshold([(TWO, scores)], 0.5)
    assert 0.5 < chosen <= 0.8
    part = report([(TWO, scores)])
    assert part.threshold == chosen
    assert (part.first.f1, part.rest.tally.false_runs, part.rest.recall) == (1.0, 1, 1.0)


def test_a_detector_with_a_threshold_of_its_own_keeps_it() -> None:
    scores = np.full(POINTS, 0.1)
    scores[10] = 0.8
    assert report([(TWO, scores)], 0.9).first.recall == 0.0


def test_a_detector_that_scores_nothing_never_alarms() -> None:
    part = report([(TWO, np.zeros(POINTS))])
    assert part.threshold == float("inf")
    assert part.first.recall == 0.0


def test_series_without_labels_are_reported_apart_and_choose_nothing() -> None:
    scores = np.full(POINTS, 0.1)
    scores[[10, 60]] = 0.8
    loud = np.full(POINTS, 0.99)
    part = report([(TWO, scores), (series(), loud)])
    assert part.first.f1 == 1.0
    assert (part.unlabelled.recall, part.unlabelled.tally.false_points) == (None, POINTS)


class Last:
    """Scores what it learned last, so that looking ahead would show."""

    def __init__(self) -> None:
        self.seen: list[Mapping[str, float]] = []

    def score_one(self, x: Mapping[str, float]) -> float:
        assert x not in self.seen
        return self.seen[-1]["value"] if self.seen else 0.0

    def learn_one(self, x: Mapping[str, float]) -> None:
        self.seen.append(x)


def values(*numbers: float) -> LabelledSeries:
    times: Iterable[float] = range(len(numbers))
    return LabelledSeries(
        "x", np.array(list(times), float), np.array(numbers), np.zeros(len(numbers), bool)
    )


def test_points_are_scored_before_they_are_learned_and_missing_ones_are_passed_over() -> None:
    scorer = Last()
    found = run_scorer(scorer, values(0.1, 0.2, float("nan"), 0.3))
    assert found.tolist() == [0.0, 0.1, 0.0, 0.2]
    assert scorer.seen[-1] == {"timestamp": 3.0, "value": 0.3}
