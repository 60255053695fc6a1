"""A closed bucket and its expectation become a score; scores that matter become signals."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from ruptura.core.contracts.document import Direction, Kind
from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.contracts.tuning import Amount, DetectionTuning, Moment, Tally
from ruptura.core.detect import tails
from ruptura.core.detect.calibration import (
    ABOVE,
    BELOW,
    REMEMBERED_SECONDS,
    SCORE_ABOVE,
    SCORE_BELOW,
    Calibration,
)
from ruptura.core.detect.gap_model import Quiet
from ruptura.core.detect.likelihood import Yardstick
from ruptura.core.detect.protocol import Baseline, Expectation
from ruptura.core.detect.scan import Evidence, Scales
from ruptura.core.detect.scan_result import Finding
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.registry import SeriesSpec

SUSPICION: Final = 0.01
"""Evidence below this tail probability starts a deviation, and learning grows cautious."""

RELIEF: Final = 0.05
"""Evidence above this tail probability ends a deviation."""

_LARGEST: Final = 1e60
_LATEST: Final = 2.3e11  # seconds since the epoch, as `Moment`
_LEAST_LEARNING: Final = 0.05
_FAST_LEARNING: Final = 4.0
_REBASELINE_AFTER: Final = 86_400.0
"""A deviation that lasts longer is on its way to be the new normal, and learned so much faster
than what is normal, until it is no deviation any more."""

_SEASONED_SECONDS: Final = 5 * 86_400.0
_FRESH: Final = 0.75
"""What evidence of a new series counts: it has not shown all that is usual, as nights of bursts."""

_SLIGHTEST: Final = 0.3
"""Share of the least deviation that matters under which nothing is said."""

_FREAK_SECONDS: Final = 300.0
"""A deviation that lasts no longer is a freak of chance."""


class Signal(msgspec.Struct, frozen=True, gc=False):
    """Evidence that matters.

    Attributes:
        series: Name of the series.
        kind: What it speaks for.
        direction: Whether the series is above or below what was expected.
        probability: Tail probability of the evidence.
        weight: How much the series counts, in (0, 1].
        since: Start of the bucket in which the deviation began, seconds since the Unix epoch.
        point: The latest bucket of the series.
        log_odds: Logit of the probability of a rupture that the signal is by itself, prior
            included; None where it is evidence.
        text: What the risk says of it; None: the sentence that all evidence has.
        share: The deviation over the least one that is worth an alert by itself; of a forecast,
            its probability.
    """

    series: str
    kind: Kind
    direction: Direction
    probability: float
    weight: float
    since: float
    point: SeriesPoint
    log_odds: float | None = None
    text: str | None = None
    share: float = 1.0

    def is_sound(self) -> bool:
        """Whether the numbers can be a signal's; they come back from snapshots."""
        point = self.point
        if not (0.0 <= self.since <= _LATEST and 0.0 <= point.start <= _LATEST):
            return False
        numbers = [self.log_odds or 0.0]
        numbers += [number for number in msgspec.structs.astuple(point)[3:] if number is not None]
        return (
            0.0 < self.probability <= 1.0
            and 0.0 < self.weight <= 1.0
            and 0.0 < self.share <= _LARGEST
            and all(abs(number) <= _LARGEST for number in numbers)
        )


class SeriesDetectorState(msgspec.Struct, frozen=True, array_like=True):
    """All that a series detector remembers, as numbers and bytes."""

    started: Moment
    since: Moment | None
    quiet: Amount
    burst: Amount
    gaps: Amount
    present: Amount
    buckets: Amount
    missing: Amount
    learned: Amount
    skipped: Tally
    cells: bytes
    baseline: bytes


