"""Evidence over time: one strange bucket matters little, several in the same direction much.

For each of a few time scales the deviations are summed with exponentially fading weights, and
the sum is judged by the tail of its family. How much more such sums vary than independent
buckets would (rush hours, weather, autocorrelation) is learned per scale, as a dispersion.
"""

from __future__ import annotations

import struct
from array import array
from typing import Final

from ruptura.core import tails
from ruptura.core.baseline import Expectation
from ruptura.core.series import Family
from ruptura.core.tuning import are_finite

SCALES_SECONDS: Final = (300.0, 900.0, 3600.0)

_DISPERSION_SECONDS: Final = 7 * 86_400.0
_YOUNG_BUCKETS: Final = 20.0
_OUTLIER: Final = 12.0
"""A squared deviation teaches at most so many times what is usual."""

_STRIDE: Final = 4

_FREAK: Final = 6.0
"""Deviations to which a single bucket is cut before it is added up."""

_SEEN, _LOW, _HIGH, _SPREAD, _SIZE, _DISPERSION = range(6)
_CELLS: Final = 6
_ROW: Final = struct.Struct(f"{_CELLS}d")
_ROW_BYTES: Final = _ROW.size
_pack = _ROW.pack_into


class Finding:
    """What the evidence says: tails on both sides, and how large the deviation is.

    Attributes:
        above, below: Tail probabilities, corrected for the number of scales looked at.
        rise, drop: Deviation at the scale that says most for its side, in the units of the sums.
        rise_relative, drop_relative: The same over the expectation; for gauges the mean deviation
            per bucket.
    """

    __slots__ = ("above", "below", "drop", "drop_relative", "rise", "rise_relative")

    def __init__(self) -> None:
        self.above = 1.0
        self.below = 1.0
        self.rise = self.rise_relative = 0.0
        self.drop = self.drop_relative = 0.0


_NOTHING: Final = Finding()
"""What is found nearly always; nobody changes it."""


class Scales:
    """The fading weights of the time scales, for buckets of one length.

    Args:
        bucket_seconds: Length of a bucket.
    """

    __slots__ = ("count", "keep", "memory")

    def __init__(self, bucket_seconds: float) -> None:
        lengths = [s / bucket_seconds for s in SCALES_SECONDS if s >= 2.0 * bucket_seconds]
        self.keep = (0.0, *(1.0 - 1.0 / length for length in lengths or [3.0]))
        self.count = len(self.keep)
        self.memory = max(_DISPERSION_SECONDS / bucket_seconds, 30.0)


