"""Evidence over time: one strange bucket matters little, several in the same direction much.

For each of a few time scales the deviations are summed with exponentially fading weights, and
the sum is judged by the tail of its family: generalised likelihood ratios over windows of several
lengths, cheaply (Lai, Sequential Changepoint Detection in Quality Control and Dynamical Systems,
J. R. Statist. Soc. B 57, 1995). What varies is learned: the variance of single buckets in
`Dispersion`, and per scale how much more the sums vary than independent buckets would (rush
hours, weather, autocorrelation), the inflation.
"""

from __future__ import annotations

import math
import struct
from array import array
from typing import Final

from ruptura.core.contracts.tuning import are_finite
from ruptura.core.detect import tails
from ruptura.core.detect.dispersion import Dispersion
from ruptura.core.detect.protocol import Expectation
from ruptura.core.detect.scan_result import NOTHING, Finding
from ruptura.core.series.registry import Family

SCALES_SECONDS: Final = (300.0, 900.0, 3600.0)

_DISPERSION_SECONDS: Final = 7 * 86_400.0
_YOUNG_BUCKETS: Final = 20.0
_OUTLIER: Final = 12.0
"""A squared deviation teaches at most so many times what is usual."""

STRIDE: Final = 4
"""Neighbouring buckets and sums tell nearly the same: only every fourth is learned."""

_SURELY: Final = 2.5
"""Deviations that are taken off a short scale's effect: it is larger in 19 cases of 20."""

_FREAK: Final = 6.0
"""Deviations to which a single bucket is cut before it is added up."""

_MOST_CUT: Final = 10.0

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
_ROW_BYTES: Final = _ROW.size
_pack = _ROW.pack_into


class Scales:
    """The fading weights of the time scales, for buckets of one length.

    Args:
        bucket_seconds: Length of a bucket.

    Attributes:
        keep: Share of a sum that is left after one bucket, by scale; 0 for single buckets.
        units: What a bucket adds to the variance of a faded sum over what it adds to its mean.
        memory: Buckets after which what was learned of dispersion has faded to 1/e.
        longest: Buckets of the longest scale.
    """

    __slots__ = ("bucket_seconds", "count", "keep", "longest", "memory", "rows", "units")

    def __init__(self, bucket_seconds: float) -> None:
        self.bucket_seconds = bucket_seconds
        lengths = [s / bucket_seconds for s in SCALES_SECONDS if s >= 2.0 * bucket_seconds]
        lengths = lengths or [3.0]
        self.keep = (0.0, *(1.0 - 1.0 / length for length in lengths))
        self.units = tuple(1.0 / (1.0 + keep) for keep in self.keep)
        self.rows = tuple(zip(self.keep, self.units, strict=True))
        self.count = len(self.keep)
        self.longest = lengths[-1]
        self.memory = max(_DISPERSION_SECONDS / bucket_seconds, 30.0)


