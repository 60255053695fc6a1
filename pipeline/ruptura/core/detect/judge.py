"""A closed bucket of one series, judged: predict, score, tell, learn."""

from __future__ import annotations

from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.detect.protocol import SUSPICION, Detector
from ruptura.core.detect.signals import Signal, signal, signals, trust
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.observations import Observation


def judge(
    detector: Detector, start: float, observation: Observation, phase: Phase
) -> tuple[SeriesPoint, tuple[Signal, ...]]:
    """Judge a bucket that holds data, then learn it.

    Args:
        detector: Of the series.
        start: Start of the bucket, in seconds since the Unix epoch.
        observation: What the bucket holds.
        phase: Where in the week it lies.
    """
    prediction = detector.predict(start, phase)
    score = detector.score(prediction, observation)
    service, channel, series = detector.service, detector.channel, detector.series
    published = detector.likelihood.published(*observation)
    found: tuple[Signal, ...] = ()
    weight = 1.0 if phase.learns and not phase.commemorative else 0.0  # a day of trade is no other
    if score is None:
        point = SeriesPoint(service, channel, series, start, published)
    else:
        strongest = score.strongest
        point = SeriesPoint(
            service,
            channel,
            series,
            start,
            published,
            score.expected,
            score.lower,
            score.upper,
            score.bucket,
            strongest,
        )
        threshold = detector.tuning.signal_probability
        if strongest < threshold:
            found = signals(
                score,
                prediction,
                point,
                detector.spec,
                detector.likelihood,
                detector.started,
                threshold,
            )
        if weight and strongest < SUSPICION:
            weight = trust(score, start)
    detector.learn(prediction, observation, weight, score)
    return point, found


def judge_missing(
    detector: Detector, start: float, phase: Phase
) -> tuple[SeriesPoint, tuple[Signal, ...]] | None:
    """Judge a bucket without a measurement; None where that says nothing.

    Args:
        detector: Of the series.
        start: Start of the bucket, in seconds since the Unix epoch.
        phase: Where in the week it lies.
    """
    if not phase.open:
        return None
    absence = detector.score_missing(start, phase)
    detector.learn_missing(start, phase, absence)
    probability = absence.probability
    if probability >= detector.tuning.signal_probability:
        return None
    expected, lower, upper = detector.band(phase)
    point = SeriesPoint(
        detector.service,
        detector.channel,
        detector.series,
        start,
        None,
        expected,
        lower,
        upper,
        probability,
        probability,
    )
    weight = detector.spec.weight
    found = signal(
        "silence", "below", probability, 1.0, point, weight, detector.started, absence.since
    )
    return point, (found,)
