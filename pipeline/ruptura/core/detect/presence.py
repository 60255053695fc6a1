"""A measurement that does not come: how usual is that?

The share of buckets that usually hold a measurement, q, makes n empty ones in a row as likely as
(1 - q) ** n; q is never taken to be closer to 1 than the buckets seen allow.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from ruptura.core.contracts.tuning import Amount, are_finite
from ruptura.core.detect import tails

VERSION: Final = 1


class PresenceState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `Presence` remembers.

    Attributes:
        present: Buckets with a measurement.
        buckets: Those and the ones of ordinary gaps.
        missing: Buckets without one since the last.
    """

    present: Amount
    buckets: Amount
    missing: Amount


class Presence:
    """How often a series is measured.

    >>> presence = Presence()
    >>> for _ in range(9):
    ...     presence.learn()
    >>> round(presence.score(), 9)  # 9 of 10 buckets hold a measurement, as far as is known
    0.1
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = PresenceState

    __slots__ = ("_buckets", "_missing", "_present")

    def __init__(self) -> None:
        self._present = self._buckets = self._missing = 0.0

    @property
    def has_history(self) -> bool:
        """Whether more than one bucket was seen."""
        return self._buckets > 1.0

    def score(self) -> float:
        """Return the probability that one more bucket without a measurement is chance."""
        share = self._present / (self._buckets + 1.0)
        return float(max((1.0 - share) ** (self._missing + 1.0), tails.SMALLEST))

    def learn(self) -> None:
        """Learn a bucket that holds a measurement."""
        self._present += 1.0
        self._buckets += 1.0
        self._missing = 0.0

    def miss(self, *, is_ordinary: bool) -> None:
        """Let a bucket without one pass; only ordinary gaps teach how usual gaps are."""
        self._missing += 1.0
        if is_ordinary:
            self._buckets += 1.0

    def skip(self) -> None:
        """Learn a bucket of the warm-up without a measurement: it begins no gap."""
        self._buckets += 1.0

    def forget(self) -> None:
        """Forget the present gap."""
        self._missing = 0.0

    def dump(self) -> PresenceState:
        """Return the state."""
        return PresenceState(self._present, self._buckets, self._missing)

    def load(self, state: PresenceState) -> None:
        """Take a state back; ValueError if it could not be one."""
        found = (state.present, state.buckets, state.missing)
        if not are_finite(found):
            raise ValueError("presence: not finite")
        if min(found) < 0.0 or state.present > state.buckets:
            raise ValueError("more measurements than buckets")
        self._present, self._buckets, self._missing = found