class Evidence:
    """The faded sums of one series.

    Args:
        family: Decides the tail.
        scales: Shared by all series.
    """

    __slots__ = ("_cells", "_family", "_learned", "_scales", "_skipped")

    def __init__(self, family: Family, scales: Scales) -> None:
        self._family = family
        self._scales = scales
        self._learned = 0.0
        self._skipped = 0
        self._cells = array("d", bytes(8 * _CELLS * scales.count))
        for at in range(_DISPERSION, len(self._cells), _CELLS):
            self._cells[at] = 1.5

    def dispersion(self, longest: bool = False) -> float:
        """Return the learned dispersion of single buckets, or of the longest scale."""
        return self._cells[(self._scales.count - 1) * _CELLS + _DISPERSION if longest else 5]

    def add(self, observed: float, size: float, expected: Expectation) -> Finding:
        """Add a bucket and judge the sums.

        Args:
            observed: Events, numerator, or deviations from the mean for gauges.
            size: Denominator of a ratio; 1 otherwise.
            expected: From before the bucket was seen.
        """
        cells = self._cells
        family = self._family
        is_gauge = family == "gauge"
        if is_gauge:
            deviation = expected.deviation
            low = (expected.low - expected.mean) / deviation
            high = (expected.high - expected.mean) / deviation
            mean, spread = 0.0, 1.0
            doubt = expected.doubt / deviation
        else:
            mean = expected.mean * size
            low, high = expected.low * size, expected.high * size
            spread = max(mean * (1.0 - expected.mean) if family == "ratio" else mean, 1e-9)
            doubt = expected.doubt
        reach = _FREAK * (spread * cells[_DISPERSION]) ** 0.5 + (0.0 if is_gauge else 3.0)
        value = min(max(observed, low - reach), high + reach)
        finding = None
        at = 0
        # Whole rows at a time: an array gives and takes single numbers slowly.
        for keep, row in zip(self._scales.keep, _ROW.iter_unpack(cells), strict=True):
            seen, low_sum, high_sum, spread_sum, sizes, dispersion = row
            seen = seen * keep + value
            low_sum = low_sum * keep + low
            high_sum = high_sum * keep + high
            spread_sum = spread_sum * keep * keep + spread
            sizes = sizes * keep + size
            _pack(cells, at, seen, low_sum, high_sum, spread_sum, sizes, dispersion)
            at += _ROW_BYTES
            excess = seen - high_sum if seen > high_sum else min(seen - low_sum, 0.0)
            doubtful = doubt * (sizes if is_gauge else high_sum)
            variance = dispersion * spread_sum + doubtful * doubtful
            # Under two deviations no tail is worth computing: it could not become a signal.
            if excess * excess > 4.0 * variance:
                if finding is None:
                    finding = Finding()
                base = high_sum if excess > 0.0 else low_sum
                tail = self._tail(seen, base, spread_sum, variance, sizes, excess, expected.freedom)
                relative = excess / (sizes if is_gauge else max(base, 1e-9))
                if excess > 0.0 and tail < finding.above:
                    finding.above, finding.rise, finding.rise_relative = tail, excess, relative
                elif excess < 0.0 and tail < finding.below:
                    finding.below, finding.drop, finding.drop_relative = tail, excess, relative
        if finding is None:
            return _NOTHING
        looks = float(self._scales.count)
        finding.above = min(1.0, finding.above * looks)
        finding.below = min(1.0, finding.below * looks)
        return finding

    def _tail(
        self,
        seen: float,
        base: float,
        spread: float,
        variance: float,
        sizes: float,
        excess: float,
        freedom: float,
    ) -> float:
        if self._family == "gauge":
            return tails.level_beyond(excess / variance**0.5, freedom)
        dispersion = variance / spread
        # A faded sum varies less than its mean tells: count in units that make it so again.
        base = max(base, 1e-9)
        if self._family == "count":
            unit = min(spread / base, 1.0)
            if excess > 0.0:
                return tails.count_above(seen / unit, base / unit, dispersion)
            return tails.count_below(seen / unit, base / unit, dispersion)
        rate = min(base / sizes, 1.0 - 1e-9)
        unit = min(spread / (base * (1.0 - rate)), 1.0)
        if excess > 0.0:
            return tails.ratio_above(seen / unit, sizes / unit, rate, dispersion)
        return tails.ratio_below(seen / unit, sizes / unit, rate, dispersion)

    def learn(self, weight: float) -> None:
        """Learn the dispersion from the sums as they stand; call after `add`.

        Neighbouring sums tell nearly the same, so only every fourth is looked at.
        """
        cells = self._cells
        high = cells[_HIGH]
        if high - cells[_LOW] > 1e-9 * abs(high) + 1e-12:  # as `_is_vague`
            return  # what is normal is not known well enough to tell what is usual
        self._learned += weight
        self._skipped += 1
        if self._skipped < _STRIDE:
            return
        self._skipped = 0
        memory = self._scales.memory
        for at, keep in zip(range(0, len(cells), _CELLS), self._scales.keep, strict=True):
            if _is_vague(cells, at):
                continue
            # Overlapping sums tell little: the longer the scale, the longer its youth.
            young = _YOUNG_BUCKETS / (1.0 - keep)
            step = _STRIDE * weight / min(self._learned + young, max(memory, young))
            deviation = cells[at] - cells[at + _HIGH]
            squared = deviation * deviation / cells[at + _SPREAD]
            now = cells[at + _DISPERSION]
            cells[at + _DISPERSION] = max(now + step * (min(squared, _OUTLIER * now) - now), 1.0)

    def dump(self) -> tuple[float, int, bytes]:
        """Return the state."""
        return self._learned, self._skipped, self._cells.tobytes()

    def load(self, learned: float, skipped: int, cells: bytes) -> None:
        """Take the state back; ValueError if the bytes could not be of these scales."""
        if len(cells) != 8 * len(self._cells):
            raise ValueError("not the evidence of these scales")
        found = array("d", cells)
        if (
            not are_finite(found)
            or min(found[_SPREAD::_CELLS]) < 0.0
            or min(found[_SIZE::_CELLS]) < 0.0
            or min(found[_DISPERSION::_CELLS]) < 1.0
        ):
            raise ValueError("evidence with numbers that are none")
        self._learned, self._skipped, self._cells = learned, skipped, found


def _is_vague(cells: array[float], at: int) -> bool:
    """Whether what is normal has ends apart, at the scale whose cells begin here."""
    return cells[at + _HIGH] - cells[at + _LOW] > 1e-9 * abs(cells[at + _HIGH]) + 1e-12
