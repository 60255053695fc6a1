"""The worker: a Faust app whose agents feed the engine, and its start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import faust
import structlog
from faust.types import TP
from prometheus_client import CollectorRegistry

from ruptura.assembly import input_topics
from ruptura.settings import Settings
from ruptura.shells import clients, preflight
from ruptura.shells.faust_metrics import FaustCollector
from ruptura.shells.health import Pulse
from ruptura.shells.metrics import CONTENT_TYPE, Metrics
from ruptura.shells.processor import RAW, Processor
from ruptura.shells.transport import transport_for

_log = structlog.get_logger("ruptura.worker")

Page = Callable[[Any], Any]


_MOST_BYTES = 16 << 20  # of a message: as the changelog topic takes, see `ruptura topics create`


class App(faust.App):
    """Faust's app on our transport."""

    logger = logging.getLogger("faust.app.ruptura")  # level and form of Faust's own
    fetch_max_wait_seconds: float = 0.2

    def _new_transport(self) -> Any:
        return transport_for(self, self.fetch_max_wait_seconds)


class Worker:
    """The app, put together; nothing runs yet.

    Args:
        settings: Of the worker.
        partitions: How many partitions the input topics have.
        web_port: Port of the web server.
    """

    def __init__(self, settings: Settings, partitions: int, web_port: int) -> None:
        self._settings = settings
        registry = CollectorRegistry()
        self._metrics = Metrics(registry, settings.worker.max_label_sets)
        self._pulse = Pulse(time.monotonic)
        registry.register(self._pulse)
        self.app = _app(settings, partitions, web_port)
        registry.register(FaustCollector(self.app.monitor))
        self._table = self.app.Table(
            "state", partitions=partitions, key_type=bytes, value_type=bytes
        )
        self._made: Processor | None = None
        for name in input_topics(settings):
            self.app.agent(self.app.topic(name, **RAW), name=f"feed-{name}")(self._feed)
        self.app.task(self._run)
        signals: Any = self.app  # whose types no handler of named arguments satisfies
        signals.on_partitions_revoked.connect(self._on_revoked, weak=False)
        signals.on_before_shutdown.connect(self._on_shutdown, weak=False)
        for path, page in (
            ("/metrics", self._metrics_page),
            ("/healthz", self._health_page),
            ("/readyz", self._ready_page),
        ):
            self._add_page(path, page)

    @property
    def has_finished(self) -> bool:
        """Whether everything is saved, and nothing of worth can still happen."""
        return self._made is None or self._made.has_finished

    @property
    def _processor(self) -> Processor:
        # Made on first use, inside the running loop.
        if self._made is None:
            self._made = Processor(
                self.app, self._settings, self._table, self._metrics, self._pulse
            )
        return self._made

    async def _feed(self, stream: Any) -> None:
        await self._processor.feed(stream.noack().events())

    async def _run(self) -> None:
        await self._processor.run()

    async def _on_revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:
        await self._processor.revoke(revoked)

    async def _on_shutdown(self, _app: Any, **_: Any) -> None:
        if self._made is not None:
            await self._made.finish()

    def _add_page(self, path: str, page: Page) -> None:
        async def view(self: Any, _request: Any) -> Any:
            return page(self)

        self.app.page(path, name=path.strip("/"))(view)

    def _metrics_page(self, view: Any) -> Any:
        return view.bytes(self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    def _health_page(self, view: Any) -> Any:
        faults = self._pulse.faults()
        status = "failing" if faults else "ok"
        return view.json({"status": status, "reasons": faults}, status=503 if faults else 200)

    def _ready_page(self, view: Any) -> Any:
        ready = self._processor.is_ready
        return view.json({"status": "ready" if ready else "starting"}, status=200 if ready else 503)


def _app(settings: Settings, partitions: int, web_port: int) -> App:
    worker, kafka = settings.worker, settings.kafka
    App.fetch_max_wait_seconds = kafka.fetch_max_wait_seconds
    return App(
        kafka.group_id,
        broker=clients.faust_brokers(kafka),
        broker_credentials=_credentials(settings),
        broker_session_timeout=kafka.session_timeout_seconds,
        broker_heartbeat_interval=kafka.session_timeout_seconds / 5.0,
        broker_rebalance_timeout=kafka.session_timeout_seconds,
        broker_request_timeout=max(30.0, 2.0 * kafka.session_timeout_seconds),
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_max_request_size=_MOST_BYTES,
        store="memory://",
        datadir=worker.data_dir,
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


def run_worker(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT.

    Returns:
        The exit code: 0 after a clean stop, 1 where it could not start or had to end.

    Raises:
        SettingsError: the settings of the connection cannot be used.
        OSError: the data directory cannot be made.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # until Faust's own handlers are there
    code = _run(settings)
    if code == 0:
        _log.info("worker stopped")
    return code


def _run(settings: Settings) -> int:
    Path(settings.worker.data_dir).mkdir(parents=True, exist_ok=True)
    try:
        port = preflight.free_port(settings.worker.web_host, settings.worker.web_port)
        partitions = asyncio.run(preflight.check_topics(settings))
    except (preflight.NotReady, clients.KafkaUnavailable) as error:
        _log.error("cannot start", cause=str(error))
        return 1
    _log.info(
        "worker starts",
        brokers=settings.kafka.bootstrap_servers,
        group=settings.kafka.group_id,
        partitions=partitions,
        metrics=f"http://{settings.worker.web_host}:{port}/metrics",
    )
    return _execute(Worker(settings, partitions, port), settings.worker.stop_seconds)


def _leave(_number: int, _frame: Any) -> NoReturn:
    # Nothing has been read yet. An exception would be raised wherever the signal has struck, and
    # may be lost there.
    with contextlib.suppress(RuntimeError):  # the log may be what it has struck
        _log.info("worker stopped")
    os._exit(0)


def _execute(worker: Worker, stop_seconds: float) -> int:
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
