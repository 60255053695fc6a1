"""The scoring of the Numenta Anomaly Benchmark, from a detector's scores to its figures.

Rules: Lavin & Ahmad, "Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly
Benchmark" (ICMLA 2015), and Ahmad, Lavin, Purdy & Agha, "Unsupervised real-time anomaly detection
for streaming data" (Neurocomputing 262, 2017), with the published program where they are silent:
a point alarms if its score reaches the threshold, which is the same for all files; the first 15 %
of a file are not judged; in a labelled window the earliest alarm counts, and the earlier the more;
an alarm outside costs the more the further it lies behind the last window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Windows: TypeAlias = tuple[tuple[int, int], ...]
"""First and last point of each labelled window, both inside, in order."""

PROBATION_SHARE: Final = 0.15
PROBATION_POINTS: Final = 750

_STEEPNESS: Final = 5.0
_FAR: Final = 3.0
"""So many widths behind a window, or before the first, an alarm costs all it can cost."""

_FALSE: Final = -1
_UNJUDGED: Final = -2


@dataclass(frozen=True, slots=True)
class Profile:
    """What matters to whom.

    Attributes:
        name: As on the published scoreboard.
        hit: Earned by an alarm at the very begin of a window.
        false_alarm: Lost by an alarm far from any window.
        miss: Lost by a window without an alarm.
    """

    name: str
    hit: float
    false_alarm: float
    miss: float


STANDARD: Final = Profile("standard", 1.0, 0.11, 1.0)
REWARD_LOW_FP: Final = Profile("reward_low_FP", 1.0, 0.22, 1.0)
REWARD_LOW_FN: Final = Profile("reward_low_FN", 1.0, 0.11, 2.0)
PROFILES: Final = (STANDARD, REWARD_LOW_FP, REWARD_LOW_FN)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A detector's figure at one threshold.

    Attributes:
        value: 0 for a detector that never alarms, 100 for one that alarms once at the begin of
            every window and never else; false alarms may bring it below 0.
        threshold: Points whose score reaches it alarm; infinite where no alarm is best.
        detected: Windows with an alarm.
        windows: Windows judged.
        false_alarms: Points that alarm outside the windows, after the probation.
    """

    value: float
    threshold: float
    detected: int
    windows: int
    false_alarms: int


def scaled_sigmoid(position: float) -> float:
    """Worth of an alarm, from 1 to -1.

    Args:
        position: In widths of the window from its end: -1 at its begin, 0 at its end, positive
            behind it.
    """
    return -1.0 if position >= _FAR else 2.0 / (1.0 + math.exp(_STEEPNESS * position)) - 1.0


_BEST: Final = scaled_sigmoid(-1.0)


def probation(points: int) -> int:
    """Return how many points at the begin of a file of this length are not judged."""
    return min(math.floor(PROBATION_SHARE * points), PROBATION_POINTS)


def locate(timestamps: Sequence[str], limits: Sequence[tuple[str, str]]) -> Windows:
    """Find the points that labelled windows begin and end with.

    Args:
        timestamps: Of the file, in order.
        limits: First and last timestamp of each window, in order, written as the file's.

    Raises:
        ValueError: A limit is no timestamp of the file, or windows overlap or are out of order.
    """
    first: dict[str, int] = {}
    for at, timestamp in enumerate(timestamps):
        first.setdefault(timestamp, at)
    windows = []
    before = -1
    for begins, ends in limits:
        for limit in (begins, ends):
            if limit not in first:
                raise ValueError(f"window {begins} to {ends}: the file has no point at {limit}")
        if not before < first[begins] < first[ends]:
            raise ValueError(f"window {begins} to {ends}: windows must have a length and an order")
        before = first[ends]
        windows.append((first[begins], first[ends]))
    return tuple(windows)


