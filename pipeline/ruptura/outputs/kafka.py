"""The Kafka sink: alerts and dead letters to their topics, safe when the brokers have them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import msgspec
from aiokafka.errors import MessageSizeTooLargeError

from ruptura.core.contracts.document import Alert
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import Rejection
from ruptura.outputs.dead_letter import MODEST_BYTES, dead_letter
from ruptura.outputs.texts.alerts import alert_document

_encoder = msgspec.json.Encoder()


class Topic(Protocol):
    """A topic that takes bytes."""

    async def send(self, key: bytes | None, value: bytes) -> Awaitable[object]:
        """Hand a message to the producer; what is returned is done when the brokers have it.

        Raises:
            KafkaError: it is not taken; the awaitable raises these too.
        """


class KafkaSink:
    """Sends documents as they are applied, and remembers which are not acknowledged.

    For workers: it applies inside a running event loop only.

    Args:
        alerts, dead_letters: Their topics.
        dead_lettered: Is called with the number of dead letters that the brokers have got.
    """

    def __init__(
        self, alerts: Topic, dead_letters: Topic, dead_lettered: Callable[[int], None]
    ) -> None:
        self._alerts = alerts
        self._dead_letters = dead_letters
        self._dead_lettered = dead_lettered
        self._in_order = asyncio.Lock()
        self._failure: Exception | None = None  # of the first alert that was not taken
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> int:
        """Documents that the brokers have not acknowledged."""
        return len(self._under_way)

    def apply(self, effects: Effects) -> None:
        """Begin to send the documents of a step."""
        for alert in effects.alerts:
            self._begin(self._send_alert(alert_document(alert)))
        for rejection in effects.rejections:
            self._begin(self._send_dead_letter(rejection))

    async def flush(self) -> None:
        """Wait until the brokers have all that was applied so far.

        Whoever gives up waiting leaves what is under way alone.

        Raises:
            KafkaError: they do not take it.
        """
        if self._under_way:
            done, _ = await asyncio.wait(self._under_way)
            for task in done:
                task.result()

    def _begin(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(sending)
        self._under_way.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        # What has failed stays under way: it is not safe, and `flush` raises why.
        if not task.cancelled() and task.exception() is None:
            self._under_way.discard(task)

    async def _send_alert(self, alert: Alert) -> None:
        """Publish an alert, keyed by its service, behind those that came before it.

        Where one was not taken, none of those behind it is sent: consumers would see a gap, and
        after the restart the one that is missing behind its successors.
        """
        async with self._in_order:  # a lock lets those who wait in by their turn
            if self._failure is not None:
                raise self._failure
            try:
                key, value = alert.service.encode(), _encoder.encode(alert)
                acknowledged = await self._alerts.send(key, value)
            except Exception as error:
                self._failure = error
                raise
        await acknowledged

    async def _send_dead_letter(self, rejection: Rejection) -> None:
        """Publish a dead letter, cut if the topic does not take it whole, and wait for it."""
        key = rejection.record.key
        try:
            await (await self._dead_letters.send(key, _encoder.encode(dead_letter(rejection))))
        except MessageSizeTooLargeError:
            # Otherwise one record would end the worker, and the next one, and the next.
            document = _encoder.encode(dead_letter(rejection, MODEST_BYTES))
            await (await self._dead_letters.send(None, document))
        self._dead_lettered(1)
