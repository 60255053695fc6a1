"""The detector of one series: its estimator of what is normal, and what deviates from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from ruptura.core.contracts.document import Direction
from ruptura.core.contracts.tuning import DetectionTuning, Moment
from ruptura.core.detect.calibration import (
    ABOVE,
    BELOW,
    BUCKET_ABOVE,
    BUCKET_BELOW,
    REMEMBERED_SECONDS,
    Calibration,
)
from ruptura.core.detect.dispersion import Dispersion
from ruptura.core.detect.expectation import Expectation
from ruptura.core.detect.families.factory import likelihood
from ruptura.core.detect.gap_model import GapModel
from ruptura.core.detect.presence import Presence
from ruptura.core.detect.protocol import (
    RELIEF,
    SUSPICION,
    Absence,
    Baseline,
    Prediction,
    Score,
)
from ruptura.core.detect.scan import STRIDE, Scales, ScanStatistic
from ruptura.core.detect.state import Stateful, Versioned, restore, versioned
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.observations import Observation
from ruptura.core.series.registry import SeriesSpec

VERSION: Final = 2

_OUTLIER_SECONDS: Final = 300.0
"""A deviation that lasts no longer is an outlier, and chance."""

NOT_YET: Final = math.inf
"""Start of a series of which no bucket was seen."""


class SeriesDetectorState(msgspec.Struct, frozen=True, array_like=True):
    """All that a detector remembers.

    Attributes:
        started: Start of its first bucket, in seconds since the Unix epoch; None: not yet.
        since: Start of the bucket in which the present deviation began; None: there is none.
        shape: As `SeriesSpec.shape`, of the spec under which it was learned.
        baseline, dispersion, scan, calibration, gaps, presence: Its parts.
    """

    started: Moment | None
    since: Moment | None
    shape: str
    baseline: Versioned
    dispersion: Versioned
    scan: Versioned
    calibration: Versioned
    gaps: Versioned
    presence: Versioned


class SeriesDetector:
    """Detector of one series, as the protocol `Detector` has it.

    Args:
        service, channel, series: Which series.
        spec: How it is judged.
        baseline: Its estimator of what is normal, fresh.
        scales: Shared by all series.
        tuning: What matters.
        started: Start of its first bucket, in seconds since the Unix epoch.

    Attributes:
        service, channel, series, spec, tuning, started: As the arguments.
        likelihood: Of its family.
        since: Start of the bucket in which the present deviation began; NaN: there is none.
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = SeriesDetectorState

    __slots__ = (
        "_above",
        "_baseline",
        "_below",
        "_calibration",
        "_dispersion",
        "_gaps",
        "_presence",
        "_scan",
        "channel",
        "likelihood",
        "series",
        "service",
        "since",
        "spec",
        "started",
        "tuning",
    )

    def __init__(
        self,
        service: str,
        channel: str,
        series: str,
        spec: SeriesSpec,
        baseline: Baseline,
        scales: Scales,
        tuning: DetectionTuning,
        started: float = NOT_YET,
    ) -> None:
        self.service, self.channel, self.series = service, channel, series
        self.spec, self.tuning = spec, tuning
        self.likelihood = likelihood(spec, tuning)
        self.started = started
        self.since = math.nan
        self._baseline = baseline
        self._dispersion = Dispersion(scales.memory / STRIDE, self.likelihood.PRIOR_DISPERSION)
        self._scan = ScanStatistic(self.likelihood, scales, self._dispersion)
        self._calibration = Calibration(
            max(REMEMBERED_SECONDS / scales.bucket_seconds, 30.0), scales.longest
        )
        self._gaps = GapModel()
        self._presence = Presence()
        self._above = self._below = 1.0  # of the last bucket

    def predict(self, start: float, phase: Phase) -> Prediction:
        """Return what a bucket should hold; as the protocol."""
        expected = self._baseline.expect_one(phase)
        if phase.commemorative:
            expected = self.likelihood.on_trade(expected)
        return Prediction(start, phase, expected, self._is_warm(start))

    def score(self, prediction: Prediction, observation: Observation) -> Score | None:
        """Return how surprising a bucket is; as the protocol.

        In a muted window the windows stay as they would be had all been as expected: what happens
        must not alert once the window ends.
        """
        if not prediction.is_warm:
            return None
        expected, family = prediction.expected, self.likelihood
        value, size = observation.value, observation.size
        level = family.level(value)
        if prediction.phase.muted:
            calm = min(max(level, expected.low * size), expected.high * size)
            windows = self._scan.score(family.deviation(calm, expected), size, expected)
            above = below = silence = strongest = 1.0
            since = math.nan
        else:
            windows = self._scan.settled(
                self._scan.score(
                    family.deviation(level, expected),
                    size,
                    expected,
                    family.effect(size, expected),
                ),
                SUSPICION,
            )
            silence = self._silence(value, expected) if self.spec.silence else 1.0
            above = self._calibration.corrected(ABOVE, windows.above.probability)
            below = self._calibration.corrected(BELOW, windows.below.probability)
            strongest = min(above, below, silence)
            since = self._since(strongest, prediction.start)
        dispersion = self._scan.dispersion(family.exposure(expected, size))
        variance = family.variance(expected, size, dispersion)
        degrees_of_freedom = self._dispersion.degrees_of_freedom
        rarity = family.rarity(level, size, expected, variance, degrees_of_freedom)
        is_high = level > expected.high * size
        bucket = self._calibration.corrected(BUCKET_ABOVE if is_high else BUCKET_BELOW, rarity)
        lower, upper = family.band(expected, size, variance)
        return Score(
            above,
            below,
            silence,
            strongest,
            min(1.0, 2.0 * bucket),  # the tails beyond the middle are all there is
            family.natural(expected.mean),
            lower,
            upper,
            since,
            windows,
            rarity if is_high else 1.0,
            1.0 if is_high else rarity,
        )

    def learn(
        self,
        prediction: Prediction,
        observation: Observation,
        weight: float,
        score: Score | None = None,
    ) -> None:
        """Let a bucket pass, and learn it; as the protocol."""
        if self.started == NOT_YET:
            self.started = prediction.start
        if prediction.phase.open:
            self._presence.learn()
        if prediction.is_warm:
            self._pass(prediction, observation, weight, score)
        elif weight:
            self._warm_up(prediction.expected, observation)
            weight = 1.0
        if weight:
            level = self.likelihood.level(observation.value)
            self._baseline.learn_one(level, observation.size, prediction.expected, weight)

    def _pass(
        self,
        prediction: Prediction,
        observation: Observation,
        weight: float,
        score: Score | None,
    ) -> None:
        """Let a bucket that was judged pass."""
        if score is None:
            score = self.score(prediction, observation)
        if score is None:
            raise TypeError("a prediction that is warm has a score")
        self.since = score.since
        if prediction.phase.muted:
            self._scan.advance(score.windows)
            self._gaps.forget()
            self._above = self._below = 0.0  # nothing is said for health either
            return
        if self.spec.silence:
            self._gaps.learn(observation.value, prediction.expected.low)
        self._above, self._below = score.above, min(score.below, score.silence)
        if weight:
            self._learn_noise(prediction.start, score, min(weight, 1.0))
        else:
            self._scan.advance(score.windows)

    def _warm_up(self, expected: Expectation, observation: Observation) -> None:
        family, size = self.likelihood, observation.size
        level = family.level(observation.value)
        if self.spec.silence:
            self._gaps.learn(level, expected.low)
        if self._presence.has_history or family.SCANS_FIRST_BUCKET:
            windows = self._scan.score(family.deviation(level, expected), size, expected)
            self._scan.learn(windows, 1.0, 1.0)

    def _is_warm(self, start: float) -> bool:
        warm_up = self.tuning.warm_up_seconds
        return start - self.started >= warm_up or not warm_up

    def _learn_noise(self, start: float, score: Score, weight: float) -> None:
        """Learn how much is usual, from a bucket just judged."""
        # What does not last is noise, and all of it is learned; an event would hide the next one.
        noisy = 1.0 if start - score.since < _OUTLIER_SECONDS else weight
        windows = score.windows
        tails = score.bucket_above, score.bucket_below
        self._calibration.learn(
            (*tails, windows.above.probability, windows.below.probability), noisy
        )
        # The square of the weight: a dispersion learned from a rupture would hide the rest of it.
        self._scan.learn(windows, weight * weight, noisy * noisy)

    def _silence(self, value: float, expected: Expectation) -> float:
        dispersion = self._scan.dispersion(expected.mean, longest=True)
        return self._gaps.score(value, expected.low, dispersion, expected.standard_error)

    def _since(self, strongest: float, start: float) -> float:
        """Return when the deviation began, NaN where there is none or it has ended."""
        since = self.since
        if since != since:  # noqa: PLR0124 - NaN, in the hot path
            return start if strongest < SUSPICION else since
        return math.nan if strongest > RELIEF else since

    def score_missing(self, start: float, phase: Phase) -> Absence:
        """Return how surprising a bucket without a measurement is, while the service is open.

        It is neither zero nor health, but perhaps a silence. Changes nothing.
        """
        if phase.muted or not self._is_warm(start):
            return Absence(1.0, self.since)
        probability = self._presence.score()
        is_new = probability <= SUSPICION and math.isnan(self.since)
        return Absence(probability, start if is_new else self.since)

    def learn_missing(self, start: float, phase: Phase, absence: Absence) -> None:
        """Let a bucket without a measurement pass.

        Args:
            start, phase: Of the bucket.
            absence: What `score_missing` returned for it.
        """
        if phase.muted:
            self._presence.forget()
        elif not self._is_warm(start):
            self._presence.skip()
        else:
            self._presence.miss(is_ordinary=absence.probability > SUSPICION)
            self.since = absence.since

    def band(self, phase: Phase) -> tuple[float, float, float]:
        """Return what a bucket of size 1 should hold, and the ends of its band, in base units."""
        family = self.likelihood
        expected = self._baseline.expect_one(phase)
        dispersion = self._scan.dispersion(family.exposure(expected, 1.0))
        variance = family.variance(expected, 1.0, dispersion)
        return (family.natural(expected.mean), *family.band(expected, 1.0, variance))

    def reconfigure(self, spec: SeriesSpec, tuning: DetectionTuning) -> None:
        """Be judged by another spec of the same family and scale, or by other tuning."""
        self.spec, self.tuning = spec, tuning
        self.likelihood = self._scan.likelihood = likelihood(spec, tuning)

    @property
    def is_calm(self) -> bool:
        """Whether nothing deviates now."""
        return math.isnan(self.since)

    @property
    def recent(self) -> float:
        """What was seen within some minutes; of counts, in events."""
        return self._scan.recent

    def begin_anew(self) -> None:
        """Keep what is normal, and forget what went on."""
        self._scan.forget()
        self.since = math.nan
        self._gaps.forget()
        self._presence.forget()

    def is_fine(self, direction: Direction) -> bool:
        """Whether the last bucket that held data said nothing against health on this side."""
        return (self._above if direction == "above" else self._below) >= RELIEF

    def dump(self) -> SeriesDetectorState:
        """Return the state."""
        return SeriesDetectorState(
            None if self.started == NOT_YET else self.started,
            None if math.isnan(self.since) else self.since,
            self.spec.shape,
            *(versioned(part) for part in self._parts().values()),
        )

    def load(self, state: SeriesDetectorState) -> Sequence[str]:
        """Take a state back, into a fresh detector.

        A state of another shape is not taken. A part of another version starts afresh. Without the
        estimator of what is normal the series warms up anew, and what deviated from it is
        forgotten.

        Returns:
            What begins anew, and why; none where all is as it was.

        Raises:
            ValueError: it is not the state of such a series.
        """
        if state.shape != self.spec.shape:
            return [f"learned as {state.shape!r}, judged as {self.spec.shape!r}"]
        anew = [
            name for name, part in self._parts().items() if not restore(part, getattr(state, name))
        ]
        self.started = NOT_YET if state.started is None else state.started
        self.since = math.nan if state.since is None else state.since
        if "baseline" in anew:
            self.started = NOT_YET
            self.begin_anew()
        return [f"{name} of another version" for name in anew]

    def _parts(self) -> dict[str, Stateful]:
        """The parts that remember, by their names in the state, and in its order."""
        return {
            "baseline": self._baseline,
            "dispersion": self._dispersion,
            "scan": self._scan,
            "calibration": self._calibration,
            "gaps": self._gaps,
            "presence": self._presence,
        }
