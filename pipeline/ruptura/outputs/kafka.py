"""Documents on their way to the alerts and dead-letter topics, and whether brokers have them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog
from aiokafka.errors import MessageSizeTooLargeError
from faust.exceptions import ProducerSendError

from ruptura.core.contracts.document import Alert
from ruptura.core.contracts.event import Rejection
from ruptura.outputs.dead_letter import MODEST_BYTES, dead_letter

_MOST_UNDER_WAY: Final = 2_000  # dead letters; then the engine waits for the brokers
_encoder = msgspec.json.Encoder()
_log = structlog.get_logger("ruptura.worker")


class Outbox:
    """Sends documents and remembers which are not acknowledged.

    Args:
        alerts, dead_letters: Faust topics for bytes.
        buried: Is called for each dead letter that the brokers have.
    """

    def __init__(self, alerts: Any, dead_letters: Any, buried: Callable[[int], None]) -> None:
        self._alerts = alerts
        self._dead_letters = dead_letters
        self._buried = buried
        self._under_way: deque[Awaitable[object]] = deque()

    def __len__(self) -> int:
        return len(self._under_way)

    async def alert(self, alert: Alert) -> None:
        """Send an alert, keyed by its service."""
        key, value = alert.service.encode(), _encoder.encode(alert)
        self._under_way.append(await self._alerts.send(key=key, value=value, force=True))
        _log.info(
            "alert",
            status=alert.status,
            reason=alert.reason,
            kind=alert.kind,
            service=alert.service,
            channel=alert.channel,
            risk=round(alert.risk, 3),
            alert_id=alert.alert_id,
            sequence=alert.sequence,
        )

    async def bury(self, rejection: Rejection) -> None:
        """Send a dead letter; wait while too many are under way."""
        while len(self._under_way) >= _MOST_UNDER_WAY:
            oldest = self._under_way[0]
            await oldest  # while it waits here too, for `settle`
            if self._under_way and self._under_way[0] is oldest:
                self._under_way.popleft()
        self._under_way.append(asyncio.ensure_future(self._bury(rejection)))

    async def settle(self) -> None:
        """Wait until the brokers have all that was sent so far.

        Raises:
            KafkaError, ProducerSendError: they do not take it.
        """
        under_way, self._under_way = self._under_way, deque()
        await asyncio.gather(*under_way)

    async def _bury(self, rejection: Rejection) -> None:
        """Publish a dead letter, cut if the topic does not take it whole, and wait for it."""
        key = rejection.record.key
        try:
            document = _encoder.encode(dead_letter(rejection))
            await (await self._dead_letters.send(key=key, value=document, force=True))
        except (MessageSizeTooLargeError, ProducerSendError) as error:
            # Otherwise one record would end the worker, and the next one, and the next.
            if not isinstance(error.__cause__ or error, MessageSizeTooLargeError):
                raise
            document = _encoder.encode(dead_letter(rejection, MODEST_BYTES))
            await (await self._dead_letters.send(key=None, value=document, force=True))
        self._buried(1)
