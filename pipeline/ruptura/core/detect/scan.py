"""Scan statistic: one strange bucket matters little, several in the same direction much.

For each of a few time scales the deviations are summed with exponentially fading weights, and
the sum is judged by the tail of its family: generalised likelihood ratios over windows of several
lengths, cheaply (Lai, Sequential Changepoint Detection in Quality Control and Dynamical Systems,
J. R. Statist. Soc. B 57, 1995). What varies is learned: the variance of single buckets in
`Dispersion`, and per scale the variance inflation factor, how much more the sums vary than
independent buckets would (rush hours, weather, autocorrelation).
"""

from __future__ import annotations

import math
import struct
from array import array
from typing import ClassVar, Final

import msgspec

from ruptura.core.contracts.tuning import Amount, Finite, Tally
from ruptura.core.detect.dispersion import Dispersion
from ruptura.core.detect.expectation import Expectation
from ruptura.core.detect.likelihood import LEAST_VARIANCE, Likelihood, Window
from ruptura.core.detect.scan_result import NO_DEVIATION, Deviation, ScanResult
from ruptura.core.detect.state import vector, vector_bytes

VERSION: Final = 1

SCALES_SECONDS: Final = (300.0, 900.0, 3600.0)

_DISPERSION_SECONDS: Final = 7 * 86_400.0
_YOUNG_BUCKETS: Final = 20.0
_OUTLIER: Final = 12.0
"""A squared deviation teaches at most so many times what is usual."""

STRIDE: Final = 4
"""Neighbouring buckets and sums tell nearly the same: only every fourth is learned."""

_SURELY: Final = 2.5
"""Deviations that are taken off a short scale's effect: it is larger in 19 cases of 20."""

_WINSOR_DEVIATIONS: Final = 6.0
"""To which a single bucket is winsorised before it is added up."""

_MOST_WINSORISED: Final = 10.0

_MATTERS_TWICE: Final = 2.0
"""Where the deviation is small, a bucket keeps so many times the least effect that matters:
otherwise a series that hardly varies could never show one."""

_CALM: Final = 2.24
"""Deviations that one in 80 sums of healthy buckets exceeds: one in 20 at any of four scales."""

_SURE: Final = 2.33
"""Deviations that one in 100 sums of a rupture falls short of."""

_SEEN, _LOW, _HIGH, _SPREAD, _SIZE, _INFLATION = range(6)
_CELLS: Final = 6
_ROW: Final = struct.Struct(f"{_CELLS}d")
"""Of one scale: the sum; what was expected of it, at least and at most; its variance were buckets
independent; sum of the sizes; and the learned variance inflation factor."""


class Scales:
    """The fading weights of the time scales, for buckets of one length.

    Args:
        bucket_seconds: Length of a bucket.

    Attributes:
        decay: Share of a sum that is left after one bucket, by scale; 0 for single buckets.
        units: What a bucket adds to the variance of a faded sum over what it adds to its mean.
        rows: Pairs of the two.
        pack: Makes bytes of the rows of all scales.
        memory: Buckets after which what was learned of dispersion has faded to 1/e.
        longest: Buckets of the longest scale.
    """

    __slots__ = (
        "bucket_seconds",
        "count",
        "decay",
        "longest",
        "memory",
        "pack",
        "rows",
        "units",
    )

    def __init__(self, bucket_seconds: float) -> None:
        self.bucket_seconds = bucket_seconds
        lengths = [s / bucket_seconds for s in SCALES_SECONDS if s >= 2.0 * bucket_seconds]
        lengths = lengths or [3.0]
        self.decay = (0.0, *(1.0 - 1.0 / length for length in lengths))
        self.units = tuple(1.0 / (1.0 + decay) for decay in self.decay)
        self.rows = tuple(zip(self.decay, self.units, strict=True))
        self.count = len(self.decay)
        self.pack = struct.Struct(f"{_CELLS * self.count}d").pack
        self.longest = lengths[-1]
        self.memory = max(_DISPERSION_SECONDS / bucket_seconds, 30.0)


