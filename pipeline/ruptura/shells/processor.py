"""The heart of the worker: records in, engine steps, documents and checkpoints out.

Agents only hand records over. One loop steps the engine, publishes what comes out and takes
checkpoints, so the engine is never entered twice and its state is always that of one moment.

A record is done with in this order: it has stepped the engine; the documents that it led to are
on the broker; the state that reflects it is on the broker; its offset is committed. A crash
before the end repeats what follows, from the positions of the state, and repeats it alike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import faust
import msgspec
import structlog
from aiokafka.errors import MessageSizeTooLargeError
from faust.exceptions import ProducerSendError
from faust.types import TP

from ruptura.assembly import build_engine, input_topics
from ruptura.core.effects import Effects
from ruptura.core.event import Rejection
from ruptura.core.record import Record, Tick
from ruptura.settings import Settings
from ruptura.shells import logs
from ruptura.shells.checkpoint import Checkpoints
from ruptura.shells.dead_letter import MODEST_BYTES, dead_letter
from ruptura.shells.health import Pulse
from ruptura.shells.metrics import Metrics
from ruptura.shells.sources import Sources

RAW: dict[str, Any] = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
    "acks": False,  # positions are committed, not messages acknowledged
}
"""Of every topic: bytes as they are, so that no message can break Faust's decoders."""

_PAUSE_SECONDS = 0.02  # between steps: how long a record waits for company
_MOST_WAITING = 20_000  # records; then the agents wait, and Faust stops fetching
_MOST_AT_ONCE = 1_000  # records in a step, so that it blocks the event loop for some 10 ms
_LONGEST_PAUSE_SECONDS = 10.0  # between checkpoints, after one that took long
_CHECKPOINT_SHARE = 0.1  # of the time; with large states checkpoints come less often

_encoder = msgspec.json.Encoder()
_log = structlog.get_logger("ruptura.worker")


