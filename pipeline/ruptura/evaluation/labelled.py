"""Labelled series, judged by segments.

The rules are those of Ren et al., "Time-Series Anomaly Detection Service at Microsoft" (KDD 2019,
section 4.2), which the AIOps competition of 2018 had set: an anomalous segment is a run of labelled
points. It is found if an alarm falls on one of its first k + 1 points (a delay of at most k); then
all its points count as found, otherwise none of them does, whatever comes later within it. Alarms
on normal points are false, each. k is 7 for series by the minute, 3 by the hour, 1 by the day.

Beside these figures by point stand those by segment: found segments against all, and runs of alarms
on normal points, each run counted once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from ruptura.evaluation.river_baselines import VALUE, Scorer

Scores: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

TIMESTAMP: Final = "timestamp"

FIRST_SHARE: Final = 0.5
"""The first half of each series sets what there is to set; the rest reports."""

WEEK_SECONDS: Final = 604_800.0
_HOUR_SECONDS: Final = 3600.0
_DAY_SECONDS: Final = 86_400.0


class LabelledSeries(msgspec.Struct, frozen=True):
    """One series, in order of time.

    Attributes:
        name: Of its file.
        times: In seconds since the Unix epoch.
        values: Finite; NaN where nothing was measured.
        labels: Whether each point is anomalous.
    """

    name: str
    times: Scores
    values: Scores
    labels: Flags

    @property
    def step_seconds(self) -> float:
        """Return the usual time between two points; 60 where there is only one."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 60.0


class Tally(msgspec.Struct, frozen=True):
    """Counts that can be added up, over series and parts of series.

    Attributes:
        segments, found: Anomalous segments, and those that were found in time.
        false_runs: Runs of alarms on normal points.
        hit_points, missed_points, false_points: Points by the published adjustment.
        weeks: How long the series were.
    """

    segments: int = 0
    found: int = 0
    false_runs: int = 0
    hit_points: int = 0
    missed_points: int = 0
    false_points: int = 0
    weeks: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        """Add up."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Tally(*(mine + theirs for mine, theirs in pairs))


class Scoring(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a tally. None stands where there is nothing to divide by.

    Attributes:
        recall, precision, f1: By segment: found over all; found over found and false runs.
        point_recall, point_precision, point_f1: By point, as published.
        false_runs_per_week: Runs of alarms on normal points, by week of series.
        tally: What they are made of.
    """

    recall: float | None
    precision: float | None
    f1: float | None
    point_recall: float | None
    point_precision: float | None
    point_f1: float | None
    false_runs_per_week: float | None
    tally: Tally


def delay_points(step_seconds: float) -> int:
    """Return how many points late an alarm may come: 7 by the minute, 3 by the hour, 1 by day."""
    if step_seconds < _HOUR_SECONDS:
        return 7
    return 3 if step_seconds < _DAY_SECONDS else 1


