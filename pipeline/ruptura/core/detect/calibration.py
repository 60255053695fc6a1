"""How much to trust a tail probability: corrected by how often, and how far, it was wrong.

A tail p of the right model is uniform, so ln(1/p) exceeds ln(1/0.05) in one bucket of twenty, by 1
on average, and the excess is exponential. Where noise has heavier tails than its family, more
buckets exceed it and by more: the mean excess is Hill's estimate (Hill, A Simple General Approach
to Inference About the Tail of a Distribution, Ann. Statist. 3, 1975) of the power by which p
falls too fast. With few exceedances seen the predictive distribution of an exponential excess is
Lomax's, which is wider (Aitchison & Dunsmore, Statistical Prediction Analysis, 1975, 2.3).
"""

from __future__ import annotations

import math
from array import array
from typing import ClassVar, Final

import msgspec

from ruptura.core.contracts.tuning import Amount
from ruptura.core.detect.state import vector, vector_bytes

VERSION: Final = 1

BUCKET_ABOVE, BUCKET_BELOW, ABOVE, BELOW = range(4)
"""The tails of a series: of single buckets, and of windows, on both sides."""

THRESHOLD: Final = 0.05
"""Tails below this are looked at."""

REMEMBERED_SECONDS: Final = 14 * 86_400.0

_TAILS: Final = 4
_NUMBERS: Final = 6
_COUNT, _EXCESS, _RUNS, _LENGTH, _WAITING, _WAITING_EXCESS = range(_NUMBERS)
_PRIOR_BUCKETS: Final = 200.0
_PRIOR_RUNS: Final = 20.0
"""What the belief that the family is right weighs, in buckets and in exceedances."""

_FARTHEST: Final = 4.0
"""An excess teaches at most so many times what is usual; of an exponential that leaves 98 %."""

_START: Final = math.log(1.0 / THRESHOLD)


class CalibrationState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `Calibration` remembers.

    Attributes:
        buckets: How many have taught it, faded.
        tails: Six little-endian doubles for each tail: exceedances, their excess, and their runs,
            all faded; length of the present run, and its exceedances and excess.
    """

    buckets: Amount
    tails: bytes


class Calibration:
    """What the tails of one series have taught.

    Args:
        memory: Buckets after which what was learned has faded to 1/e.
        longest: Buckets in a row that one exceedance may fill: a run that lasts longer is an
            event, not the noise, and teaches no more.
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = CalibrationState

    __slots__ = ("_buckets", "_decay", "_longest", "_numbers")

    def __init__(self, memory: float, longest: float) -> None:
        self._decay = 1.0 - 1.0 / memory
        self._longest = longest
        self._buckets = 0.0
        self._numbers = array("d", bytes(8 * _TAILS * _NUMBERS))

    def corrected(self, tail: int, probability: float) -> float:
        """Return a probability as experience corrects it: never less than it was."""
        if probability >= 1.0:
            return 1.0
        numbers = self._numbers
        at = tail * _NUMBERS
        count = numbers[at + _COUNT]
        rate = (count + _PRIOR_BUCKETS * THRESHOLD) / (self._buckets + _PRIOR_BUCKETS)
        rate = max(rate, THRESHOLD)
        if probability >= THRESHOLD:
            if rate == THRESHOLD:
                return probability
            return 1.0 - (1.0 - probability) * (1.0 - rate) / (1.0 - THRESHOLD)
        runs, mean = self._excess(at)
        excess = math.log(1.0 / probability) - _START
        return max(rate * math.exp(-runs * math.log1p(excess / (runs * mean))), probability)

    def _excess(self, at: int) -> tuple[float, float]:
        """Return how many runs are behind a mean excess, and the mean excess, at least 1."""
        numbers = self._numbers
        count = numbers[at + _COUNT]
        seen = numbers[at + _RUNS]
        runs = seen + _PRIOR_RUNS
        if count <= 0.0:
            return runs, 1.0
        mean = (numbers[at + _EXCESS] / count * seen + _PRIOR_RUNS) / runs
        return runs, max(mean, 1.0)

    def learn(self, probabilities: tuple[float, float, float, float], weight: float) -> None:
        """Learn the tails of one bucket, uncorrected.

        Args:
            probabilities: By tail.
            weight: How much to trust the bucket, in (0, 1].
        """
        numbers = self._numbers
        decay = 1.0 - (1.0 - self._decay) * weight
        self._buckets = self._buckets * decay + weight
        at = 0
        for probability in probabilities:
            if numbers[at]:
                numbers[at] *= decay
                numbers[at + _EXCESS] *= decay
                numbers[at + _RUNS] *= decay
            if probability < THRESHOLD:
                if numbers[at + _LENGTH] < self._longest:
                    _, mean = self._excess(at)
                    excess = min(math.log(1.0 / probability) - _START, _FARTHEST * mean)
                    numbers[at + _LENGTH] += 1.0
                    numbers[at + _WAITING] += weight
                    numbers[at + _WAITING_EXCESS] += weight * excess
            elif numbers[at + _LENGTH]:
                self._end_run(at)
            at += _NUMBERS

    def _end_run(self, at: int) -> None:
        """Learn a run that has ended: while it lasts it must not make itself usual."""
        numbers = self._numbers
        numbers[at] += numbers[at + _WAITING]
        numbers[at + _EXCESS] += numbers[at + _WAITING_EXCESS]
        numbers[at + _RUNS] += min(numbers[at + _WAITING], 1.0)
        for cell in (_LENGTH, _WAITING, _WAITING_EXCESS):
            numbers[at + cell] = 0.0

    def dump(self) -> CalibrationState:
        """Return the state."""
        return CalibrationState(self._buckets, vector_bytes(self._numbers))

    def load(self, state: CalibrationState) -> None:
        """Take a state back; ValueError if it could not be one."""
        found = vector(state.tails, "calibration")
        if len(found) != len(self._numbers):
            raise ValueError("calibration: not of these tails")
        if not math.isfinite(state.buckets):
            raise ValueError("calibration: not finite")
        if min(found) < 0.0 or state.buckets < 0.0:
            raise ValueError("calibration: under 0")
        self._buckets, self._numbers = state.buckets, found
