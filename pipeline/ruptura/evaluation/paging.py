"""From conditions to pages: the same hysteresis for every baseline, as Prometheus has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

FOR_SECONDS: Final = 300.0
"""A condition must hold for so long before it fires, unless its rule says otherwise: the `for` of
an alerting rule."""

STANDS_SECONDS: Final = 300.0
"""How long a value stands while nothing newer came: Prometheus' lookback delta."""

COOL_DOWN_SECONDS: Final = 1800.0
"""An incident ends when nothing has fired for so long; what fires meanwhile calls nobody again."""


class Pager:
    """The conditions of one channel, grouped into incidents; each of them pages once.

    Args:
        bucket_seconds: Length of a bucket.
        patience: Seconds for which a condition must hold, by its name; `FOR_SECONDS` for others.
    """

    def __init__(self, bucket_seconds: float, patience: Mapping[str, float]) -> None:
        self._bucket = bucket_seconds
        self._patience = patience
        self._held: dict[str, tuple[float, float]] = {}  # holds since, seen last
        self._fired = -math.inf

    def observe(self, start: float, conditions: Mapping[str, bool]) -> str | None:
        """Take the conditions of a bucket; return the one that pages, if any does.

        Args:
            start: Start of the bucket, in seconds since the Unix epoch.
            conditions: Whether each holds; those left out are not known in this bucket, and stand
                as they were for `STANDS_SECONDS`.
        """
        held = self._held
        for name, holds in conditions.items():
            if not holds:
                held.pop(name, None)
            elif name in held:
                held[name] = (held[name][0], start)
            else:
                held[name] = (start, start)
        if not held:
            return None
        firing = None
        for name, (since, last) in list(held.items()):
            if start - last >= STANDS_SECONDS:
                del held[name]
            elif start + self._bucket - since >= self._patience.get(name, FOR_SECONDS):
                firing = firing or name
        if firing is None:
            return None
        was_open = start - self._fired < COOL_DOWN_SECONDS
        self._fired = start
        return None if was_open else firing

    def mute(self) -> None:
        """Forget what holds: the service is closed."""
        self._held.clear()
