"""How a baseline tells how far it is: a line with its count on stdout, about twice a second."""

from __future__ import annotations

import sys
import time

_EVERY_SECONDS = 0.5


class Progress:
    """Counts records.

    Attributes:
        count: Records so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._due = 0.0

    def add(self, records: int = 1) -> None:
        """Count records; tell from time to time."""
        self.count += records
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _EVERY_SECONDS
            self.tell()

    def tell(self) -> None:
        """Say the count now."""
        # The real stdout: Faust puts a logger in the place of the other.
        stream = sys.__stdout__
        assert stream is not None
        stream.write(f"{self.count}\n")
        stream.flush()
