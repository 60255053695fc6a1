"""The protocol of detection: predict, score, learn; values only.

    prediction = detector.predict(start, phase)
    score = detector.score(prediction, observation)
    detector.learn(prediction, observation, weight, score)

and where nothing was measured: `score_missing`, `learn_missing`.

`predict` and the scores change nothing, however often and in whatever order they are called; only
learning does. Below the protocol stand River-style estimators of what is normal (`Baseline`).
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from ruptura.core.contracts.tuning import DetectionTuning
from ruptura.core.detect.expectation import Expectation
from ruptura.core.detect.likelihood import Likelihood
from ruptura.core.detect.scan_result import ScanResult
from ruptura.core.detect.state import Stateful
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.observations import Observation
from ruptura.core.series.registry import SeriesSpec

SUSPICION: Final = 0.01
"""Tail probability of the windows under which a deviation starts, and learning grows cautious."""

RELIEF: Final = 0.05
"""Tail probability of the windows above which a deviation ends."""


class Baseline(Stateful, Protocol):
    """An online estimator of what is normal for one series. No clock, no chance, O(1)."""

    def expect_one(self, phase: Phase) -> Expectation:
        """Return what is normal at this phase of the week; changes nothing."""

    def learn_one(self, value: float, size: float, expected: Expectation, weight: float) -> None:
        """Learn one bucket.

        Args:
            value: Events (count), numerator (ratio) or level in the series' scale (gauge).
            size: Denominator of a ratio; 1 otherwise.
            expected: What `expect_one` returned for its phase.
            weight: Over 0, how much to trust it: 1 for what is normal, little during an anomaly
                but never nothing, over 1 while a new level is becoming the normal one.
        """


class BaselineFactory(Protocol):
    """Makes the estimator of a new series."""

    def __call__(self, spec: SeriesSpec) -> Baseline:
        """Return a fresh one for a series of this kind."""


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """What is expected of a bucket.

    Attributes:
        start: Of the bucket, in seconds since the Unix epoch.
        phase: Where in the week it lies.
        expected: What is normal there.
        is_warm: Whether enough was seen for it to be judged.
    """

    start: float
    phase: Phase
    expected: Expectation
    is_warm: bool


class Score(msgspec.Struct, frozen=True, gc=False):
    """How surprising a bucket was, and what ended with it.

    Attributes:
        above, below: Tail probabilities of the windows that end with the bucket, corrected by
            experience, in (0, 1].
        silence: Probability that nothing at all since the last event is chance, in (0, 1].
        strongest: The smallest of the three.
        bucket: Two-sided tail probability of the bucket by itself, corrected, in (0, 1].
        expected, lower, upper: What was expected of it and the ends of the band, in base units.
        since: Start of the bucket in which the present deviation began; NaN: there is none.
        windows: What the windows say before the correction, and their sums.
        bucket_above, bucket_below: Tail probabilities of the bucket before the correction.
    """

    above: float
    below: float
    silence: float
    strongest: float
    bucket: float
    expected: float
    lower: float
    upper: float
    since: float
    windows: ScanResult
    bucket_above: float
    bucket_below: float


class Absence(msgspec.Struct, frozen=True, gc=False):
    """What a bucket without a measurement says.

    Attributes:
        probability: That all since the last measurement is chance, in (0, 1].
        since: As in `Score`.
    """

    probability: float
    since: float


class Detector(Protocol):
    """Detector of one series.

    Attributes:
        service, channel, series: Which series.
        spec: How it is judged.
        tuning: What matters.
        likelihood: Of its family.
        started: Start of its first bucket, in seconds since the Unix epoch; infinite: not yet.
    """

    service: str
    channel: str
    series: str
    spec: SeriesSpec
    tuning: DetectionTuning
    likelihood: Likelihood
    started: float

    def predict(self, start: float, phase: Phase) -> Prediction:
        """Return what a bucket should hold; changes nothing.

        Args:
            start: Of the bucket, in seconds since the Unix epoch.
            phase: Where in the week it lies.
        """

    def score(self, prediction: Prediction, observation: Observation) -> Score | None:
        """Return how surprising a bucket is; changes nothing.

        Returns:
            None while the detector warms up: that is not the same as normal.
        """

    def learn(
        self,
        prediction: Prediction,
        observation: Observation,
        weight: float,
        score: Score | None = None,
    ) -> None:
        """Let the bucket pass, and learn it.

        Args:
            prediction: Made after the last bucket was learned.
            observation: What the bucket held.
            weight: How much to trust it, as `Baseline.learn_one`; 0: nothing of it is learned,
                though its deviation adds up with those to come.
            score: What `score` returned for the same values; None: it is computed anew.
        """

    def score_missing(self, start: float, phase: Phase) -> Absence:
        """Return how surprising a bucket without a measurement is; changes nothing.

        Args:
            start, phase: Of the bucket, while the service is open.
        """

    def learn_missing(self, start: float, phase: Phase, absence: Absence) -> None:
        """Let a bucket without a measurement pass.

        Args:
            start, phase: Of the bucket.
            absence: What `score_missing` returned for it.
        """

    def band(self, phase: Phase) -> tuple[float, float, float]:
        """Return what a bucket of size 1 should hold, and the ends of its band, in base units."""