class Evidence:
    """The faded sums of one series.

    Args:
        family: Decides the tail.
        scales: Shared by all series.
    """

    __slots__ = (
        "_cells",
        "_cut",
        "_deviation",
        "_family",
        "_learned",
        "_own",
        "_scales",
        "_single",
        "_skipped",
        "_trials",
    )

    def __init__(self, family: Family, scales: Scales) -> None:
        self._family = family
        self._scales = scales
        self._learned = 0.0
        self._skipped = 0
        self._cut = 0.0  # buckets in a row that were cut, by their side
        self._single = Dispersion(
            scales.memory / STRIDE, believed=1.04 if family == "gauge" else 1.5
        )
        # Of the last bucket: its deviation from the mean, the variance that its family gives it,
        # and what its dispersion goes with.
        self._deviation, self._own, self._trials = 0.0, 1.0, 0.0
        self._cells = array("d", bytes(8 * _CELLS * scales.count))
        for at in range(_INFLATION, len(self._cells), _CELLS):
            self._cells[at] = 1.0

    def dispersion(self, trials: float, *, longest: bool = False) -> float:
        """Return variance over what the family gives, of single buckets or the longest sums.

        Args:
            trials: The mean of a count, the denominator of a ratio; 0 for a gauge.
            longest: Whether of a bucket among those of the longest scale.
        """
        single = self._single.at(trials)
        if longest:
            single *= self._inflation(len(self._cells) - _CELLS, self._scales.keep[-1])
        return single

    @property
    def freedom(self) -> float:
        """Degrees of freedom of a single bucket of a gauge."""
        return self._single.freedom

    def add(  # noqa: PLR0915  # the hot loop: calls would cost more than it does
        self, observed: float, size: float, expected: Expectation, effect: float = 0.0
    ) -> Finding:
        """Add a bucket and judge the sums.

        Args:
            observed: Events, numerator, or deviations from the mean for gauges.
            size: Denominator of a ratio; 1 otherwise.
            expected: From before the bucket was seen.
            effect: Least deviation of a bucket that matters, in the unit of `observed`.
        """
        cells = self._cells
        family = self._family
        is_gauge = family == "gauge"
        if is_gauge:
            deviation = expected.deviation
            low = (expected.low - expected.mean) / deviation
            high = (expected.high - expected.mean) / deviation
            mean, own, trials = 0.0, 1.0, 0.0
            doubt = expected.doubt / deviation
        else:
            mean = expected.mean * size
            low, high = expected.low * size, expected.high * size
            own = max(mean * (1.0 - expected.mean) if family == "ratio" else mean, 1e-9)
            trials = size if family == "ratio" else mean
            doubt = expected.doubt
        single = self._single
        spread = own * single.at(trials)
        reach = _FREAK * spread**0.5 + (0.0 if is_gauge else 3.0)
        if effect:
            reach = max(reach, _MATTERS_TWICE * effect)
        # Freaks are single: what lies as far out once more keeps more of it.
        side = 1.0 if observed > high + reach else -1.0 if observed < low - reach else 0.0
        cut = self._cut if self._cut * side > 0.0 else 0.0
        self._cut = max(min(cut + side, _MOST_CUT), -_MOST_CUT)
        reach *= 1.0 + abs(cut)
        value = min(max(observed, low - reach), high + reach)
        self._deviation, self._own, self._trials = value - mean, own, trials
        young = self._learned
        ties = single.ties
        finding = None
        at = 0
        # Whole rows at a time: an array gives and takes single numbers slowly.
        for (keep, unit), row in zip(self._scales.rows, _ROW.iter_unpack(cells), strict=True):
            seen, low_sum, high_sum, spread_sum, sizes, inflation = row
            seen = seen * keep + value
            low_sum = low_sum * keep + low
            high_sum = high_sum * keep + high
            spread_sum = spread_sum * keep * keep + spread
            sizes = sizes * keep + size
            _pack(cells, at, seen, low_sum, high_sum, spread_sum, sizes, inflation)
            at += _ROW_BYTES
            excess = seen - high_sum if seen > high_sum else min(seen - low_sum, 0.0)
            # Under two deviations no tail is worth computing: it could not become a signal.
            if excess * excess <= 4.0 * spread_sum:
                continue
            if keep:
                trust = young / (young + _YOUNG_BUCKETS / (1.0 - keep))
                tied = (1.0 + keep * ties) / (1.0 - keep * ties)
                inflation = max(trust * inflation + (1.0 - trust) * tied, 1.0)
            doubtful = doubt * (sizes if is_gauge else high_sum)
            variance = inflation * spread_sum + doubtful * doubtful
            if excess * excess > 4.0 * variance:
                if finding is None:
                    finding = Finding()
                base = high_sum if excess > 0.0 else low_sum
                if is_gauge:
                    # A sum of n is as much nearer to the normal as it is long (kurtosis over n).
                    many = max((1.0 + keep * keep) / ((1.0 - keep * keep) * inflation), 1.0)
                    freedom = min(2.0 + (single.freedom - 2.0) * many, expected.freedom)
                    tail = tails.level_beyond(excess / variance**0.5, freedom)
                else:
                    tail = self._tail(seen, base, variance, sizes, unit, excess)
                whole = sizes if is_gauge else max(base, 1e-9)
                error = math.copysign(variance**0.5, excess)
                finding.note(
                    tail,
                    excess,
                    (excess - error) / whole,
                    (excess - _SURELY * error) / whole,
                    lasting=keep > 0.0,
                )
        if finding is None:
            return NOTHING
        looks = float(self._scales.count)
        finding.above = min(1.0, finding.above * looks)
        finding.below = min(1.0, finding.below * looks)
        return finding

    @property
    def recent(self) -> float:
        """What was seen within some minutes: the faded sum of the longest scale but one."""
        return self._cells[max(len(self._cells) - 2 * _CELLS, 0) + _SEEN]

    def _tail(
        self, seen: float, base: float, variance: float, sizes: float, unit: float, excess: float
    ) -> float:
        # A faded sum varies less than its mean tells: count in units that make it so again.
        base = max(base, 1e-9)
        if self._family == "count":
            dispersion = variance / (base * unit)
            if excess > 0.0:
                return tails.count_above(seen / unit, base / unit, dispersion)
            return tails.count_below(seen / unit, base / unit, dispersion)
        rate = min(base / sizes, 1.0 - 1e-9)
        dispersion = variance / (base * (1.0 - rate) * unit)
        if excess > 0.0:
            return tails.ratio_above(seen / unit, sizes / unit, rate, dispersion)
        return tails.ratio_below(seen / unit, sizes / unit, rate, dispersion)

    def settle(self, finding: Finding, suspicion: float) -> None:
        """Forget a deviation that has ended, though a long scale still remembers it.

        Hours after a short rupture the sum of the longest scale is still strange. Once the rupture
        is over its evidence has been heard and begins anew, as a chart does after its alarm (Page,
        Continuous Inspection Schemes, Biometrika 41, 1954).

        Args:
            finding: What `add` has just found; the side that is over becomes 1.
            suspicion: Tail probability under which there is a deviation to speak of.
        """
        if finding.above < suspicion and self._is_over(above=True):
            finding.above = 1.0
            self.forget()
        if finding.below < suspicion and self._is_over(above=False):
            finding.below = 1.0
            self.forget()

    def _is_over(self, *, above: bool) -> bool:
        """Whether a shorter scale, with those below it, speaks against what a longer one remembers.

        They are calm, and would hardly be were that deviation still going on. A deviation that is
        too small to be seen at the shorter scales is never over by this rule: it has to fade.
        """
        sign = 1.0 if above else -1.0
        is_gauge = self._family == "gauge"
        rows = list(_ROW.iter_unpack(self._cells))
        levels = []
        for seen, low, high, _, sizes, _ in rows:
            base = high if above else low
            levels.append(sign * (seen - base) / max(sizes if is_gauge else base, 1e-9))
        for at, (_, low, high, spread, sizes, _) in enumerate(rows[:-1]):
            unit = sizes if is_gauge else (high if above else low)
            keep = self._scales.keep[at]
            inflation = self._inflation(at * _CELLS, keep) if keep else 1.0
            deviation = max(inflation * spread, 1e-9) ** 0.5
            excess = levels[at] * unit
            if excess > _CALM * deviation:
                return False
            going_on = max(levels[at + 1 :])
            if above and not is_gauge:
                deviation *= (1.0 + going_on) ** 0.5
            if at > 0 and excess < going_on * unit - _SURE * deviation:
                return True
        return False

    def forget(self) -> None:
        """Take the sums to be what was expected."""
        self._cut = 0.0
        cells = self._cells
        for at in range(0, len(cells), _CELLS):
            cells[at] = min(max(cells[at], cells[at + _LOW]), cells[at + _HIGH])

    def _inflation(self, at: int, keep: float) -> float:
        """How much more the sums vary than of independent buckets, at the scale of these cells.

        What the sums themselves have taught, and while that is little, what a chain with the ties
        of neighbouring buckets would have (Priestley, Spectral Analysis and Time Series, 5.3.1).
        """
        ties = self._single.ties
        trust = self._learned / (self._learned + _YOUNG_BUCKETS / (1.0 - keep))
        tied = (1.0 + keep * ties) / (1.0 - keep * ties)
        return max(trust * self._cells[at + _INFLATION] + (1.0 - trust) * tied, 1.0)

    def learn(self, weight: float, single: float) -> None:
        """Learn dispersion and inflation from the last bucket and the sums; call after `add`.

        Args:
            weight: How much to believe the sums, in (0, 1].
            single: How much to believe the bucket by itself, in (0, 1].
        """
        cells = self._cells
        is_gauge = self._family == "gauge"
        is_vague = _is_vague(cells, 0)
        self._skipped += 1
        is_due = self._skipped >= STRIDE
        self._single.learn(
            self._deviation,
            self._own,
            self._trials,
            single,
            is_vague=is_vague,
            # What a gauge varies by is no matter of neighbours, which may be tied.
            is_due=is_due and not (is_vague and is_gauge),
        )
        is_vague = is_vague and not is_gauge
        if not is_vague:
            self._learned += weight
        if not is_due:
            return
        self._skipped = 0
        if is_vague:
            return  # what is normal is not known well enough to tell what is usual
        memory = self._scales.memory
        # Later sums count more while the series is young: the first ones knew no shape of a day.
        step = min(2.0 * STRIDE * weight / min(self._learned + 2.0 * STRIDE, memory), 1.0)
        for at, keep in zip(range(0, len(cells), _CELLS), self._scales.keep, strict=True):
            if not keep or (not is_gauge and _is_vague(cells, at)):
                continue
            deviation = cells[at] if is_gauge else cells[at] - cells[at + _HIGH]
            squared = deviation * deviation / cells[at + _SPREAD]
            now = cells[at + _INFLATION]
            usual = max(now, 1.0)
            cells[at + _INFLATION] = now + step * (min(squared, _OUTLIER * usual) - now)

    def dump(self) -> tuple[float, int, bytes]:
        """Return the state."""
        own = array("d", [self._cut]).tobytes()
        return self._learned, self._skipped, self._single.dump() + own + self._cells.tobytes()

    def load(self, learned: float, skipped: int, cells: bytes) -> None:
        """Take the state back; ValueError if the bytes could not be of these scales."""
        head = Dispersion.dumped_bytes()
        if len(cells) != head + 8 + 8 * len(self._cells):
            raise ValueError("not the evidence of these scales")
        cut, found = array("d", cells[head : head + 8])[0], array("d", cells[head + 8 :])
        if (
            not are_finite(found)
            or not -_MOST_CUT <= cut <= _MOST_CUT
            or (self._family != "gauge" and min(found) < 0.0)
            or min(found[_SPREAD::_CELLS]) < 0.0
            or min(found[_SIZE::_CELLS]) < 0.0
            or min(found[_INFLATION::_CELLS]) < 0.0
        ):
            raise ValueError("evidence with numbers that are none")
        self._single.load(cells[:head])
        self._learned, self._skipped, self._cells, self._cut = learned, skipped, found, cut


def _is_vague(cells: array[float], at: int) -> bool:
    """Whether what is normal has ends apart, at the scale whose cells begin here."""
    return cells[at + _HIGH] - cells[at + _LOW] > 1e-9 * abs(cells[at + _HIGH]) + 1e-12
