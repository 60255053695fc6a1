"""A closed bucket and its expectation become a score; scores that matter become signals."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from ruptura.core import tails
from ruptura.core.baseline import Baseline, Expectation
from ruptura.core.calendar import Phase
from ruptura.core.document import Direction, Kind
from ruptura.core.effects import SeriesPoint
from ruptura.core.evidence import Evidence, Finding, Scales
from ruptura.core.series import SeriesSpec
from ruptura.core.tuning import Amount, DetectionTuning, Moment, Tally

SUSPICION: Final = 0.01
"""Evidence below this tail probability starts a deviation, and learning grows cautious."""

RELIEF: Final = 0.05
"""Evidence above this tail probability ends a deviation."""

_LARGEST: Final = 1e60
_LEAST_LEARNING: Final = 0.05
_REBASELINE_AFTER: Final = 86_400.0
"""A deviation that lasts longer is on its way to be the new normal, and learned as such."""


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
    """

    series: str
    kind: Kind
    direction: Direction
    probability: float
    weight: float
    since: float
    point: SeriesPoint

    def is_sound(self) -> bool:
        """Whether the numbers can be a signal's; they come back from snapshots."""
        point = self.point
        numbers = [self.since, point.start]
        numbers += [number for number in msgspec.structs.astuple(point)[3:] if number is not None]
        return (
            0.0 < self.probability <= 1.0
            and 0.0 < self.weight <= 1.0
            and all(abs(number) <= _LARGEST for number in numbers)
        )


class WatchState(msgspec.Struct, frozen=True, array_like=True):
    """All that a watch remembers, as numbers and bytes."""

    started: Moment
    since: Moment | None
    quiet: Amount
    present: Amount
    buckets: Amount
    missing: Amount
    learned: Amount
    skipped: Tally
    cells: bytes
    baseline: bytes


