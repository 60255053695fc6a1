"""Start and stop of a worker: what must hold before, and how long the end may take."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import faust
import structlog
from aiohttp import web

from ruptura import clients
from ruptura.assembly.history import warm_engine
from ruptura.settings import Settings
from ruptura.worker import preflight
from ruptura.worker.app import Worker
from ruptura.worker.health import LIMITS
from ruptura.worker.pace import NORMAL, Pace
from ruptura.worker.pages import PAGES, Pages
from ruptura.worker.reload import Reloader

_BEAT_SECONDS = 1.0  # while Kafka is waited for

_log = structlog.get_logger("ruptura.worker")


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
    pages = Pages(settings)
    for warning in warnings:
        _log.warning("setting without effect", cause=warning)
    reloader = Reloader(config, settings, pages.status, warnings)
    signal.signal(signal.SIGHUP, reloader.ask)  # at once: by default it ends the process
    if state_in is not None:
        warm_engine(settings, state_in)  # tried before anything is waited for
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # until Faust's own handlers are there
    code = _run(settings, pages, state_in, reloader, pace)
    if code == 0:
        _log.info("worker stopped")
    return code


def _run(
    settings: Settings, pages: Pages, state_in: Path | None, reloader: Reloader, pace: Pace
) -> int:
    try:
        port = preflight.free_port(settings.worker.web_host, settings.worker.web_port)
        _log.info(
            "worker starts",
            brokers=settings.kafka.bootstrap_servers,
            group=settings.kafka.group_id,
            metrics=f"http://{settings.worker.web_host}:{port}/metrics",
        )
        partitions = asyncio.run(_prepare(settings, port, pages))
    except (preflight.NotReady, clients.KafkaUnavailable) as error:
        _log.error("cannot start", cause=str(error))
        return 1
    _log.info("topics found", partitions=partitions)
    worker = Worker(settings, partitions, port, pages, state_in, reloader, pace)
    return _execute(worker, settings.worker.stop_seconds)


async def _prepare(settings: Settings, port: int, pages: Pages) -> int:
    """Wait for Kafka, serving our pages, and return the number of partitions."""

    async def page(request: web.Request) -> web.Response:
        status, content, kind = pages.page(request.path, is_ready=False)
        return web.Response(status=status, body=content, headers={"Content-Type": kind})

    async def beat() -> None:
        while True:
            pages.health.heartbeat("step")
            await asyncio.sleep(_BEAT_SECONDS)

    server = web.Application()
    for path in PAGES:
        server.router.add_get(path, page)
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    pages.health.is_away = True
    beating = asyncio.ensure_future(beat())
    try:
        await web.TCPSite(runner, settings.worker.web_host, port).start()
        return await preflight.check_topics(settings)
    finally:
        beating.cancel()
        await runner.cleanup()
        pages.health.is_away = False
        pages.health.heartbeat(*LIMITS)


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