class SeriesDetector:
    """One series: its model, its evidence, and since when it deviates.

    Args:
        service, channel, series: Which series.
        spec: How it is judged.
        baseline: Its model, fresh.
        scales: Shared by all series.
        started: Start of its first bucket, in seconds since the Unix epoch.
    """

    __slots__ = (
        "_above",
        "_baseline",
        "_below",
        "_buckets",
        "_calibration",
        "_evidence",
        "_is_metric",
        "_missing",
        "_present",
        "_quiet",
        "_since",
        "_started",
        "_yardstick",
        "channel",
        "series",
        "service",
        "spec",
    )

    def __init__(
        self,
        service: str,
        channel: str,
        series: str,
        spec: SeriesSpec,
        baseline: Baseline,
        scales: Scales,
        started: float,
    ) -> None:
        self.service, self.channel, self.series = service, channel, series
        self.spec = spec
        self._baseline = baseline
        self._yardstick = Yardstick(spec)
        self._evidence = Evidence(spec.family, scales)
        self._calibration = Calibration(
            max(REMEMBERED_SECONDS / scales.bucket_seconds, 30.0), scales.longest
        )
        self._started = started
        self._is_metric = "." not in series
        self._above = self._below = 1.0
        self._since = math.nan
        self._quiet = Quiet()
        self._present = self._buckets = self._missing = 0.0

    def observe(
        self, start: float, value: float, size: float, phase: Phase, tuning: DetectionTuning
    ) -> tuple[SeriesPoint, tuple[Signal, ...]]:
        """Judge a bucket that holds data, then learn it.

        Args:
            start: Start of the bucket, in seconds since the Unix epoch.
            value: Events, numerator, or level.
            size: Denominator of a ratio (over 0); 1 otherwise.
            phase: Where in the week it lies.
            tuning: What matters.
        """
        value = float(value)  # a count that came back from a snapshot must be written alike
        spec, yardstick = self.spec, self._yardstick
        level = yardstick.level(value)
        expected = self._baseline.expect_one(phase)
        if phase.commemorative:
            expected = yardstick.on_trade(expected)
        if phase.open and (spec.family != "count" or self._is_metric):
            self._present += 1.0
            self._buckets += 1.0
            self._missing = 0.0
        if start - self._started < tuning.warm_up_seconds:
            if _teaches(phase):
                self._warm_up(level, size, phase, expected)
            observed = value / size if spec.family == "ratio" else value
            return SeriesPoint(self.service, self.channel, self.series, start, observed), ()

        if phase.muted:
            return self._sit_out(start, value, size, phase, expected, tuning), ()
        effect = yardstick.effect(size, expected, tuning)
        finding = self._evidence.add(yardstick.deviation(level, expected), size, expected, effect)
        self._evidence.settle(finding, SUSPICION)
        quiet = self._hush(value, expected) if spec.silence else 1.0
        above = self._calibration.corrected(ABOVE, finding.above)
        below = self._calibration.corrected(BELOW, finding.below)
        self._above, self._below = above, min(below, quiet)
        strongest = min(self._above, self._below)
        point, rarity, is_high = self._point(start, value, size, expected, strongest, tuning)
        self._mark(strongest, start)
        if _teaches(phase):
            weight = self._trust(strongest, start, hushed=quiet < SUSPICION)
            singles = (rarity, 1.0) if is_high else (1.0, rarity)
            self._learn_noise(start, (*singles, finding.above, finding.below), min(weight, 1.0))
            self._baseline.learn_one(level, size, phase, weight)
        if strongest >= tuning.signal_probability:
            return point, ()
        return point, self._speak(finding, above, below, quiet, expected, point, tuning)

    def _warm_up(self, level: float, size: float, phase: Phase, expected: Expectation) -> None:
        if self.spec.silence:
            self._hush(level, expected)
        if self._buckets > 1.0 or self.spec.family == "count":
            self._evidence.add(self._yardstick.deviation(level, expected), size, expected)
            self._evidence.learn(1.0, 1.0)
        self._baseline.learn_one(level, size, phase, 1.0)

    def _mark(self, strongest: float, start: float) -> None:
        """Note when a deviation begins and when it has ended."""
        if math.isnan(self._since):
            if strongest < SUSPICION:
                self._since = start
        elif strongest > RELIEF:
            self._since = math.nan

    def _learn_noise(
        self, start: float, rarities: tuple[float, float, float, float], weight: float
    ) -> None:
        """Learn how much is usual, from a bucket just judged."""
        # What does not last is noise, and all of it is learned; an event would hide the next one.
        noisy = 1.0 if start - self._since < _FREAK_SECONDS else weight
        self._calibration.learn(rarities, noisy)
        # Twice as wary: a dispersion learned from a rupture would hide the rest of it.
        self._evidence.learn(weight * weight, noisy * noisy)

    def _speak(
        self,
        finding: Finding,
        above: float,
        below: float,
        quiet: float,
        expected: Expectation,
        point: SeriesPoint,
        tuning: DetectionTuning,
    ) -> tuple[Signal, ...]:
        """Turn evidence that matters into signals."""
        signals: list[Signal] = []
        spec, yardstick = self.spec, self._yardstick
        if quiet < tuning.signal_probability:
            signals.append(self._signal("silence", "below", quiet, point, 1.0))
        if spec.above is not None and above < tuning.signal_probability:
            share = yardstick.share(finding.rise, finding.rise_relative, expected, tuning)
            if share >= _SLIGHTEST:
                signals.append(self._signal(spec.above, "above", above, point, share))
        if spec.below is not None and below < tuning.signal_probability:
            share = yardstick.share(finding.drop, finding.drop_relative, expected, tuning)
            if share >= _SLIGHTEST:
                signals.append(self._signal(spec.below, "below", below, point, share))
        return tuple(signals)

    def reconfigure(self, spec: SeriesSpec) -> None:
        """Be judged by another spec of the same family and scale."""
        self.spec, self._yardstick = spec, Yardstick(spec)

    is_calm = property(lambda self: math.isnan(self._since), doc="Whether nothing deviates now.")

    @property
    def recent(self) -> float:
        """What was seen within some minutes; of counts, in events."""
        return self._evidence.recent

    def begin_anew(self) -> None:
        """Keep what is normal, and forget what went on."""
        self._evidence.forget()
        self._since = math.nan
        self._quiet.due = self._missing = 0.0

    def is_fine(self, direction: Direction) -> bool:
        """Whether the last bucket that held data said nothing against health on this side."""
        return (self._above if direction == "above" else self._below) >= RELIEF

    def miss(
        self, start: float, phase: Phase, tuning: DetectionTuning
    ) -> tuple[SeriesPoint, tuple[Signal, ...]] | None:
        """Note a bucket without a measurement: neither zero nor health, but perhaps a silence.

        The share of buckets that usually hold a measurement, q, makes n empty ones in a row as
        likely as (1 - q) ** n; q is never taken to be closer to 1 than the buckets seen allow.
        """
        if not phase.open:
            return None
        if phase.muted:
            self._missing = 0.0
            return None
        if start - self._started < tuning.warm_up_seconds:
            self._buckets += 1.0
            return None
        self._missing += 1.0
        share = self._present / (self._buckets + 1.0)
        probability = max((1.0 - share) ** self._missing, tails.SMALLEST)
        if probability > SUSPICION:
            # Only ordinary gaps teach how usual gaps are.
            self._buckets += 1.0
            return None
        if math.isnan(self._since):
            self._since = start
        if probability >= tuning.signal_probability:
            return None
        expected = self._baseline.expect_one(phase)
        variance = self._variance(expected, 1.0)
        lower, upper = self._yardstick.band(expected, 1.0, variance, tuning)
        point = SeriesPoint(
            self.service,
            self.channel,
            self.series,
            start,
            None,
            self._yardstick.natural(expected.mean),
            lower,
            upper,
            probability,
            probability,
        )
        return point, (self._signal("silence", "below", probability, point, 1.0),)

    def _hush(self, value: float, expected: Expectation) -> float:
        dispersion = self._evidence.dispersion(expected.mean, longest=True)
        return self._quiet.add(value, expected.low, dispersion, expected.doubt)

    def _trust(self, strongest: float, start: float, *, hushed: bool) -> float:
        if strongest >= SUSPICION:
            return 1.0
        caution = max(math.sqrt(math.sqrt(strongest / SUSPICION)), _LEAST_LEARNING)
        if hushed:
            return caution  # silence is never learned as a new level
        days = (start - self._since) / _REBASELINE_AFTER
        return min(max(caution, (days - 1.0) * _FAST_LEARNING), _FAST_LEARNING)

    def _signal(
        self, kind: Kind, direction: Direction, probability: float, point: SeriesPoint, share: float
    ) -> Signal:
        since = point.start if math.isnan(self._since) else self._since
        age = min((point.start - self._started) / _SEASONED_SECONDS, 1.0)
        weight = self.spec.weight * (_FRESH + (1.0 - _FRESH) * age)
        named = self.series, kind, direction, probability, weight, since, point
        return Signal(*named, share=min(share, _LARGEST))

    def _variance(self, expected: Expectation, size: float) -> float:
        yardstick = self._yardstick
        dispersion = self._evidence.dispersion(yardstick.trials(size, expected))
        return yardstick.variance(expected, size, dispersion)

    def _point(
        self,
        start: float,
        value: float,
        size: float,
        expected: Expectation,
        strongest: float,
        tuning: DetectionTuning,
    ) -> tuple[SeriesPoint, float, bool]:
        """Return the point, the tail of its bucket uncorrected, and whether that is the upper."""
        yardstick = self._yardstick
        level = yardstick.level(value)
        variance = self._variance(expected, size)
        rarity = yardstick.rarity(level, size, expected, variance, self._evidence.freedom)
        is_high = level > expected.high * size
        score = self._calibration.corrected(SCORE_ABOVE if is_high else SCORE_BELOW, rarity)
        lower, upper = yardstick.band(expected, size, variance, tuning)
        point = SeriesPoint(
            self.service,
            self.channel,
            self.series,
            start,
            value / size if self.spec.family == "ratio" else value,
            yardstick.natural(expected.mean),
            lower,
            upper,
            min(1.0, 2.0 * score),  # the tails beyond the middle are all there is
            strongest,
        )
        return point, rarity, is_high

    def _sit_out(
        self,
        start: float,
        value: float,
        size: float,
        phase: Phase,
        expected: Expectation,
        tuning: DetectionTuning,
    ) -> SeriesPoint:
        """Take a bucket of a muted window: nothing adds up, or it would alert once that ends."""
        level = self._yardstick.level(value)
        calm = min(max(level, expected.low * size), expected.high * size)
        self._evidence.add(self._yardstick.deviation(calm, expected), size, expected)
        self._quiet.due, self._since = 0.0, math.nan
        self._above = self._below = 0.0  # evidence neither of a rupture nor of health
        if _teaches(phase):
            self._baseline.learn_one(level, size, phase, 1.0)
        return self._point(start, value, size, expected, 1.0, tuning)[0]

    def dump(self) -> SeriesDetectorState:
        """Return the state."""
        learned, skipped, cells = self._evidence.dump()
        return SeriesDetectorState(
            self._started,
            None if math.isnan(self._since) else self._since,
            self._quiet.due,
            self._quiet.burst,
            self._quiet.gaps,
            self._present,
            self._buckets,
            self._missing,
            learned,
            skipped,
            self._calibration.dump() + cells,
            self._baseline.dump(),
        )

    def load(self, state: SeriesDetectorState) -> None:
        """Take a state back; ValueError if it is not of this kind of series."""
        head = Calibration.dumped_bytes()
        self._calibration.load(state.cells[:head])
        self._evidence.load(state.learned, state.skipped, state.cells[head:])
        self._baseline.load(state.baseline)
        if state.present > state.buckets:
            raise ValueError("more measurements than buckets")
        self._started = state.started
        self._quiet.load(state.quiet, state.burst, state.gaps)
        self._since = math.nan if state.since is None else state.since
        self._present, self._buckets = state.present, state.buckets
        self._missing = state.missing


def _teaches(phase: Phase) -> bool:
    """Whether a bucket may be learned; a day of trade is no ordinary day, and teaches nothing."""
    return phase.learns and not phase.commemorative