class Watch:
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
        "_evidence",
        "_is_metric",
        "_missing",
        "_present",
        "_quiet",
        "_since",
        "_started",
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
        self._evidence = Evidence(spec.family, scales)
        self._started = started
        self._is_metric = "." not in series
        self._above = self._below = 1.0
        self._since = math.nan
        self._quiet = 0.0
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
        spec = self.spec
        family = spec.family
        logarithmic = family == "gauge" and spec.scale == "log"
        level = math.log(max(value, 0.0) + 1.0) if logarithmic else value
        baseline = self._baseline
        expected = baseline.expect_one(phase)
        if phase.open and (family != "count" or self._is_metric):
            self._present += 1.0
            self._buckets += 1.0
            self._missing = 0.0
        if start - self._started < tuning.warm_up_seconds:
            if self._buckets > 1.0 or family == "count":
                deviation = self._deviation(level, expected)
                self._evidence.add(deviation, size, expected)
                self._evidence.learn(1.0)
            baseline.learn_one(level, size, phase, 1.0)
            observed = value / size if family == "ratio" else value
            return SeriesPoint(self.service, self.channel, self.series, start, observed), ()

        deviation = self._deviation(level, expected)
        finding = self._evidence.add(deviation, size, expected)
        quiet = self._hush(value, expected) if spec.silence else 1.0
        self._above, self._below = finding.above, min(finding.below, quiet)
        strongest = min(self._above, self._below)
        point = self._point(start, value, level, size, expected, strongest, tuning)
        if math.isnan(self._since):
            if strongest < SUSPICION:
                self._since = start
        elif strongest > RELIEF:
            self._since = math.nan
        weight = 1.0
        if strongest < SUSPICION:
            weight = self._trust(strongest, start, hushed=quiet < SUSPICION)
        # Twice as wary: a dispersion learned from a rupture would hide the rest of it.
        self._evidence.learn(weight * weight)
        baseline.learn_one(level, size, phase, weight)
        if strongest >= tuning.signal_probability:
            return point, ()
        return point, self._speak(finding, quiet, expected, point, tuning)

    def _speak(
        self,
        finding: Finding,
        quiet: float,
        expected: Expectation,
        point: SeriesPoint,
        tuning: DetectionTuning,
    ) -> tuple[Signal, ...]:
        """Turn evidence that matters into signals."""
        signals: list[Signal] = []
        if quiet < tuning.signal_probability:
            signals.append(self._signal("silence", "below", quiet, point))
        if (
            self.spec.above is not None
            and finding.above < tuning.signal_probability
            and self._matters(finding.rise, finding.rise_relative, expected, tuning)
        ):
            signals.append(self._signal(self.spec.above, "above", finding.above, point))
        if (
            self.spec.below is not None
            and finding.below < tuning.signal_probability
            and self._matters(finding.drop, finding.drop_relative, expected, tuning)
        ):
            signals.append(self._signal(self.spec.below, "below", finding.below, point))
        return tuple(signals)

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
        lower, upper = self._band(expected, 1.0, self._spread(expected, 1.0), tuning)
        point = SeriesPoint(
            self.service,
            self.channel,
            self.series,
            start,
            None,
            self._natural(expected.mean),
            lower,
            upper,
            probability,
            probability,
        )
        return point, (self._signal("silence", "below", probability, point),)

    def _deviation(self, level: float, expected: Expectation) -> float:
        if self.spec.family == "gauge":
            return (level - expected.mean) / expected.deviation
        return level

    def _hush(self, value: float, expected: Expectation) -> float:
        if value > 0.0:
            self._quiet = 0.0
            return 1.0
        self._quiet += expected.low
        doubt = expected.doubt * expected.doubt
        return tails.nothing(
            self._quiet, self._evidence.dispersion(longest=True) + doubt * self._quiet
        )

    def _trust(self, strongest: float, start: float, *, hushed: bool) -> float:
        caution = max(math.sqrt(math.sqrt(strongest / SUSPICION)), _LEAST_LEARNING)
        if hushed:
            return caution  # silence is never learned as a new level
        days = (start - self._since) / _REBASELINE_AFTER
        return min(max(caution, days - 1.0), 1.0)

    def _matters(
        self, excess: float, relative: float, expected: Expectation, tuning: DetectionTuning
    ) -> bool:
        """Whether the deviation is large enough to care, beside being unlikely."""
        relative = abs(relative)
        if self.spec.family == "gauge":
            shift = relative * expected.deviation
            moved = expected.mean + math.copysign(shift, excess)
            if abs(self._natural(moved) - self._natural(expected.mean)) < self.spec.least:
                return False
            if self.spec.scale == "log":
                return shift >= math.log1p(tuning.minimum_relative_effect)
            return shift >= tuning.minimum_level_effect * abs(expected.mean)
        return (
            abs(excess) >= tuning.minimum_count_effect
            and relative >= tuning.minimum_relative_effect
        )

    def _signal(
        self, kind: Kind, direction: Direction, probability: float, point: SeriesPoint
    ) -> Signal:
        since = point.start if math.isnan(self._since) else self._since
        return Signal(self.series, kind, direction, probability, self.spec.weight, since, point)

    def _natural(self, level: float) -> float:
        if self.spec.family == "gauge" and self.spec.scale == "log":
            return max(math.exp(min(level, 300.0)) - 1.0, 0.0)
        return level

    def _spread(self, expected: Expectation, size: float) -> float:
        """Variance of one bucket, dispersion and doubt included."""
        dispersion = self._evidence.dispersion()
        if self.spec.family == "gauge":
            own = expected.deviation * expected.deviation
            return dispersion * own + expected.doubt * expected.doubt
        mean = expected.mean * size
        own = mean * (1.0 - expected.mean) if self.spec.family == "ratio" else mean
        doubt = expected.doubt * mean
        return dispersion * max(own, 1e-9) + doubt * doubt

    def _band(
        self, expected: Expectation, size: float, variance: float, tuning: DetectionTuning
    ) -> tuple[float, float]:
        low, high = expected.low, expected.high
        if self.spec.family == "gauge":
            reach = tails.deviations(tuning.band_probability) * variance**0.5
            return self._natural(low - reach), self._natural(high + reach)
        lower, upper = tails.gamma_band(low * size, high * size, variance, tuning.band_probability)
        if self.spec.family == "ratio":
            return max(lower / size, 0.0), min(upper / size, 1.0)
        return lower, upper

    def _point(
        self,
        start: float,
        value: float,
        level: float,
        size: float,
        expected: Expectation,
        strongest: float,
        tuning: DetectionTuning,
    ) -> SeriesPoint:
        variance = self._spread(expected, size)
        lower, upper = self._band(expected, size, variance, tuning)
        observed, middle = value, expected.mean
        score = 1.0  # the tails beyond the middle are all there is
        if self.spec.family == "gauge":
            middle = self._natural(middle)
            beyond = max(level - expected.high, expected.low - level)
            if beyond > 0.0:
                score = min(1.0, 2.0 * tails.level_beyond(beyond / variance**0.5, expected.freedom))
        else:
            if self.spec.family == "ratio":
                observed = value / size
            score = min(1.0, 2.0 * self._rarity(value, size, expected, variance))
        return SeriesPoint(
            self.service,
            self.channel,
            self.series,
            start,
            observed,
            middle,
            lower,
            upper,
            score,
            strongest,
        )

    def _rarity(self, value: float, size: float, expected: Expectation, variance: float) -> float:
        """One-sided tail of a count or ratio; between the ends of the normal nothing is rare."""
        low, high = expected.low * size, expected.high * size
        if low <= value <= high:
            return 1.0
        if self.spec.family == "count":
            dispersion = variance / max(expected.mean, 1e-9)
            if value > high:
                return tails.count_above(value, high, dispersion)
            return tails.count_below(value, low, dispersion)
        dispersion = variance / max(expected.mean * (1.0 - expected.mean) * size, 1e-9)
        if value > high:
            return tails.ratio_above(value, size, expected.high, dispersion)
        return tails.ratio_below(value, size, expected.low, dispersion)

    def dump(self) -> WatchState:
        """Return the state."""
        learned, skipped, cells = self._evidence.dump()
        return WatchState(
            self._started,
            None if math.isnan(self._since) else self._since,
            self._quiet,
            self._present,
            self._buckets,
            self._missing,
            learned,
            skipped,
            cells,
            self._baseline.dump(),
        )

    def load(self, state: WatchState) -> None:
        """Take a state back; ValueError if it is not of this kind of series."""
        self._evidence.load(state.learned, state.skipped, state.cells)
        self._baseline.load(state.baseline)
        if state.present > state.buckets:
            raise ValueError("more measurements than buckets")
        self._started, self._quiet = state.started, state.quiet
        self._since = math.nan if state.since is None else state.since
        self._present, self._buckets = state.present, state.buckets
        self._missing = state.missing
