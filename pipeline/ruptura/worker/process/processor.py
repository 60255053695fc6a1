"""The heart of the worker: records in, engine steps, documents and checkpoints out.

Agents only hand batches over. One loop steps the engine and publishes what comes out of it; a
second one takes checkpoints (`checkpointer`), between two steps of the first.

A record is done with in this order: it has stepped the engine; the documents that it led to are
on the broker; the state that reflects it is on the broker; its offset is committed. A crash
before the end repeats what follows, from the positions of the state, and repeats it alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import faust
import structlog
from faust.types import TP

from ruptura.assembly.build import read_topics
from ruptura.core.contracts.effects import Effects
from ruptura.core.engine import Engine
from ruptura.outputs.prometheus.metrics import Metrics
from ruptura.settings import Settings
from ruptura.worker import logs
from ruptura.worker.checkpoints.changelog import StateTable
from ruptura.worker.checkpoints.checkpoint import Checkpoints
from ruptura.worker.health import Health
from ruptura.worker.pace import Pace
from ruptura.worker.process.checkpointer import Checkpointer
from ruptura.worker.process.membership import Membership
from ruptura.worker.process.receiver import Receiver
from ruptura.worker.process.sinks import worker_sinks
from ruptura.worker.process.sources import Sources
from ruptura.worker.process.stepper import Stepper
from ruptura.worker.routes.choice import worker_route
from ruptura.worker.routes.input_queue import InputQueue

_IDLE_SECONDS: Final = 0.1  # without work, before the loop checks again
_MOST_PENDING: Final = 2_000  # documents under way; then the engine waits for the brokers
_MOST_AT_ONCE: Final = 2_000  # records in a step

_log = structlog.get_logger("ruptura.worker")


class Processor:
    """Feeds the engine of one worker.

    Args:
        app: The Faust app.
        settings: Of the worker.
        pace: Of the worker.
        table: Keeps the state.
        metrics: Gets the effects, and what else is counted.
        health: Gets the heartbeats.
        engine: Fresh.
        now: Passing time, in seconds, by which a sleep is noticed.
        ask: Asks the group whether it counts us in; None: as the sources know.

    Attributes:
        stepper: Steps the engine.
        has_finished: Whether everything is saved.
    """

    def __init__(
        self,
        app: faust.App,
        settings: Settings,
        pace: Pace,
        table: StateTable,
        metrics: Metrics,
        health: Health,
        engine: Engine,
        now: Callable[[], float] = time.monotonic,
        ask: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._app = app
        self._pace = pace
        self._table = table
        self._metrics = metrics
        self._health = health
        self._engine = engine
        checkpoints = Checkpoints(self._engine)
        self._route = worker_route(settings, self._engine.position, lambda: app.should_stop)
        self._sources = Sources(
            app,
            read_topics(settings),
            self._engine,
            checkpoints,
            table,
            drop=self._drop,
            jumped=lambda tp: metrics.jumped(tp.topic),
            refused=metrics.state_refused,
            forwarded=self._route.forwarded,
        )
        self._queue = InputQueue()
        self._sinks = worker_sinks(app, settings.topics, metrics)
        self._membership = Membership(
            settings.kafka.session_timeout_seconds, ask or self._sources.is_member, now
        )
        self.stepper = Stepper(
            engine, self._membership, self._publish, lambda: bool(app.should_stop)
        )
        self._receiver = Receiver(self._sources, self._route, self._queue)
        self._checkpointer = Checkpointer(
            pace.checkpoint_seconds,
            checkpoints,
            self.stepper.lock,
            self._positions,
            self._sinks,
            table,
            self._sources,
            self._membership,
            health,
        )
        self._forwarding: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._forwarding.set_result(None)
        self._has_work = asyncio.Event()
        self._next_tick = 0.0
        self._next_note = 0.0
        self._failed = False
        self._records = 0
        self.has_finished = False

    @property
    def is_ready(self) -> bool:
        """Whether the state of all our partitions is restored, and Kafka answers."""
        return self._sources.are_ready and self._health.is_answered

    # In: from the agents to the queue.

    async def feed(self, stream: AsyncIterator[Any]) -> None:
        """Take over the batches of a stream."""
        await self._guard(self._receive_all(stream))

    async def _receive_all(self, stream: AsyncIterator[Any]) -> None:
        async for event in stream:
            if await self._receiver.receive(event.value):
                self._health.heartbeat("poll")  # also while the queue never runs empty
                self._has_work.set()

    async def revoke(self, revoked: set[TP]) -> None:
        """Drop what belongs to partitions that another worker may own now.

        What is not saved yet is not saved now: this worker may have been declared dead, and
        another one may be ahead of it. The next owner goes on from the last checkpoint.
        """
        if revoked:
            self._membership.lose()
        for tp in revoked:
            self._metrics.forget_source(tp.topic, tp.partition)
        self._checkpointer.revoke(revoked)
        self._sources.revoke(revoked)
        self._route.revoke(revoked)
        self._health.heartbeat("assignment")

    def _drop(self, partition: int) -> None:
        self._checkpointer.forget(partition)
        self._metrics.forget(self._engine.forget(partition))
        self._queue.drop(partition)

    # Through: the loop.

    async def run(self) -> None:
        """Step until the app stops."""
        saving = asyncio.ensure_future(
            self._guard(self._checkpointer.run(lambda: self._app.should_stop))
        )
        self._forwarding = asyncio.ensure_future(self._guard(self._route.run()))
        await self._guard(self._process_until_stopped())
        await saving

    async def _process_until_stopped(self) -> None:
        while not self._app.should_stop:
            self._health.heartbeat("step")
            if not self._sources.are_settled:
                self._health.heartbeat("poll", "checkpoint", "commit")
                self._membership.see()
            elif await self._membership.is_confirmed():
                self._health.heartbeat("assignment")
                await self._process_queued()
                if self._is_time_due():
                    await self._pass_time()
                self._note_progress()
            await self._pause()

    async def _pause(self) -> None:
        """Let others run; wait for work where there is none."""
        if self._queue:
            await asyncio.sleep(0.0)
            return
        self._has_work.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._has_work.wait()

    async def finish(self) -> None:
        """Step what waits and take a last checkpoint, while the producer still runs."""
        if self._failed:
            return
        try:
            self._membership.end()
            while self._queue:
                await self._process_queued()
            await asyncio.wait([self._forwarding])
            await self._checkpointer.save()
        except Exception as error:  # noqa: BLE001 - the end must come, and say why it is not clean
            await self.fail(error)
        else:
            self.has_finished = True
            _log.info("everything is saved", records=self._records)

    async def _guard(self, work: Awaitable[object]) -> None:
        """Await work; whatever it fails with ends the worker.

        The state may be half a step, and nothing may be committed that is not saved or forwarded.
        """
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever it is, Faust would only restart us
            await self.fail(error)

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
        logs.mute_libraries()
        await self._app.crash(error)

    async def _process_queued(self) -> None:
        """Step the engine with the next records that wait, if any do."""
        if not self._queue:
            return
        async with self.stepper.lock:
            records = self._queue.take(_MOST_AT_ONCE)
            self._records += len(records)
            self._checkpointer.unsaved += len(records)
            seconds = await self.stepper.step_in_portions(records)
            self._metrics.observe_processing(seconds, len(records))

    def _is_time_due(self) -> bool:
        """Whether to look at how far time has passed."""
        if time.monotonic() < self._next_tick or self._would_outrun_queue():
            return False
        return self._sources.are_settled  # which may have changed during a step

    def _would_outrun_queue(self) -> bool:
        """Whether time would pass for the engine before it has what waits."""
        return self._route.outruns_queue and bool(self._queue)

    async def _pass_time(self) -> None:
        """Step the engine with how far time has passed in partitions that were read to their end.

        Also shows whether Kafka answers where nothing comes.
        """
        self._next_tick = time.monotonic() + self._pace.tick_seconds
        watermarks, is_answered = await self._sources.idle_watermarks()
        if is_answered:
            self._health.heartbeat("poll")
        if self._would_outrun_queue():  # records came meanwhile
            return
        ticks = self._route.pass_time(watermarks)
        if not ticks:
            return
        async with self.stepper.lock:
            held = self._sources.intakes  # some may have been lost while we waited for the lock
            ours = [tick for tick in ticks if TP(tick.topic, tick.partition) in held]
            await self.stepper.step_in_portions(ours)

    def _note_progress(self) -> None:
        """Note lag and what is held, once a tick, be the queue empty or not."""
        now = time.monotonic()
        if now < self._next_note:
            return
        self._next_note = now + self._pace.tick_seconds
        self._metrics.observe_lag(time.time())
        self._health.partitions = len(self._sources.intakes)
        self._health.state_bytes = sum(held.size for held in self._table.changelogs().values())

    # Out: documents and checkpoints.

    async def _publish(self, effects: Effects) -> None:
        effects = self._route.in_terms_of_topics(effects)
        self._sinks.apply(effects)
        if self._sinks.pending > _MOST_PENDING:
            await self._sinks.flush()

    def _positions(self) -> dict[TP, int]:
        return self._route.positions(self._sources.intakes)