class Judged:
    """A detector's scores of one file beside what an alarm at each point is worth.

    Args:
        scores: One for each point of the file; the higher the more anomalous.
        windows: The labelled windows, as `locate` returns them.

    Raises:
        ValueError: A score is not a number, or a window does not lie in the file.
    """

    __slots__ = ("_scores", "_window_numbers", "_worth", "windows")

    def __init__(self, scores: Sequence[float] | Numbers, windows: Windows) -> None:
        self._scores = np.asarray(scores, dtype=np.float64)
        points = len(self._scores)
        if np.isnan(self._scores).any():
            raise ValueError("a score is not a number")
        if windows and not (windows[0][0] >= 0 and windows[-1][1] < points):
            raise ValueError(f"windows reach beyond the {points} points of the file")
        self._window_numbers = np.full(points, _FALSE)
        self._worth = np.full(points, -1.0)
        for number, (begin, end) in enumerate(windows):
            width = end - begin
            for at in range(begin, end + 1):
                self._worth[at] = scaled_sigmoid((at - end - 1) / (width + 1)) / _BEST
            for at in range(end + 1, points):
                self._worth[at] = scaled_sigmoid((at - end) / width)
            self._window_numbers[begin : end + 1] = number
        self._window_numbers[: probation(points)] = _UNJUDGED
        self.windows = len(set(self._window_numbers[self._window_numbers >= 0]))
        """How many have a point after the probation."""

    def gains(self, profile: Profile) -> Iterator[tuple[Numbers, Numbers]]:
        """Yield scores, and what is gained over no alarm when the threshold falls to each."""
        outside = self._window_numbers == _FALSE
        yield self._scores[outside], self._worth[outside] * profile.false_alarm
        for number in range(self._window_numbers.max(initial=_FALSE) + 1):
            inside = self._window_numbers == number
            order = np.argsort(-self._scores[inside], kind="stable")
            earliest = np.maximum.accumulate(self._worth[inside][order])
            reached = profile.hit * earliest + profile.miss
            yield self._scores[inside][order], np.diff(reached, prepend=0.0)

    def gain(self, alarms: Indices, profile: Profile) -> float:
        """Return what is gained over no alarm by alarms at these points, whatever the scores."""
        numbers, worth = self._window_numbers[alarms], self._worth[alarms]
        gained = profile.false_alarm * float(worth[numbers == _FALSE].sum())
        for number in set(numbers[numbers >= 0].tolist()):
            gained += profile.hit * float(worth[numbers == number].max()) + profile.miss
        return gained

    def alarms(self, threshold: float) -> tuple[int, int]:
        """Count the windows found and the false alarms at a threshold."""
        numbers = self._window_numbers[self._scores >= threshold]
        return len(set(numbers[numbers >= 0])), int((numbers == _FALSE).sum())


def best(files: Sequence[Judged], profile: Profile) -> Outcome:
    """Score with the threshold that serves these files best: the rule of the scoreboard."""
    parts = [part for file in files for part in file.gains(profile)]
    scores = np.concatenate([part[0] for part in parts]) if parts else np.empty(0)
    gains = np.concatenate([part[1] for part in parts]) if parts else np.empty(0)
    order = np.argsort(-scores, kind="stable")
    total = np.cumsum(gains[order])
    scores = scores[order]
    # Points of the same score alarm together.
    last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
    total, scores = total[last], scores[last]
    at = int(np.argmax(total)) if len(total) else 0
    never = len(total) == 0 or total[at] <= 0.0
    return at_threshold(files, profile, math.inf if never else float(scores[at]))


def at_threshold(files: Sequence[Judged], profile: Profile, threshold: float) -> Outcome:
    """Score with a threshold fixed beforehand."""
    gain, detected, false_alarms = _tally(files, profile, threshold)
    windows = sum(file.windows for file in files)
    value = _normalised(gain, windows, profile)
    return Outcome(value, threshold, detected, windows, false_alarms)


def cross_validated(
    files: Sequence[Judged], profile: Profile, folds: int = 5, repeats: int = 20
) -> float:
    """Score each file with the threshold that serves the files of the other folds best.

    The mean over several ways to deal the files out: with few files, one way tells little.

    Args:
        files: At least as many as folds.
        profile: What matters.
        folds: Parts to deal the files out to.
        repeats: Ways to deal them out, always the same.

    Raises:
        ValueError: There are fewer files than folds.
    """
    if len(files) < folds:
        raise ValueError(f"{len(files)} files cannot be dealt out to {folds} folds")
    windows = sum(file.windows for file in files)
    gain = 0.0
    for seed in range(repeats):
        order = np.random.default_rng(seed).permutation(len(files))
        for fold in range(folds):
            held = set(order[fold::folds].tolist())
            others = [file for at, file in enumerate(files) if at not in held]
            threshold = best(others, profile).threshold
            gain += _tally([files[at] for at in sorted(held)], profile, threshold)[0]
    return _normalised(gain / repeats, windows, profile)


def _tally(files: Sequence[Judged], profile: Profile, threshold: float) -> tuple[float, int, int]:
    """Return the gain over no alarm, the windows found and the false alarms."""
    gain = 0.0
    detected = false_alarms = 0
    for file in files:
        for scores, gains in file.gains(profile):
            gain += float(gains[scores >= threshold].sum())
        found, false = file.alarms(threshold)
        detected += found
        false_alarms += false
    return gain, detected, false_alarms


def _normalised(gain: float, windows: int, profile: Profile) -> float:
    """Put no alarm at 0 and perfection at 100; without windows there is nothing to gain."""
    return 100.0 * gain / (max(windows, 1) * (profile.hit + profile.miss))
