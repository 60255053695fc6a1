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
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import faust
import structlog
from faust.types import TP

from ruptura.assembly.build import read_topics
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.core.engine import Config, Engine, runs
from ruptura.outputs.prometheus.metrics import Metrics
from ruptura.settings import Settings
from ruptura.worker import logs
from ruptura.worker.checkpoints.changelog import StateTable
from ruptura.worker.checkpoints.checkpoint import Checkpoints
from ruptura.worker.health import Health
from ruptura.worker.pace import Pace
from ruptura.worker.process.checkpointer import Checkpointer
from ruptura.worker.process.membership import Membership
from ruptura.worker.process.sinks import worker_sinks
from ruptura.worker.process.sources import Sources
from ruptura.worker.routes.choice import worker_route
from ruptura.worker.routes.input_queue import InputQueue
from ruptura.worker.transport.batch import Batch

_IDLE_SECONDS: Final = 0.1  # without news, before the loop looks around
_MOST_PENDING: Final = 2_000  # documents under way; then the engine waits for the brokers
_MOST_AT_ONCE: Final = 2_000  # records in a step
_PORTION_SECONDS: Final = 0.005  # of the engine's work, and 10 ms at most, before others may run

_log = structlog.get_logger("ruptura.worker")


class Processor:
    """Feeds the engine of one worker.

    Args:
        app: The Faust app.
        settings: Of the worker.
        pace: Of the worker.
        table: Keeps the state.
        metrics: Gets the effects, and what else is counted.
        health: Is told that the worker lives.
        engine: Fresh.
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
            settings.kafka.session_timeout_seconds, self._sources.is_member
        )
        self._stepping = asyncio.Lock()
        self._checkpointer = Checkpointer(
            pace.checkpoint_seconds,
            checkpoints,
            self._stepping,
            self._positions,
            self._sinks,
            table,
            self._sources,
            self._membership,
            health,
        )
        self._forwarding: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._forwarding.set_result(None)
        self._news = asyncio.Event()
        self._next_tick = 0.0
        self._failed = False
        self._records = 0
        self.has_finished = False

    @property
    def is_ready(self) -> bool:
        """Whether the state of all our partitions is restored, and Kafka answers."""
        return self._sources.are_ready and self._health.is_heard

    # In: from the agents to the queue.

    async def feed(self, stream: AsyncIterator[Any]) -> None:
        """Take over the batches of a stream."""
        try:
            async for event in stream:
                await self._receive(event.value)
        except Exception as error:  # noqa: BLE001 - whatever it is, Faust would only restart us
            await self.fail(error)

    async def _receive(self, batch: Batch) -> None:
        tp = batch.tp
        sources = self._sources
        intake = sources.intakes.get(tp) or await sources.adopt(tp)
        if intake is None:
            batch.release()  # of a partition that was taken from us; nothing of it was committed
            return
        decision = intake.decide(batch.start, batch.next_offset, time.monotonic())
        if decision == "take":
            records = batch.records
            if batch.start < intake.next_offset:
                records = [each for each in records if each.offset >= intake.next_offset]
            intake.next_offset = batch.next_offset
            received = self._route.receive(batch, records)
            if received is not None:
                self._queue.put(received)
            self._news.set()
            return
        batch.release()
        if decision == "seek":
            await sources.read_again(tp, intake, f"offset {batch.start} came instead")

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
        saving = asyncio.ensure_future(self._keep_saving())
        self._forwarding = asyncio.ensure_future(self._keep_forwarding())
        try:
            while not self._app.should_stop:
                self._health.heartbeat("step")
                if not self._sources.are_settled:
                    self._health.heartbeat("poll", "checkpoint", "commit")
                    self._membership.see()
                elif await self._membership.is_confirmed():
                    self._health.heartbeat("assignment")
                    await self._step()
                await self._pause()
        except Exception as error:  # noqa: BLE001 - whatever it is, the state may be half a step
            await self.fail(error)
        await saving

    async def _keep_forwarding(self) -> None:
        try:
            await self._route.run()
        except Exception as error:  # noqa: BLE001 - what is not forwarded must not be committed
            await self.fail(error)

    async def _pause(self) -> None:
        """Let others run; wait for news where there is nothing to do."""
        if self._queue:
            await asyncio.sleep(0.0)
            return
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._news.wait()

    async def reconfigure(self, config: Config) -> None:
        """Go on with other parts, in all partitions between the same two steps.

        After a crash, what came since the last checkpoint is stepped again, with whatever settings
        are in force then.

        It takes 2 µs for each channel, and 0.2 ms for each one with objectives, whose forecast is
        made anew; nothing else runs meanwhile.

        Raises:
            ValueError: as `Engine.reconfigure`; nothing has changed.
        """
        async with self._stepping:
            self._engine.reconfigure(config)

    async def finish(self) -> None:
        """Step what waits and take a last checkpoint, while the producer still runs."""
        if self._failed:
            return
        try:
            self._membership.end()
            while self._queue:
                await self._step()
            await asyncio.wait([self._forwarding])
            await self._checkpointer.save()
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
        logs.mute_libraries()
        await self._app.crash(error)

    async def _step(self) -> None:
        """Step the engine with what waits, and with ticks for what was read to its end."""
        if self._queue:
            async with self._stepping:
                records = self._queue.take(_MOST_AT_ONCE)
                self._records += len(records)
                self._checkpointer.unsaved += len(records)
                seconds = await self._step_through(records)
                self._metrics.observe_processing(seconds, len(records))
        if not self._may_outrun_queue():
            await self._let_time_pass()

    async def _step_through(self, inputs: Sequence[Input]) -> float:
        """Step the engine, letting others run between portions; return its seconds.

        It is given up where partitions are lost: a rebalance takes all of them from the engine, and
        what was stepped comes again.
        """
        seconds, losses = 0.0, self._membership.losses
        waiting = deque(runs(inputs))
        while waiting or self._engine.due() is not None:
            started = time.perf_counter()
            effects = self._portion(waiting, started + _PORTION_SECONDS)
            seconds += time.perf_counter() - started
            while (
                self._membership.is_doubtful
                and losses == self._membership.losses
                and not self._app.should_stop
            ):
                await self._membership.is_confirmed()
            if losses != self._membership.losses:
                break
            await self._publish(effects)
            await asyncio.sleep(0.0)
            if losses != self._membership.losses:
                break
        return seconds

    def _portion(self, waiting: deque[Tick | list[Record]], until: float) -> Effects:
        """Work until a moment of `time.perf_counter`; take from what waits only what is done."""
        engine, effects = self._engine, Effects()
        while True:
            due = engine.due()
            if due is not None:
                effects.add(engine.close(*due))
            elif waiting:
                run = waiting.popleft()
                if isinstance(run, Tick):
                    effects.add(engine.tick(run))
                else:
                    taken, found = engine.ingest(run)
                    effects.add(found)
                    if taken < len(run):
                        waiting.appendleft(run[taken:])
            else:
                return effects
            if time.perf_counter() >= until:
                return effects

    def _may_outrun_queue(self) -> bool:
        """Whether time would pass for the engine before it has what waits."""
        return self._route.outruns_queue and bool(self._queue)

    async def _let_time_pass(self) -> None:
        """Tell how far time has passed, of each partition that was read to its end."""
        now = time.monotonic()
        if now < self._next_tick or not self._sources.are_settled:
            return
        self._next_tick = now + self._pace.tick_seconds
        self._metrics.observe_lag(time.time())
        watermarks, heard = await self._sources.idle_watermarks()
        self._health.partitions = len(self._sources.intakes)
        self._health.state_bytes = sum(held.size for held in self._table.changelogs().values())
        if heard:
            self._health.heartbeat("poll")
        if self._may_outrun_queue():
            return
        ticks = self._route.pass_time(watermarks)
        if not ticks:
            return
        async with self._stepping:
            held = self._sources.intakes
            ours = [tick for tick in ticks if TP(tick.topic, tick.partition) in held]
            await self._step_through(ours)

    # Out: documents and checkpoints.

    async def _publish(self, effects: Effects) -> None:
        effects = self._route.in_terms_of_topics(effects)
        self._sinks.apply(effects)
        if self._sinks.pending > _MOST_PENDING:
            await self._sinks.flush()

    async def _keep_saving(self) -> None:
        try:
            await self._checkpointer.run(lambda: self._app.should_stop)
        except Exception as error:  # noqa: BLE001 - nothing may be committed that is not saved
            await self.fail(error)

    def _positions(self) -> dict[TP, int]:
        return self._route.positions(self._sources.intakes)
