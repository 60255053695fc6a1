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
from typing import Any, cast

import faust
import msgspec
import structlog
from faust.types import TP

from ruptura.assembly import build_engine, input_topics
from ruptura.core.effects import Effects
from ruptura.core.record import Record, Tick
from ruptura.settings import Settings
from ruptura.shells import logs
from ruptura.shells.checkpoint import Checkpoints
from ruptura.shells.dead_letter import dead_letter
from ruptura.shells.health import Pulse
from ruptura.shells.intake import Intake
from ruptura.shells.metrics import Metrics
from ruptura.shells.transport import Consumer

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
_MARGIN_SECONDS = 0.5  # how far the broker's clock may differ from ours before a tick lies
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
        self._inputs = frozenset(input_topics(settings))
        self._intakes: dict[TP, Intake] = {}
        self._restored: set[int] = set()
        self._waiting: list[Record] = []
        self._published: list[Awaitable[object]] = []
        self._alerts = app.topic(settings.topics.alerts, **RAW)
        self._dead_letters = app.topic(settings.topics.dead_letter, **RAW)
        self._changelog = app.topic(table.changelog_topic_name, **RAW)
        self._misrouted = logs.Ration()
        self._adopting = asyncio.Lock()
        self._busy = asyncio.Lock()
        self._next_tick = 0.0
        self._failed = False
        self._records = 0
        self.has_finished = False

    @property
    def is_ready(self) -> bool:
        """Whether partitions are assigned and the state of all of them is restored."""
        if not self._is_settled():
            return False
        held = self._held()
        return bool(held) and held <= self._intakes.keys()

    @property
    def _consumer(self) -> Consumer:
        return cast(Consumer, self._app.consumer)

    def _is_settled(self) -> bool:
        app = self._app
        tables = cast(Any, app.tables)  # Faust's interface leaves `recovery` out
        return bool(
            not app.should_stop
            and not app.rebalancing
            and tables.recovery.completed.is_set()
            and tables.actives_ready
        )

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
        intake = self._intakes.get(tp) or await self._adopt(tp)
        if intake is None:
            return  # of a partition that was taken from us; nothing of it was committed
        verdict = intake.judge(message.offset)
        if verdict == "take":
            self._waiting.append(_record(message))
            while len(self._waiting) >= _MOST_WAITING:
                await asyncio.sleep(_PAUSE_SECONDS)
        elif verdict == "seek":
            await self._seek(tp, intake, f"offset {message.offset} came instead")

    async def _seek(self, tp: TP, intake: Intake, reason: str) -> None:
        _log.info(
            "reading again",
            topic=tp.topic,
            partition=tp.partition,
            offset=intake.following,
            reason=reason,
        )
        await self._consumer.seek(tp, intake.following)

    async def _adopt(self, tp: TP) -> Intake | None:
        """Start on the partitions that we were given, if this one is among them."""
        async with self._adopting:
            while not self._is_settled():
                if self._app.should_stop:
                    return None
                await asyncio.sleep(_PAUSE_SECONDS)
            held = self._held()
            if tp in held and tp not in self._intakes:
                # All in one go: every question to Faust's consumer thread waits for a fetch.
                await self._adopt_all([tp for tp in held if tp not in self._intakes])
            return self._intakes.get(tp)

    def _held(self) -> set[TP]:
        return {tp for tp in self._consumer.assignment() if tp.topic in self._inputs}

    async def _adopt_all(self, fresh: list[TP]) -> None:
        """Restore the state of partitions, and know where their records go on."""
        consumer = self._consumer
        generation = self._app.consumer_generation_id
        earliest = await consumer.earliest_offsets(*fresh)
        ends = await consumer.highwaters(*fresh)
        if not self._is_settled() or generation != self._app.consumer_generation_id:
            return
        for partition in sorted({tp.partition for tp in fresh} - self._restored):
            self._restore(partition, [(tp, ends.get(tp) or 0) for tp in fresh])
        for tp in fresh:
            committed = consumer.committed(tp)
            position = self._engine.position(tp.topic, tp.partition)
            if committed is not None and committed > (ends.get(tp) or 0):
                committed = None  # the topic was made anew
            start = max(committed or 0 if position is None else position, earliest.get(tp) or 0)
            self._intakes[tp] = Intake(start)
            if committed is None or start < committed:
                await consumer.seek(tp, start)
        self._pulse.partitions = len(self._intakes)

    def _restore(self, partition: int, ends: list[tuple[TP, int]]) -> None:
        services, refused = self._checkpoints.restore(partition, dict(self._table.data))
        _log.info("partition adopted", partition=partition, services=services, refused=refused)
        for tp, end in ends:
            position = self._engine.position(tp.topic, partition)
            if tp.partition == partition and position is not None and position > end:
                # Records of a topic that was made anew would be taken for old ones, and skipped.
                _log.warning(
                    "state dropped: it reflects more records than the topic holds",
                    topic=tp.topic,
                    partition=partition,
                    position=position,
                    end=end,
                )
                self._drop(partition)
                break
        self._restored.add(partition)

    async def revoke(self, revoked: set[TP]) -> None:
        """Drop what belongs to partitions that another worker may own now.

        What is not saved yet is not saved now: this worker may have been declared dead, and
        another one may be ahead of it. The next owner goes on from the last checkpoint.
        """
        for tp in [tp for tp in revoked if tp in self._intakes]:
            del self._intakes[tp]
            self._metrics.forget_source(tp.topic, tp.partition)
        for partition in {tp.partition for tp in revoked}:
            self._drop(partition)
        self._pulse.partitions = len(self._intakes)
        self._pulse.feel("assignment")

    def _drop(self, partition: int) -> None:
        self._restored.discard(partition)
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
                if self._is_settled():
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
            ticks = await self._ticks()
            if ticks and not self._waiting:  # a tick promises that nothing waits
                effects = self._engine.step(ticks)
                self._metrics.apply(effects)
                await self._publish(effects)

    async def _ticks(self) -> list[Tick]:
        """Promise, of each partition that was read to its end, that nothing more has come."""
        now = time.monotonic()
        if now < self._next_tick or not self._is_settled():
            return []
        self._next_tick = now + self._settings.tick_seconds
        self._metrics.observe_lag(time.time())
        consumer = self._consumer
        held = self._held()
        newest = float("inf") if not held else 0.0
        ticks: list[Tick] = []
        for tp in held:
            intake = self._intakes.get(tp) or await self._adopt(tp)
            heard = consumer.end(tp)
            if intake is None or heard is None:
                continue
            answered_at, end = heard
            newest = max(newest, answered_at)
            if intake.is_at(end):
                ticks.append(Tick(tp.topic, tp.partition, answered_at - _MARGIN_SECONDS))
            elif intake.look(end, await consumer.position(tp) or 0, now) == "seek":
                await self._seek(tp, intake, f"nothing came, and the end is {end}")
        if time.time() - newest < self._settings.tick_seconds + 5.0:
            self._pulse.feel("fetch")
        return [tick for tick in ticks if TP(tick.topic, tick.partition) in self._intakes]

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
            document = _encoder.encode(dead_letter(rejection))
            sent = await self._send(self._dead_letters, rejection.record.key, document)
            sent.add_done_callback(self._count_dead_letter)
        for service, count in effects.misrouted.items():
            spoken = self._misrouted.add(service, count, time.monotonic())
            if spoken is not None:
                _log.warning(
                    "records are not keyed by their service, so that its events may be scattered",
                    service=spoken[0],
                    records=spoken[1],
                )

    def _count_dead_letter(self, sent: asyncio.Future[object]) -> None:
        if not sent.cancelled() and sent.exception() is None:
            self._metrics.dead_lettered(1)

    async def _send(self, topic: Any, key: bytes | None, value: bytes) -> asyncio.Future[object]:
        future: asyncio.Future[object] = await topic.send(key=key, value=value, force=True)
        self._published.append(future)
        return future

    async def _timed_checkpoint(self) -> float:
        """Take a checkpoint; return when the next one is due, as monotonic time."""
        started = time.monotonic()
        await self._checkpoint()
        ended = time.monotonic()
        pause = (ended - started) * (1.0 / _CHECKPOINT_SHARE - 1.0)
        return max(started + self._settings.checkpoint_seconds, ended + pause)

    async def _checkpoint(self) -> None:
        """Make documents and state safe, then commit the positions that they reflect."""
        if self._published or self._checkpoints.is_due() or self._moved():
            positions = self._positions()
            taken = self._checkpoints.take()
            published, self._published = self._published, []
            await asyncio.gather(*published)
            size = await taken.write(self._write)
            await self._consumer.commit_positions(positions)
            _log.debug("checkpoint", services=taken.services, bytes=size)
        self._pulse.feel("checkpoint")

    def _positions(self) -> dict[TP, int]:
        return {
            tp: position
            for tp in self._intakes
            if (position := self._engine.position(tp.topic, tp.partition)) is not None
        }

    def _moved(self) -> bool:
        consumer = self._consumer
        return any(at > (consumer.committed(tp) or 0) for tp, at in self._positions().items())

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
