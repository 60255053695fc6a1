"""The worker: a Faust app whose agents feed the engine, and its start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import faust
import msgspec
import structlog
from aiohttp import web
from faust.types import TP
from prometheus_client import CollectorRegistry, ProcessCollector

from ruptura import clients
from ruptura.assembly.build import build_config, build_engine, read_topics
from ruptura.assembly.history import warm_engine
from ruptura.core.contracts.record import Record
from ruptura.outputs.prometheus.metrics import CONTENT_TYPE, Metrics
from ruptura.settings import Settings
from ruptura.worker import logs, preflight
from ruptura.worker.checkpoints.changelog import StateTable
from ruptura.worker.faust_metrics import FaustCollector
from ruptura.worker.health import DOUBT_SECONDS, LIMITS, Pulse
from ruptura.worker.pace import NORMAL, Pace
from ruptura.worker.process.processor import Processor
from ruptura.worker.process.sinks import RAW
from ruptura.worker.reload import Reloader, Standing
from ruptura.worker.transport.transport import Batching, batching

_log = structlog.get_logger("ruptura.worker")

_WATCH_SECONDS = 1.0  # between two looks at whether Kafka answers
_METADATA_MS = 5_000
"""How old what is known of topics may be: a broker that has just come back may not know them yet,
and what the leader of the group does not see is assigned to nobody."""
_MOST_BYTES = 16 << 20  # of a message: as the changelog topic takes, see `ruptura topics create`


def _record(tp: TP, raw: Any) -> Record:
    headers = raw.headers
    return Record(
        tp.topic,
        tp.partition,
        raw.offset,
        raw.timestamp / 1000.0,
        raw.key,
        raw.value,
        tuple((name, value or b"") for name, value in headers) if headers else (),
    )


class App(faust.App):
    """Faust's app on our transport."""

    logger = logging.getLogger("faust.app.ruptura")  # level and form of Faust's own
    batching: Batching

    def _create_directories(self) -> None:
        """Make none: tables are in memory, so nothing would be in them."""

    def _new_transport(self) -> Any:
        return batching(self, self.batching)


class Vitals:
    """What a worker shows of itself, from its first moment on.

    Args:
        settings: Of the worker.
    """

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, settings.worker.max_label_sets)
        self.pulse = Pulse(time.monotonic)
        self.standing = Standing(settings)
        self.registry.register(self.pulse)
        self.registry.register(self.standing)
        ProcessCollector(registry=self.registry)  # memory and processor time, where /proc is

    def page(self, path: str, is_ready: bool) -> tuple[int, bytes, str]:
        """Return status, content and its type."""
        if path == "/metrics":
            return 200, self.metrics.render(), CONTENT_TYPE
        if path == "/healthz":
            faults = self.pulse.faults()
            return _verdict("failing" if faults else "ok", faults, is_good=not faults)
        reasons = [] if is_ready else [self._unready()]
        return _verdict("ready" if is_ready else "starting", reasons, is_good=is_ready)

    def _unready(self) -> str:
        if not self.pulse.is_heard:
            return "Kafka does not answer"
        return "partitions are not assigned and restored yet"


PAGES: Final = ("/metrics", "/healthz", "/readyz")


def _verdict(status: str, reasons: list[str], *, is_good: bool) -> tuple[int, bytes, str]:
    content = msgspec.json.encode({"status": status, "reasons": reasons})
    return 200 if is_good else 503, content, "application/json"


