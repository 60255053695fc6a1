"""The largest rises of the past, and how far a new one goes beyond them."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from typing import Final

KEPT: Final = 10
"""So many of the largest rises tell what the tail is like: in 1,000 points, its upper 1 %."""

FADING_POINTS: Final = 16_000.0
"""A rise fades to 1/e in so many points, eight weeks of five minutes: what was large once is no
measure for ever."""

_NEVER: Final = -math.inf

_STEEPEST: Final = 0.5
"""Added to what the tail says of itself: where the largest rises are all alike, a new one must
still be larger by some tenths to say anything."""

_UNHEARD: Final = 4.0
"""Excess of a rise where there never was any."""


class Record:
    """The largest rises of one view on one side, fading, and the tail that they tell of.

    Beyond a high level a tail falls as a power of the rise; the mean logarithm of the largest ones
    over the least of them estimates the inverse of that power (Hill, "A simple general approach to
    inference about the tail of a distribution", Annals of Statistics 3, 1975). The excess of a new
    rise in these units means the same whether a series is tame or wild.
    """

    __slots__ = ("_faded", "_largest", "_tail")

    def __init__(self) -> None:
        # Logarithms, ascending, with what they have faded since they were last rewritten.
        self._largest = array("f", [_NEVER] * KEPT)
        self._faded = 0.0
        self._tail = 0.0

    def __getstate__(self) -> tuple[bytes, float]:
        return self._largest.tobytes(), self._faded

    def __setstate__(self, state: tuple[bytes, float]) -> None:
        self._largest, self._faded = array("f", state[0]), state[1]
        self._measure()

    def excess(self, rise: float) -> float:
        """Tell how far a rise, over 0, goes beyond the largest ones; 0 if it does not.

        In units of the mean excess of the largest over the least of them.
        """
        rise = math.log(rise) + self._faded
        least = self._largest[0]
        if rise <= least:
            return 0.0
        if least > _NEVER:
            return (rise - least) / (self._tail + _STEEPEST)
        highest = self._largest[-1]
        if highest == _NEVER:
            return _UNHEARD
        # There were few rises: against their mean, those that never came counted as none.
        mean = sum([math.exp(each - highest) for each in self._largest]) / KEPT
        return min(max(0.0, 1.0 + (rise - highest - math.log(mean)) / math.log(10.0)), _UNHEARD)

    def learn(self, rise: float) -> None:
        """Keep a rise, over 0, if it is one of the largest."""
        largest = self._largest
        rise = math.log(rise) + self._faded
        if rise > largest[0]:
            at = bisect_left(largest, rise)
            largest[: at - 1] = largest[1:at]
            largest[at - 1] = rise
            self._measure()

    def fade(self) -> None:
        """Let a point pass."""
        self._faded += 1.0 / FADING_POINTS
        if self._faded >= 1.0:
            for at, each in enumerate(self._largest):
                self._largest[at] = each - self._faded
            self._faded = 0.0

    def _measure(self) -> None:
        least = self._largest[0]
        self._tail = sum(self._largest) / KEPT - least if least > _NEVER else 0.0