def segments(labels: Flags) -> list[tuple[int, int]]:
    """Return the runs of labelled points: first point, and first point after."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], labels, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def tally(series: LabelledSeries, alarms: Flags, begin: int, end: int) -> Tally:
    """Count alarms against labels, on part of a series.

    A segment, and a run of false alarms, belong to the part in which they begin.

    Args:
        series: The labels.
        alarms: Whether there is an alarm, by point.
        begin, end: First point of the part, and first point after it.
    """
    late = delay_points(series.step_seconds)
    runs = [run for run in segments(series.labels) if begin <= run[0] < end]
    found = [run for run in runs if alarms[run[0] : min(run[1], run[0] + late + 1)].any()]
    wrong = alarms & ~series.labels
    hit = sum(after - first for first, after in found)
    points = slice(begin, end)
    return Tally(
        segments=len(runs),
        found=len(found),
        false_runs=sum(begin <= first < end for first, _ in segments(wrong)),
        hit_points=hit,
        missed_points=sum(after - first for first, after in runs) - hit,
        false_points=int(wrong[points].sum()),
        weeks=(end - begin) * series.step_seconds / WEEK_SECONDS,
    )


def scoring(tallies: Iterable[Tally]) -> Scoring:
    """Add up tallies and divide."""
    total = sum(tallies, Tally())
    recall = _ratio(total.found, total.segments)
    precision = _ratio(total.found, total.found + total.false_runs)
    point_recall = _ratio(total.hit_points, total.hit_points + total.missed_points)
    point_precision = _ratio(total.hit_points, total.hit_points + total.false_points)
    return Scoring(
        recall=recall,
        precision=precision,
        f1=_f1(recall, precision),
        point_recall=point_recall,
        point_precision=point_precision,
        point_f1=_f1(point_recall, point_precision),
        false_runs_per_week=_ratio(total.false_runs, total.weeks),
        tally=total,
    )


def run_scorer(scorer: Scorer, series: LabelledSeries) -> Scores:
    """Return the score of each point, from before it was learned; 0 where there is no value."""
    scores = np.zeros(len(series.values))
    for index, (time, value) in enumerate(
        zip(series.times.tolist(), series.values.tolist(), strict=True)
    ):
        if math.isnan(value):
            continue
        x = {TIMESTAMP: time, VALUE: value}
        scores[index] = scorer.score_one(x)
        scorer.learn_one(x)
    return scores


class Part(msgspec.Struct, frozen=True):
    """The figures of one detector.

    Attributes:
        threshold: A point alarms if its score reaches it.
        first, rest: Over the first parts of the labelled series, and over their rests.
        unlabelled: Over the series without any label, whole.
    """

    threshold: float
    first: Scoring
    rest: Scoring
    unlabelled: Scoring


def report(
    scored: Sequence[tuple[LabelledSeries, Scores]],
    threshold: float | None = None,
    share: float = FIRST_SHARE,
) -> Part:
    """Judge the scores of one detector on all series by one threshold.

    Args:
        scored: The series and their scores.
        threshold: The detector's own; None chooses the one with the best F1 by segment on the
            first parts of the labelled series.
        share: How much of each series is its first part.
    """
    labelled = [pair for pair in scored if pair[0].labels.any()]
    if threshold is None:
        threshold = choose_threshold(labelled, share)
    first, rest, unlabelled = [], [], []
    for series, scores in scored:
        alarms = scores >= threshold
        count = len(alarms)
        split = round(count * share)
        if series.labels.any():
            first.append(tally(series, alarms, 0, split))
            rest.append(tally(series, alarms, split, count))
        else:
            unlabelled.append(tally(series, alarms, 0, count))
    return Part(threshold, scoring(first), scoring(rest), scoring(unlabelled))


_CANDIDATES: Final = 60


def choose_threshold(scored: Sequence[tuple[LabelledSeries, Scores]], share: float) -> float:
    """Return the threshold with the best F1 by segment on the first parts; the highest of equals.

    Candidates are quantiles of the scores over 0 that lie ever closer to the top.
    """
    firsts = [scores[: round(len(scores) * share)] for _, scores in scored]
    pool = np.concatenate([first[first > 0.0] for first in firsts]) if firsts else np.zeros(0)
    if not len(pool):
        return float("inf")
    levels = 1.0 - np.geomspace(0.5, 0.5 / len(pool), _CANDIDATES)
    best, chosen = -1.0, float("inf")
    for candidate in np.unique(np.quantile(pool, levels)):
        tallies = [
            tally(series, scores >= candidate, 0, len(first))
            for (series, scores), first in zip(scored, firsts, strict=True)
        ]
        f1 = scoring(tallies).f1 or 0.0
        if f1 >= best:
            best, chosen = f1, float(candidate)
    return chosen


def figures_of(parts: Mapping[str, Part]) -> dict[str, object]:
    """Return the figures as plain data, for JSON."""
    return {name: msgspec.to_builtins(part) for name, part in parts.items()}


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _f1(recall: float | None, precision: float | None) -> float | None:
    if recall is None:
        return None
    if not recall or not precision:
        return 0.0
    return 2.0 * recall * precision / (recall + precision)
