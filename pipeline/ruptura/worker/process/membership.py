"""Whether a worker is still a member of its group, which a long pause makes doubtful."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

_SETTLE_SECONDS: Final = 0.2  # between two questions to a group that may be settling

_log = structlog.get_logger("ruptura.worker")


class Membership:
    """Whether a worker that was paused still owns its partitions.

    A worker that was stopped, or starved, for longer than a session finds itself replaced only
    when it next hears from the brokers.

    Args:
        session_seconds: Of silence after which the group gives a member up, above 0.
        ask: Asks the group; whether it has settled with us in it.
        now: Passing time, in seconds; it goes on while a process is stopped.

    Attributes:
        losses: Rebalances that took partitions from us.
    """

    def __init__(
        self,
        session_seconds: float,
        ask: Callable[[], Awaitable[bool]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session_seconds = session_seconds
        self._ask = ask
        self._now = now
        self._last_seen = now()
        self._is_ending = False
        self.losses = 0

    @property
    def is_doubtful(self) -> bool:
        """Whether we have not been seen in the group for half a session."""
        if self._is_ending:
            return False  # the loop that looks after it has ended
        return self._now() - self._last_seen > self._session_seconds / 2.0

    def see(self) -> None:
        """Take note that the group knows of us now."""
        self._last_seen = self._now()

    def lose(self) -> None:
        """Take note of a rebalance that took partitions from us."""
        self.losses += 1

    def end(self) -> None:
        """Stop doubting: nothing new is read, and nobody will ask again."""
        self._is_ending = True

    async def is_confirmed(self) -> bool:
        """Whether the group still counts us in; asks it where that is doubtful.

        After a no, ask again, until the group has settled anew.
        """
        asked = self._now()
        if self.is_doubtful:
            slept = round(asked - self._last_seen, 1)
            _log.warning(
                "paused for long; asking whether we are still a member of the group", seconds=slept
            )
            if not await self._ask():
                await asyncio.sleep(_SETTLE_SECONDS)
                return False
        self._last_seen = asked  # not later: much may have happened since
        return True
