"""Ratios: one rate with its denominators, forgotten over days."""

from __future__ import annotations

import struct
from typing import Final

from river import stats

from ruptura.core.contracts.tuning import are_finite
from ruptura.core.detect.protocol import Expectation
from ruptura.core.ingest.calendar import Phase

MEMORY_SECONDS: Final = 2 * 86_400.0

_STATE = struct.Struct("<3d")


class SteadyRatio:
    """Expected rate of a ratio, a beta posterior on Jeffreys' prior.

    Numerators and denominators are kept apart (River's exponentially weighted means), so a
    bucket counts by its size and a rate seen on few trials is expected with much doubt.

    Args:
        bucket_seconds: Length of a bucket.
    """

    __slots__ = ("_buckets", "_hits", "_memory", "_trials")

    def __init__(self, bucket_seconds: float) -> None:
        self._memory = max(MEMORY_SECONDS / bucket_seconds, 2.0)
        self._hits = stats.EWMean(1.0 / self._memory)
        self._trials = stats.EWMean(1.0 / self._memory)
        self._buckets = 0.0

    def expect_one(self, phase: Phase) -> Expectation:
        """Tell the rate; the phase of the week does not matter to it."""
        del phase
        buckets = min(self._buckets, self._memory)
        trials = self._trials.get() * buckets + 1.0
        rate = min((self._hits.get() * buckets + 0.5) / trials, 1.0)
        doubt = ((1.0 - rate) / max(rate * trials, 0.5)) ** 0.5
        return Expectation(rate, rate, rate, 0.0, doubt, 0.0)

    def learn_one(self, value: float, size: float, phase: Phase, weight: float) -> None:
        """Learn a numerator `value` over a denominator `size`."""
        del phase
        if self._buckets == 0.0:
            self._hits.update(value)
            self._trials.update(size)
        else:
            # While young, every bucket counts alike: a plain mean, then a fading one.
            step = weight * max(1.0, self._memory / (self._buckets + 1.0))
            for mean, x in ((self._hits, value), (self._trials, size)):
                now = mean.get()
                mean.update(now + min(step, self._memory) * (x - now))
        self._buckets += weight

    def dump(self) -> bytes:
        """Return the state."""
        return _STATE.pack(self._buckets, self._hits.get(), self._trials.get())

    def load(self, state: bytes) -> None:
        """Take the state back; ValueError if it could not be this model's."""
        if len(state) != _STATE.size:
            raise ValueError("not the state of a SteadyRatio")
        found = _STATE.unpack(state)
        buckets, hits, trials = found
        if not are_finite(found) or min(found) < 0.0 or hits > trials * (1.0 + 1e-9):
            raise ValueError("a SteadyRatio with numbers that are none")
        self._buckets = buckets
        if self._buckets > 0.0:
            self._hits.update(hits)
            self._trials.update(trials)
