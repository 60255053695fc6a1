"""The worker: a Faust app whose agents feed the engine."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import msgspec
import structlog
from faust.types import TP

from ruptura.assembly.build import build_config, build_engine, read_topics
from ruptura.assembly.history import warm_engine
from ruptura.settings import Settings
from ruptura.worker import logs, preflight
from ruptura.worker.checkpoints.changelog import StateTable
from ruptura.worker.faust_app import make_app
from ruptura.worker.faust_metrics import FaustCollector
from ruptura.worker.health import LIMITS, UNANSWERED_SECONDS
from ruptura.worker.pace import NORMAL, Pace
from ruptura.worker.pages import PAGES, Pages
from ruptura.worker.process.processor import Processor
from ruptura.worker.process.sinks import RAW
from ruptura.worker.reload import Reloader

_log = structlog.get_logger("ruptura.worker")

_WATCH_SECONDS = 1.0  # between two looks at whether Kafka answers


class Worker:
    """The app, put together; nothing runs yet.

    Args:
        settings: Of the worker.
        partitions: How many partitions the input topics have.
        web_port: Port of the web server.
        pages: What it shows of itself.
        state_in: What a replay had learned, if channels that begin shall know it.
        reloader: Where new settings come from; None: from nowhere.
        pace: How often it does what it does.

    Raises:
        HistoryError: `state_in` cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        partitions: int,
        web_port: int,
        pages: Pages,
        state_in: Path | None = None,
        reloader: Reloader | None = None,
        pace: Pace = NORMAL,
    ) -> None:
        self._pace = pace
        self._partitions = partitions
        self._settings = settings = self._as_found(settings)
        self._pages = pages
        self._reloader = reloader
        self._engine = (
            build_engine(settings) if state_in is None else warm_engine(settings, state_in)
        )
        self.app = make_app(settings, partitions, web_port, pace)
        pages.registry.register(FaustCollector(self.app.monitor))
        self._table = cast(
            StateTable,
            self.app.Table(
                "state",
                partitions=partitions,
                key_type=bytes,
                value_type=bytes,
                standby_buffer_size=1,  # else what we stand by for lags by a thousand entries
            ),
        )
        self._made: Processor | None = None
        for name in read_topics(settings):
            topic = self.app.topic(name, acks=False, **RAW)  # we commit positions ourselves
            self.app.agent(topic, name=f"feed-{name}")(self._feed)
        self.app.task(self._run)
        self.app.task(self._watch)
        self.app.task(self._reload)
        signals: Any = self.app  # whose types no handler of named arguments satisfies
        signals.on_partitions_revoked.connect(self._on_revoked, weak=False)
        signals.on_before_shutdown.connect(self._on_shutdown, weak=False)
        for path in PAGES:
            self._add_page(path)

    @property
    def has_finished(self) -> bool:
        """Whether everything is saved, and nothing of worth can still happen."""
        return self._made is None or self._made.has_finished

    @property
    def _processor(self) -> Processor:
        # Made on first use, inside the running loop.
        if self._made is None:
            pages = self._pages
            self._made = Processor(
                self.app,
                self._settings,
                self._pace,
                self._table,
                pages.metrics,
                pages.health,
                self._engine,
            )
        return self._made

    async def _feed(self, stream: Any) -> None:
        await self._processor.feed(stream.events())

    async def _run(self) -> None:
        await self._processor.run()

    def _as_found(self, settings: Settings) -> Settings:
        """Return settings with as many partitions as the topics really have.

        With repartition the number shapes the state: what a file says of it must change nothing.
        """
        topics = msgspec.structs.replace(settings.topics, partitions=self._partitions)
        return msgspec.structs.replace(settings, topics=topics)

    async def _reload(self) -> None:
        if self._reloader is not None:
            await self._reloader.run(self._apply, lambda: bool(self.app.should_stop))

    async def _apply(self, settings: Settings) -> None:
        """Put settings into force, of which no key that differs needs a restart."""
        former, configured = self._settings.worker, settings.topics.partitions
        settings = self._as_found(settings)
        await self._processor.stepper.reconfigure(build_config(settings))
        self._settings = settings
        if settings.worker.log_level != former.log_level:
            logs.configure(settings.worker.log_level, settings.worker.log_format)
        preflight.compare_partitions(self._partitions, configured)

    async def _watch(self) -> None:
        """While Kafka does not answer, find out whether it is there at all, and say so."""
        health, due = self._pages.health, 0.0
        while not self.app.should_stop:
            await asyncio.sleep(_WATCH_SECONDS)
            if health.age("poll") < UNANSWERED_SECONDS and not health.is_away:
                continue
            cause = await preflight.probe(self._settings)
            if cause is not None and not health.is_away:
                logs.mute_libraries()
            elif cause is None and health.is_away:
                health.heartbeat(*LIMITS)  # all that waited for brokers begins anew
                logs.unmute_libraries()
                _log.info("Kafka answers again")
                due = 0.0
            health.is_away = cause is not None
            if cause is not None and time.monotonic() >= due:
                due = time.monotonic() + preflight.LOG_SECONDS
                _log.warning("cannot reach Kafka; trying again", cause=cause)

    async def _on_revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:
        await self._processor.revoke(revoked)

    async def _on_shutdown(self, _app: Any, **_: Any) -> None:
        if self._made is not None:
            await self._made.finish()

    def _add_page(self, path: str) -> None:
        async def view(view: Any, _request: Any) -> Any:
            is_ready = self._made is not None and self._made.is_ready
            status, content, kind = self._pages.page(path, is_ready)
            return view.bytes(content, status=status, headers={"Content-Type": kind})

        self.app.page(path, name=path.strip("/"))(view)