class Processor:
    """Feeds the engine of one worker.

    Args:
        app: The Faust app.
        settings: Of the worker.
        table: Keeps the state; its changelog is written directly, at checkpoints.
        metrics: Gets the effects.
        pulse: Is told that the worker lives.
    """

    def __init__(
        self, app: faust.App, settings: Settings, table: Any, metrics: Metrics, pulse: Pulse
    ) -> None:
        self._app = app
        self._settings = settings.worker
        self._table = table
        self._metrics = metrics
        self._pulse = pulse
        self._engine = build_engine(settings)
        self._checkpoints = Checkpoints(self._engine)
        self._sources = Sources(
            app, input_topics(settings), self._engine, self._checkpoints, table, self._drop
        )
        self._waiting: list[Record] = []
        self._published: list[Awaitable[object]] = []
        self._alerts = app.topic(settings.topics.alerts, **RAW)
        self._dead_letters = app.topic(settings.topics.dead_letter, **RAW)
        self._changelog = app.topic(table.changelog_topic_name, **RAW)
        self._misrouted = logs.Ration()
        self._busy = asyncio.Lock()
        self._next_tick = 0.0
        self._failed = False
        self._records = 0
        self.has_finished = False

    @property
    def is_ready(self) -> bool:
        """Whether partitions are assigned and the state of all of them is restored."""
        return self._sources.are_ready

    # In: from the agents to the waiting records.

    async def feed(self, stream: AsyncIterator[Any]) -> None:
        """Take over the events of a stream."""
        try:
            async for event in stream:
                await self._receive(event.message)
        except Exception as error:  # noqa: BLE001 - whatever it is, Faust would only restart us
            await self.fail(error)

    async def _receive(self, message: Any) -> None:
        tp = TP(message.topic, message.partition)
        sources = self._sources
        intake = sources.intakes.get(tp) or await sources.adopt(tp)
        if intake is None:
            return  # of a partition that was taken from us; nothing of it was committed
        verdict = intake.judge(message.offset)
        if verdict == "take":
            self._waiting.append(_record(message))
            while len(self._waiting) >= _MOST_WAITING:
                await asyncio.sleep(_PAUSE_SECONDS)
        elif verdict == "seek":
            await sources.read_again(tp, intake, f"offset {message.offset} came instead")

    async def revoke(self, revoked: set[TP]) -> None:
        """Drop what belongs to partitions that another worker may own now.

        What is not saved yet is not saved now: this worker may have been declared dead, and
        another one may be ahead of it. The next owner goes on from the last checkpoint.
        """
        for tp in revoked:
            self._metrics.forget_source(tp.topic, tp.partition)
        self._sources.revoke(revoked)
        self._pulse.feel("assignment")

    def _drop(self, partition: int) -> None:
        self._checkpoints.forget(partition)
        self._metrics.forget(self._engine.forget(partition))
        self._waiting = [record for record in self._waiting if record.partition != partition]

    # Through: the loop.

    async def run(self) -> None:
        """Step and take checkpoints until the app stops."""
        due = 0.0
        try:
            while not self._app.should_stop:
                self._pulse.feel("step")
                if self._sources.are_settled:
                    self._pulse.feel("assignment")
                    async with self._busy:
                        await self._step()
                        if time.monotonic() >= due:
                            due = await self._timed_checkpoint()
                else:
                    self._pulse.feel("fetch", "checkpoint")
                await asyncio.sleep(0.0 if self._waiting else _PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, the state may be half a step
            await self.fail(error)

    async def finish(self) -> None:
        """Step what waits and take a last checkpoint, while the producer still runs."""
        if self._failed:
            return
        try:
            async with self._busy:
                while self._waiting:
                    await self._step()
                await self._checkpoint()
        except Exception as error:  # noqa: BLE001 - the end must come, and say why it is not clean
            await self.fail(error)
        else:
            self.has_finished = True
            _log.info("everything is saved", records=self._records)

    async def fail(self, error: BaseException) -> None:
        """Say what happened, and end the process without another checkpoint."""
        if self._failed:
            return
        self._failed = True
        _log.error(
            "the worker stops: nothing after the last checkpoint is committed",
            error=f"{type(error).__name__}: {error}",
            exc_info=error,
        )
        logs.hush()
        await self._app.crash(error)

    async def _step(self) -> None:
        """Step the engine with what waits, and with ticks for what was read to its end."""
        records = self._waiting[:_MOST_AT_ONCE]
        del self._waiting[:_MOST_AT_ONCE]
        if records:
            started = time.perf_counter()
            effects = self._engine.step(records)
            self._records += len(records)
            self._metrics.observe_processing(time.perf_counter() - started, len(records))
            self._metrics.apply(effects)
            await self._publish(effects)
        if not self._waiting:
            await self._let_time_pass()

    async def _let_time_pass(self) -> None:
        """Promise, of each partition that was read to its end, that nothing more has come."""
        now = time.monotonic()
        if now < self._next_tick or not self._sources.are_settled:
            return
        self._next_tick = now + self._settings.tick_seconds
        self._metrics.observe_lag(time.time())
        promises, is_alive = await self._sources.promises()
        self._pulse.partitions = len(self._sources.intakes)
        if is_alive:
            self._pulse.feel("fetch")
        if not self._waiting:
            effects = self._engine.step(
                [
                    Tick(tp.topic, tp.partition, promise)
                    for tp, promise in promises.items()
                    if tp in self._sources.intakes
                ]
            )
            self._metrics.apply(effects)
            await self._publish(effects)

    # Out: documents and checkpoints.

    async def _publish(self, effects: Effects) -> None:
        for alert in effects.alerts:
            await self._send(self._alerts, alert.service.encode(), _encoder.encode(alert))
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
        for rejection in effects.rejections:
            self._published.append(asyncio.ensure_future(self._bury(rejection)))
        for service, count in effects.misrouted.items():
            spoken = self._misrouted.add(service, count, time.monotonic())
            if spoken is not None:
                _log.warning(
                    "records are not keyed by their service, so that its events may be scattered",
                    service=spoken[0],
                    records=spoken[1],
                )

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
        self._metrics.dead_lettered(1)

    async def _send(self, topic: Any, key: bytes | None, value: bytes) -> None:
        self._published.append(await topic.send(key=key, value=value, force=True))

    async def _timed_checkpoint(self) -> float:
        """Take a checkpoint; return when the next one is due, as monotonic time."""
        started = time.monotonic()
        await self._checkpoint()
        ended = time.monotonic()
        pause = min((ended - started) * (1.0 / _CHECKPOINT_SHARE - 1.0), _LONGEST_PAUSE_SECONDS)
        return max(started + self._settings.checkpoint_seconds, ended + pause)

    async def _checkpoint(self) -> None:
        """Make documents and state safe, then commit the positions that they reflect."""
        if self._published or self._checkpoints.is_due() or self._sources.have_moved():
            positions = self._sources.positions()
            taken = self._checkpoints.take()
            published, self._published = self._published, []
            await asyncio.gather(*published)
            size = await taken.write(self._write)
            await self._sources.consumer.commit_positions(positions)
            _log.debug("checkpoint", services=taken.services, bytes=size)
        self._pulse.feel("checkpoint")

    async def _write(self, partition: int, key: bytes, value: bytes | None) -> Awaitable[object]:
        if value is None:
            self._table.data.pop(key, None)
        else:
            self._table.data[key] = value
        sent: Awaitable[object] = await self._changelog.send(
            key=key, value=value, partition=partition, force=True
        )
        return sent


def _record(message: Any) -> Record:
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.timestamp,
        message.key,
        message.value,
        tuple((name, value or b"") for name, value in pairs),
    )
