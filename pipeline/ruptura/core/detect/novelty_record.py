"""The largest rises of the past, and how far a new one goes beyond them."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from typing import Final

KEPT: Final = 24
"""So many of the largest rises tell what there has been: in 1,000 points, the upper 2.4 %."""

FADING_POINTS: Final = 16_000.0
"""A rise fades to 1/e in so many points, eight weeks of five minutes: what was large once is no
measure for ever."""

_NEVER: Final = -math.inf

_UNHEARD: Final = 2.0
"""Excess of a rise where there never was any; nothing exceeds more while there are few."""


class Record:
    """The largest rises of one kind, fading.

    The excess of a new rise is its mean logarithm over those that are kept, where it is over them:
    it grows both with the rank among them and with the distance, and neither a single large one
    nor the least of them decides. No distribution and no unit is assumed.

    Args:
        kept: How many of the largest, 1 or more.
        fading_points: Points in which they fade to 1/e.
    """

    __slots__ = ("_faded", "_fading", "_largest")

    def __init__(self, kept: int = KEPT, fading_points: float = FADING_POINTS) -> None:
        # Logarithms, ascending, with what they have faded since they were last rewritten.
        self._largest = array("f", [_NEVER] * kept)
        self._fading = 1.0 / fading_points
        self._faded = 0.0

    def __getstate__(self) -> tuple[bytes, float, float]:
        return self._largest.tobytes(), self._fading, self._faded

    def __setstate__(self, state: tuple[bytes, float, float]) -> None:
        self._largest = array("f", state[0])
        self._fading, self._faded = state[1:]

    def excess(self, rise: float) -> float:
        """Return how far a rise, over 0, goes beyond the largest ones; 0 if it does not."""
        largest = self._largest
        rise = math.log(rise) + self._faded
        if rise <= largest[0]:
            return 0.0
        if largest[0] > _NEVER:
            beaten = largest[: bisect_left(largest, rise)]
            return (rise * len(beaten) - sum(beaten)) / len(largest)
        highest = largest[-1]
        if highest == _NEVER:
            return _UNHEARD
        # There were few rises: against their mean, those that never came counted as none.
        mean = sum([math.exp(each - highest) for each in largest]) / len(largest)
        return min(max(0.0, rise - highest - math.log(mean)), _UNHEARD)

    def learn(self, rise: float) -> None:
        """Keep a rise, over 0, if it is one of the largest."""
        largest = self._largest
        rise = math.log(rise) + self._faded
        if rise > largest[0]:
            at = bisect_left(largest, rise)
            largest[: at - 1] = largest[1:at]
            largest[at - 1] = rise

    def fade(self) -> None:
        """Let a point pass."""
        self._faded += self._fading
        if self._faded >= 1.0:
            for at, each in enumerate(self._largest):
                self._largest[at] = each - self._faded
            self._faded = 0.0