class Worker:
    """The app, put together; nothing runs yet.

    Args:
        settings: Of the worker.
        partitions: How many partitions the input topics have.
        web_port: Port of the web server.
        vitals: What it shows of itself.
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
        vitals: Vitals,
        state_in: Path | None = None,
        reloader: Reloader | None = None,
        pace: Pace = NORMAL,
    ) -> None:
        self._pace = pace
        self._partitions = partitions
        self._settings = settings = self._as_found(settings)
        self._vitals = vitals
        self._reloader = reloader
        self._engine = (
            build_engine(settings) if state_in is None else warm_engine(settings, state_in)
        )
        self.app = _app(settings, partitions, web_port, pace)
        vitals.registry.register(FaustCollector(self.app.monitor))
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
            vitals = self._vitals
            self._made = Processor(
                self.app,
                self._settings,
                self._pace,
                self._table,
                vitals.metrics,
                vitals.pulse,
                self._engine,
            )
        return self._made

    async def _feed(self, stream: Any) -> None:
        await self._processor.feed(stream.events())

    async def _run(self) -> None:
        await self._processor.run()

    def _as_found(self, settings: Settings) -> Settings:
        """Return settings with as many partitions as the topics really have."""
        topics = msgspec.structs.replace(settings.topics, partitions=self._partitions)
        return msgspec.structs.replace(settings, topics=topics)

    async def _reload(self) -> None:
        if self._reloader is not None:
            await self._reloader.run(self._apply, lambda: bool(self.app.should_stop))

    async def _apply(self, settings: Settings) -> None:
        """Put settings into force, of which no key that differs needs a restart."""
        former, settings = self._settings.worker, self._as_found(settings)
        await self._processor.reconfigure(build_config(settings))
        self._settings = settings
        if settings.worker.log_level != former.log_level:
            logs.configure(settings.worker.log_level, settings.worker.log_format)

    async def _watch(self) -> None:
        """While Kafka does not answer, find out whether it is there at all, and say so."""
        pulse, due = self._vitals.pulse, 0.0
        while not self.app.should_stop:
            await asyncio.sleep(_WATCH_SECONDS)
            if pulse.age("poll") < DOUBT_SECONDS and not pulse.is_away:
                continue
            cause = await preflight.probe(self._settings)
            if cause is not None and not pulse.is_away:
                logs.hush()
            elif cause is None and pulse.is_away:
                pulse.feel(*LIMITS)  # all that waited for brokers begins anew
                logs.unhush()
                _log.info("Kafka answers again")
                due = 0.0
            pulse.is_away = cause is not None
            if cause is not None and time.monotonic() >= due:
                due = time.monotonic() + preflight.SAY_SECONDS
                _log.warning("cannot reach Kafka; trying again", cause=cause)

    async def _on_revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:
        await self._processor.revoke(revoked)

    async def _on_shutdown(self, _app: Any, **_: Any) -> None:
        if self._made is not None:
            await self._made.finish()

    def _add_page(self, path: str) -> None:
        async def view(view: Any, _request: Any) -> Any:
            is_ready = self._made is not None and self._made.is_ready
            status, content, kind = self._vitals.page(path, is_ready)
            return view.bytes(content, status=status, headers={"Content-Type": kind})

        self.app.page(path, name=path.strip("/"))(view)


def _app(settings: Settings, partitions: int, web_port: int, pace: Pace = NORMAL) -> App:
    worker, kafka = settings.worker, settings.kafka
    App.batching = Batching(
        topics=frozenset(read_topics(settings)),
        make=_record,
        most_bytes=pace.max_fetched_bytes,
        fetch_max_wait_seconds=pace.fetch_max_wait_seconds,
    )
    return App(
        kafka.group_id,
        broker=clients.faust_brokers(kafka),
        broker_credentials=_credentials(settings),
        broker_session_timeout=kafka.session_timeout_seconds,
        broker_heartbeat_interval=kafka.session_timeout_seconds / 5.0,
        broker_rebalance_timeout=kafka.session_timeout_seconds,
        broker_request_timeout=max(30.0, 2.0 * kafka.session_timeout_seconds),
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=_METADATA_MS,
        producer_acks=-1,
        producer_max_request_size=_MOST_BYTES,
        store="memory://",
        Table=StateTable,
        table_standby_replicas=worker.standby_replicas,
        topic_partitions=partitions,
        topic_allow_declare=False,  # `ruptura topics create` makes them, and says what differs
        topic_disable_leader=True,
        stream_wait_empty=False,
        web_bind=worker.web_host,
        web_host=worker.web_host,
        web_port=web_port,
        web_in_thread=False,
        autodiscover=False,
    )


def _credentials(settings: Settings) -> Any:
    kafka = settings.kafka
    context = clients.ssl_context(kafka)
    sasl = clients.sasl_credentials(kafka)
    if sasl is not None:
        mechanism, username, password = sasl
        return faust.SASLCredentials(
            mechanism=mechanism, username=username, password=password, ssl_context=context
        )
    return None if context is None else faust.SSLCredentials(context)


def run_worker(
    settings: Settings,
    state_in: Path | None = None,
    config: Path | None = None,
    *,
    warnings: Sequence[str] = (),
    pace: Pace = NORMAL,
) -> int:
    """Run until SIGTERM or SIGINT; on SIGHUP, and when their file changes, load settings anew.

    Args:
        settings: Of the worker.
        state_in: What a replay had learned, for channels that begin.
        config: The file of the settings, if there is one.
        warnings: What loading the settings has warned of.
        pace: How often it does what it does.

    Returns:
        The exit code: 0 after a clean stop, 1 where it could not start or had to end.

    Raises:
        SettingsError: the settings of the connection cannot be used.
        HistoryError: `state_in` cannot be used.
    """
    vitals = Vitals(settings)
    for warning in warnings:
        _log.warning("setting without effect", cause=warning)
    reloader = Reloader(config, settings, vitals.standing, warnings)
    signal.signal(signal.SIGHUP, reloader.ask)  # at once: by default it ends the process
    if state_in is not None:
        warm_engine(settings, state_in)  # tried before anything is waited for
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # until Faust's own handlers are there
    code = _run(settings, vitals, state_in, reloader, pace)
    if code == 0:
        _log.info("worker stopped")
    return code


def _run(
    settings: Settings, vitals: Vitals, state_in: Path | None, reloader: Reloader, pace: Pace
) -> int:
    try:
        port = preflight.free_port(settings.worker.web_host, settings.worker.web_port)
        _log.info(
            "worker starts",
            brokers=settings.kafka.bootstrap_servers,
            group=settings.kafka.group_id,
            metrics=f"http://{settings.worker.web_host}:{port}/metrics",
        )
        partitions = asyncio.run(_prepare(settings, port, vitals))
    except (preflight.NotReady, clients.KafkaUnavailable) as error:
        _log.error("cannot start", cause=str(error))
        return 1
    _log.info("topics found", partitions=partitions)
    worker = Worker(settings, partitions, port, vitals, state_in, reloader, pace)
    return _execute(worker, settings.worker.stop_seconds)


async def _prepare(settings: Settings, port: int, vitals: Vitals) -> int:
    """Wait for Kafka, serving our pages, and return the number of partitions."""

    async def page(request: web.Request) -> web.Response:
        status, content, kind = vitals.page(request.path, is_ready=False)
        return web.Response(status=status, body=content, headers={"Content-Type": kind})

    async def beat() -> None:
        while True:
            vitals.pulse.feel("step")
            await asyncio.sleep(_WATCH_SECONDS)

    pages = web.Application()
    for path in PAGES:
        pages.router.add_get(path, page)
    runner = web.AppRunner(pages, access_log=None)
    await runner.setup()
    vitals.pulse.is_away = True
    beating = asyncio.ensure_future(beat())
    try:
        await web.TCPSite(runner, settings.worker.web_host, port).start()
        return await preflight.check_topics(settings)
    finally:
        beating.cancel()
        await runner.cleanup()
        vitals.pulse.is_away = False
        vitals.pulse.feel(*LIMITS)


def _leave(_number: int, _frame: Any) -> NoReturn:
    # Nothing has been read yet. An exception would be raised wherever the signal has struck, and
    # may be lost there.
    with contextlib.suppress(RuntimeError):  # the log may be what it has struck
        _log.info("worker stopped")
    os._exit(0)


def _execute(worker: Worker, stop_seconds: float) -> int:
    # The state is large, lives long and has no cycles: looking through it for garbage costs a
    # tenth of the time, and finds none.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    runner = faust.Worker(worker.app, override_logging=False, redirect_stdouts=False, quiet=True)
    runner.spinner = None  # it writes escape codes, to whatever stdout is
    _bound_the_stop(runner, worker, stop_seconds)
    try:
        runner.execute_from_commandline()
    except SystemExit as stopped:
        return int(stopped.code or 0)


def _bound_the_stop(runner: faust.Worker, worker: Worker, seconds: float) -> None:
    """End the process if a clean stop takes too long: Faust can hang waiting for its tasks."""

    def watch() -> None:
        while not (runner.should_stop or worker.app.should_stop):
            time.sleep(0.1)
        time.sleep(seconds)
        if worker.has_finished:
            _log.warning("the stop takes too long; everything is saved", seconds=seconds)
        else:
            _log.error("the stop takes too long; leaving what is not saved", seconds=seconds)
        os._exit(0 if worker.has_finished else 1)

    threading.Thread(target=watch, name="stop-watch", daemon=True).start()