class ScanState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `ScanStatistic` remembers.

    Attributes:
        learned: Buckets that have taught the variance inflation, by their weights.
        skipped: Buckets since the last that was a lesson.
        winsorised: As in `ScanResult`.
        sums: Six little-endian doubles for each scale: the sum; what was expected of it, at least
            and at most; its variance were buckets independent; sum of the sizes; and the variance
            inflation factor.
    """

    learned: Amount
    skipped: Tally
    winsorised: Finite
    sums: bytes


class ScanStatistic:
    """The faded sums of one series.

    Args:
        likelihood: Of its family.
        scales: Shared by all series.
        dispersion: Of its single buckets; it learns with the sums.

    Attributes:
        likelihood: As the argument; another of the same family may take its place.
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = ScanState

    __slots__ = (
        "_dispersion",
        "_learned",
        "_scales",
        "_skipped",
        "_sums",
        "_winsorised",
        "likelihood",
    )

    def __init__(self, likelihood: Likelihood, scales: Scales, dispersion: Dispersion) -> None:
        self.likelihood = likelihood
        self._scales = scales
        self._dispersion = dispersion
        self._learned = 0.0
        self._skipped = 0
        self._winsorised = 0.0
        self._sums: bytes = scales.pack(*(0.0, 0.0, 0.0, 0.0, 0.0, 1.0) * scales.count)

    def dispersion(self, exposure: float, *, longest: bool = False) -> float:
        """Return variance over what the family gives, of single buckets or the longest sums.

        Args:
            exposure: The mean of a count, the denominator of a ratio; 0 for a gauge.
            longest: Whether of a bucket among those of the longest scale.
        """
        single = self._dispersion.at(exposure)
        if longest:
            scales = self._scales
            row = _ROW.unpack_from(self._sums, _ROW.size * (scales.count - 1))
            single *= self._inflation(row[_INFLATION], scales.decay[-1])
        return single

    @property
    def recent(self) -> float:
        """What was seen within some minutes: the faded sum of the longest scale but one."""
        at = _ROW.size * max(self._scales.count - 2, 0)
        return float(_ROW.unpack_from(self._sums, at)[_SEEN])

    def score(
        self, observed: float, size: float, expected: Expectation, effect: float = 0.0
    ) -> ScanResult:
        """Judge the sums with one more bucket; changes nothing.

        Args:
            observed: Events, numerator, or deviations from the mean for gauges.
            size: Denominator of a ratio; 1 otherwise.
            expected: From before the bucket was seen.
            effect: Least deviation of a bucket that matters, in the unit of `observed`.
        """
        likelihood, dispersion = self.likelihood, self._dispersion
        mean, low, high, variance, exposure, error = likelihood.reference(expected, size)
        spread = variance * dispersion.at(exposure)
        reach = _WINSOR_DEVIATIONS * spread**0.5 + likelihood.WINSOR_MARGIN
        reach = max(reach, _MATTERS_TWICE * effect)
        value, winsorised = observed, 0.0
        if not low - reach <= observed <= high + reach:
            value, winsorised = self._winsorised_value(observed, low, high, reach)
        above = below = NO_DEVIATION
        sums: list[float] = []
        rows = zip(self._scales.rows, _ROW.iter_unpack(self._sums), strict=True)
        for (decay, unit), row in rows:
            seen, low_sum, high_sum, spread_sum, sizes, inflation = row
            seen = seen * decay + value
            low_sum = low_sum * decay + low
            high_sum = high_sum * decay + high
            spread_sum = spread_sum * decay * decay + spread
            sizes = sizes * decay + size
            sums += (seen, low_sum, high_sum, spread_sum, sizes, inflation)
            excess = 0.0
            if seen > high_sum:
                excess = seen - high_sum
            elif seen < low_sum:
                excess = seen - low_sum
            # Under two deviations no tail is worth computing: it could not become a signal.
            if excess * excess <= 4.0 * spread_sum:
                continue
            if decay:
                inflation = self._inflation(inflation, decay)
            error_of_mean = error * likelihood.extent(sizes, high_sum)
            total = inflation * spread_sum + error_of_mean * error_of_mean
            if excess * excess <= 4.0 * total:
                continue
            base = high_sum if excess > 0.0 else low_sum
            window = Window(seen, base, excess, total, sizes, unit, decay, inflation)
            deviation = self._deviation(window, expected)
            if excess > 0.0:
                above = above.with_scale(deviation)
            else:
                below = below.with_scale(deviation)
        if above is not NO_DEVIATION or below is not NO_DEVIATION:
            comparisons = float(self._scales.count)
            above, below = above.corrected(comparisons), below.corrected(comparisons)
        return ScanResult(
            above,
            below,
            self._scales.pack(*sums),
            winsorised,
            value - mean,
            variance,
            exposure,
            _is_vague(low, high),
        )

    def _winsorised_value(
        self, observed: float, low: float, high: float, reach: float
    ) -> tuple[float, float]:
        """Return the value of an outlier, and how many there were in a row, by their side.

        Outliers are single: what lies as far out once more keeps more of it.
        """
        side = 1.0 if observed > high else -1.0
        before = self._winsorised if self._winsorised * side > 0.0 else 0.0
        reach *= 1.0 + abs(before)
        winsorised = max(min(before + side, _MOST_WINSORISED), -_MOST_WINSORISED)
        return min(max(observed, low - reach), high + reach), winsorised

    def _deviation(self, window: Window, expected: Expectation) -> Deviation:
        likelihood = self.likelihood
        tail = likelihood.window_tail(window, expected, self._dispersion.degrees_of_freedom)
        whole = likelihood.extent(window.size, max(window.base, LEAST_VARIANCE))
        error = math.copysign(window.variance**0.5, window.excess)
        return Deviation(
            tail,
            window.excess,
            (window.excess - error) / whole,
            (window.excess - _SURELY * error) / whole,
            window.decay > 0.0,
        )

    def settled(self, result: ScanResult, suspicion: float) -> ScanResult:
        """Forget a deviation that has ended, though a long scale still remembers it.

        Hours after a short rupture the sum of the longest scale is still strange. Once the rupture
        is over its deviation has been told and begins anew, as a chart does after its alarm (Page,
        Continuous Inspection Schemes, Biometrika 41, 1954).

        Args:
            result: What `score` returned; the side that is over becomes 1.
            suspicion: Tail probability under which there is a deviation to speak of.
        """
        if result.above.probability < suspicion and self._is_over(result.sums, above=True):
            result = _forgotten(msgspec.structs.replace(result, above=NO_DEVIATION))
        if result.below.probability < suspicion and self._is_over(result.sums, above=False):
            result = _forgotten(msgspec.structs.replace(result, below=NO_DEVIATION))
        return result

    def _is_over(self, sums: bytes, *, above: bool) -> bool:
        """Whether a shorter scale, with those below it, speaks against what a longer one remembers.

        They are calm, and would hardly be were that deviation still going on. A deviation that is
        too small to be seen at the shorter scales is never over by this rule: it has to fade.
        """
        likelihood = self.likelihood
        sign = 1.0 if above else -1.0
        rows = list(_ROW.iter_unpack(sums))
        levels = []
        for seen, low, high, _, sizes, _ in rows:
            base = high if above else low
            extent = likelihood.extent(sizes, base)
            levels.append(sign * (seen - base) / max(extent, LEAST_VARIANCE))
        for at, (_, low, high, spread, sizes, learned) in enumerate(rows[:-1]):
            extent = likelihood.extent(sizes, high if above else low)
            decay = self._scales.decay[at]
            inflation = self._inflation(learned, decay) if decay else 1.0
            deviation = max(inflation * spread, LEAST_VARIANCE) ** 0.5
            excess = levels[at] * extent
            if excess > _CALM * deviation:
                return False
            going_on = max(levels[at + 1 :])
            if above:
                deviation *= likelihood.variance_growth(going_on) ** 0.5
            if at > 0 and excess < going_on * extent - _SURE * deviation:
                return True
        return False

    def _inflation(self, learned: float, decay: float) -> float:
        """How much more the sums vary than of independent buckets, at the scale of this decay.

        What the sums themselves have taught, and while that is little, what a chain with the
        lag-1 autocorrelation of the buckets would have (Priestley, Spectral Analysis and Time
        Series, 5.3.1).
        """
        lag1 = self._dispersion.lag1_autocorrelation
        trust = self._learned / (self._learned + _YOUNG_BUCKETS / (1.0 - decay))
        correlated = (1.0 + decay * lag1) / (1.0 - decay * lag1)
        return max(trust * learned + (1.0 - trust) * correlated, 1.0)

    def advance(self, result: ScanResult) -> None:
        """Let a bucket pass: the sums become those of its result."""
        self._sums, self._winsorised = result.sums, result.winsorised

    def learn(self, result: ScanResult, weight: float, single: float) -> None:
        """Let a bucket pass, and learn dispersion and variance inflation from it and the sums.

        Args:
            result: What `score` returned for it.
            weight: How much to trust the sums, in (0, 1].
            single: How much to trust the bucket by itself, in (0, 1].
        """
        sums = self._sums = result.sums
        self._winsorised = result.winsorised
        is_standardised = self.likelihood.IS_STANDARDISED
        is_vague = result.is_vague
        self._skipped += 1
        is_lesson = self._skipped >= STRIDE
        self._dispersion.learn(
            result.deviation,
            result.variance,
            result.exposure,
            single,
            is_vague=is_vague,
            # What a gauge varies by is no matter of neighbours, which may be correlated.
            is_lesson=is_lesson and not (is_vague and is_standardised),
        )
        is_vague = is_vague and not is_standardised
        if not is_vague:
            self._learned += weight
        if not is_lesson:
            return
        self._skipped = 0
        if is_vague:
            return  # what is normal is not known well enough to tell what is usual
        memory = self._scales.memory
        # Later sums count more while the series is young: the first ones knew no shape of a day.
        step = min(2.0 * STRIDE * weight / min(self._learned + 2.0 * STRIDE, memory), 1.0)
        learned: list[float] = []
        for decay, row in zip(self._scales.decay, _ROW.iter_unpack(sums), strict=True):
            seen, low, high, spread, sizes, inflation = row
            if decay and (is_standardised or not _is_vague(low, high)):
                deviation = seen if is_standardised else seen - high
                squared = deviation * deviation / spread
                usual = max(inflation, 1.0)
                inflation += step * (min(squared, _OUTLIER * usual) - inflation)
            learned += (seen, low, high, spread, sizes, inflation)
        self._sums = self._scales.pack(*learned)

    def forget(self) -> None:
        """Take the sums to be what was expected."""
        self._winsorised, self._sums = 0.0, _within(self._sums)

    def dump(self) -> ScanState:
        """Return the state."""
        sums = vector_bytes(self._sums)
        return ScanState(self._learned, self._skipped, self._winsorised, sums)

    def load(self, state: ScanState) -> None:
        """Take the state back; ValueError if it could not be one of these scales."""
        found = vector(state.sums, "sums")
        if len(found) != _CELLS * self._scales.count:
            raise ValueError("not the sums of these scales")
        if not math.isfinite(state.learned):
            raise ValueError("sums: not finite")
        if (
            state.learned < 0.0
            or not -_MOST_WINSORISED <= state.winsorised <= _MOST_WINSORISED
            or (not self.likelihood.IS_STANDARDISED and min(found) < 0.0)
            or min(found[_SPREAD::_CELLS]) < 0.0
            or min(found[_SIZE::_CELLS]) < 0.0
            or min(found[_INFLATION::_CELLS]) < 0.0
        ):
            raise ValueError("sums out of range")
        self._learned, self._skipped = state.learned, state.skipped
        self._winsorised, self._sums = state.winsorised, found.tobytes()


def _is_vague(low: float, high: float) -> bool:
    """Whether what is normal has ends apart."""
    return high - low > 1e-9 * abs(high) + 1e-12


def _forgotten(result: ScanResult) -> ScanResult:
    """Return it with its sums as what was expected."""
    return msgspec.structs.replace(result, sums=_within(result.sums), winsorised=0.0)


def _within(sums: bytes) -> bytes:
    """Return sums that lie within what was expected of them."""
    cells = array("d", sums)
    for at in range(0, len(cells), _CELLS):
        cells[at] = min(max(cells[at], cells[at + _LOW]), cells[at + _HIGH])
    return cells.tobytes()
