"""The worker: a Faust app whose agents feed the engine.

Agents only hand records over. One loop steps the engine, publishes what comes out and takes
checkpoints, so the engine is never entered twice and its state is always that of one moment.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import faust
import msgspec
import structlog
from faust.types import TP
from prometheus_client import CollectorRegistry

from ruptura.assembly import build_engine, input_topics
from ruptura.core.effects import Effects
from ruptura.core.record import Record, Tick
from ruptura.settings import Settings
from ruptura.shells import checkpoint, clients
from ruptura.shells.dead_letter import dead_letter
from ruptura.shells.faust_metrics import FaustCollector
from ruptura.shells.intake import Intake
from ruptura.shells.metrics import CONTENT_TYPE, Metrics
from ruptura.shells.transport import transport_for

_STEP_SECONDS = 0.02
_MAX_WAITING = 20_000
_encoder = msgspec.json.Encoder()
_log = structlog.get_logger(__name__)


class App(faust.App):  # type: ignore[misc]  # Faust ships no types
    """Faust's app on our transport."""

    fetch_max_wait_seconds: float = 0.2

    def _new_transport(self) -> Any:
        return transport_for(self, self.fetch_max_wait_seconds)


class Processor:
    """Records in, engine steps, documents and checkpoints out.

    Args:
        app: The Faust app.
        settings: Of the worker.
        table: Keeps the state; its changelog is written directly, at checkpoints.
        metrics: Gets the effects.
    """

    def __init__(self, app: App, settings: Settings, table: Any, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._table = table
        self._metrics = metrics
        self._engine = build_engine(settings)
        self._inputs = frozenset(input_topics(settings))
        self._intakes: dict[TP, Intake] = {}
        self._restored: set[int] = set()
        self._waiting: list[tuple[Any, Record]] = []
        self._stepped: list[Any] = []  # events that the state reflects, not yet acknowledged
        self._published: list[Awaitable[object]] = []
        self._alerts = app.topic(settings.topics.alerts, acks=False, **_RAW)
        self._dead_letters = app.topic(settings.topics.dead_letter, acks=False, **_RAW)
        self._adopting = asyncio.Lock()
        self.stepped_at = time.monotonic()
        self.checkpointed_at = time.monotonic()

    @property
    def is_ready(self) -> bool:
        """Whether partitions are assigned and their state is restored."""
        return self._is_settled() and bool(self._app.consumer.assignment())

    def _is_settled(self) -> bool:
        app = self._app
        return bool(
            not app.should_stop and not app.rebalancing and app.tables.recovery.completed.is_set()
        )

    async def feed(self, stream: AsyncIterator[Any]) -> None:
        """Take over the events of a stream that does not acknowledge by itself."""
        async for event in stream:
            message = event.message
            tp = TP(message.topic, message.partition)
            intake = self._intakes.get(tp) or await self._adopt(tp)
            verdict = intake.judge(message.offset)
            if verdict == "take":
                self._waiting.append((event, _record(message)))
                while len(self._waiting) >= _MAX_WAITING:
                    await asyncio.sleep(_STEP_SECONDS)
            elif verdict == "seek":
                _log.warning(
                    "offsets jumped; seeking back",
                    topic=tp.topic,
                    partition=tp.partition,
                    expected=intake.following,
                    got=message.offset,
                )
                await self._app.consumer.seek(tp, intake.following)

    async def _adopt(self, tp: TP) -> Intake:
        """Start on a partition: restore its state, and know where its records go on."""
        async with self._adopting:
            known = self._intakes.get(tp)
            if known is not None:
                return known
            consumer = self._app.consumer
            earliest = (await consumer.earliest_offsets(tp)).get(tp) or 0
            committed = consumer._committed_offset.get(tp)  # noqa: SLF001  # Faust has no accessor
            start = max(committed or 0, earliest)
            if tp.partition not in self._restored:
                self._restored.add(tp.partition)
                restored, refused = checkpoint.restore(
                    self._engine, tp.partition, dict(self._table.data)
                )
                _log.info(
                    "partition restored",
                    partition=tp.partition,
                    services=max(restored - 1, 0),
                    refused=refused,
                )
            intake = self._intakes[tp] = Intake(start)
            return intake

    async def revoke(self, revoked: set[TP]) -> None:
        """Drop what belongs to partitions that another worker may own now."""
        partitions = {tp.partition for tp in revoked}
        for tp in [tp for tp in self._intakes if tp.partition in partitions]:
            del self._intakes[tp]
            self._metrics.forget_source(tp.topic, tp.partition)
        for partition in partitions:
            self._restored.discard(partition)
            self._metrics.forget(self._engine.forget(partition))
        self._waiting = [
            (event, record) for event, record in self._waiting if record.partition not in partitions
        ]
        self._stepped = [
            event for event in self._stepped if event.message.partition not in partitions
        ]

    async def step(self) -> None:
        """Step the engine with what waits, and with ticks for what was read to its end."""
        waiting, self._waiting = self._waiting, []
        inputs: list[Record | Tick] = [record for _, record in waiting]
        inputs.extend(await self._ticks())
        self.stepped_at = time.monotonic()
        if not inputs:
            return
        started = time.perf_counter()
        effects = self._engine.step(inputs)
        self._stepped.extend(event for event, _ in waiting)
        self._metrics.apply(effects)
        if waiting:
            self._metrics.observe_processing(time.perf_counter() - started, len(waiting))
        await self._publish(effects)

    async def _ticks(self) -> list[Tick]:
        now = time.monotonic()
        if now < getattr(self, "_next_tick", 0.0) or not self._is_settled():
            return []
        self._next_tick = now + self._settings.worker.tick_seconds
        self._metrics.observe_lag(time.time())
        # What the broker said of the end of a partition may be as old as its last two fetches.
        sure = time.time() - 2.0 * self._settings.kafka.fetch_max_wait_seconds - 0.5
        ticks: list[Tick] = []
        consumer = self._app.consumer
        for tp in consumer.assignment():
            if tp.topic not in self._inputs:
                continue
            intake = self._intakes.get(tp) or await self._adopt(tp)
            end = consumer.highwater(tp)
            if end is not None and intake.following >= end and not self._waiting:
                ticks.append(Tick(tp.topic, tp.partition, sure))
        return ticks

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
            await self._send(
                self._dead_letters,
                rejection.record.key,
                _encoder.encode(dead_letter(rejection)),
                lambda _: self._metrics.dead_lettered(1),
            )
        for service, count in effects.misrouted.items():
            _log.warning("records keyed by something else", service=service, records=count)

    async def _send(
        self,
        topic: Any,
        key: bytes | None,
        value: bytes,
        done: Callable[[object], None] | None = None,
    ) -> None:
        future = await topic.send(key=key, value=value, force=True, callback=done)
        self._published.append(future)

    async def checkpoint(self) -> None:
        """Make the state safe, then acknowledge the records that it reflects."""
        if not self._stepped and not self._published:
            self.checkpointed_at = time.monotonic()
            return
        published, self._published = self._published, []
        stepped, self._stepped = self._stepped, []
        taken = checkpoint.take(self._engine)
        for future in published:
            await future
        size = await taken.write(self._write)
        for event in stepped:
            event.ack()
        self.checkpointed_at = time.monotonic()
        _log.debug("checkpoint", records=len(stepped), services=len(taken.services), bytes=size)

    async def _write(self, partition: int, key: bytes, value: bytes) -> None:
        self._table.data[key] = value
        await self._table.send_changelog(partition, key, value)

    async def run(self) -> None:
        """Step and checkpoint until the app stops."""
        due = time.monotonic() + self._settings.worker.checkpoint_seconds
        while not self._app.should_stop:
            if self._is_settled():
                await self.step()
                if time.monotonic() >= due:
                    await self.checkpoint()
                    due = time.monotonic() + self._settings.worker.checkpoint_seconds
            await asyncio.sleep(_STEP_SECONDS)

    async def finish(self) -> None:
        """Step what waits and take a last checkpoint, while the producer still runs."""
        await self.step()
        await self.checkpoint()
        _log.info("last checkpoint taken")


_RAW: dict[str, Any] = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}


def build_app(settings: Settings, registry: CollectorRegistry | None = None) -> App:
    """Put the Faust app together.

    Args:
        settings: Of the worker.
        registry: Of the metrics; a fresh one if None.
    """
    worker, kafka = settings.worker, settings.kafka
    App.fetch_max_wait_seconds = kafka.fetch_max_wait_seconds
    registry = registry or CollectorRegistry()
    metrics = Metrics(registry, worker.max_label_sets)
    app = App(
        kafka.group_id,
        broker=clients.faust_brokers(kafka),
        broker_credentials=_credentials(settings),
        broker_session_timeout=kafka.session_timeout_seconds,
        broker_heartbeat_interval=kafka.session_timeout_seconds / 5.0,
        broker_rebalance_timeout=kafka.session_timeout_seconds,
        broker_request_timeout=max(30.0, 2.0 * kafka.session_timeout_seconds),
        broker_commit_interval=worker.checkpoint_seconds,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        store="memory://",
        datadir=worker.data_dir,
        topic_partitions=settings.topics.partitions,
        topic_allow_declare=False,  # `ruptura topics create` makes them, and says what differs
        topic_disable_leader=True,
        stream_wait_empty=False,
        web_bind=worker.web_host,
        web_host=worker.web_host,
        web_port=worker.web_port,
        web_in_thread=False,
        autodiscover=False,
    )
    registry.register(FaustCollector(app.monitor))
    table = app.Table("state", partitions=settings.topics.partitions, **_RAW)
    processor: list[Processor] = []

    def current() -> Processor:
        # Made on first use, inside the running loop.
        if not processor:
            processor.append(Processor(app, settings, table, metrics))
        return processor[0]

    for name in input_topics(settings):
        topic = app.topic(name, **_RAW)

        async def feed(stream: Any) -> None:
            await current().feed(stream.noack().events())

        app.agent(topic, name=f"feed-{name}")(feed)

    @app.task  # type: ignore[untyped-decorator]  # Faust ships no types
    async def run() -> None:
        try:
            await current().run()
        except Exception as error:
            _log.exception("the worker stops: its loop failed")
            await app.crash(error)

    async def on_revoked(_app: Any, revoked: set[TP], **_: Any) -> None:
        await current().revoke(revoked)

    app.on_partitions_revoked.connect(on_revoked, weak=False)

    async def on_shutdown(_app: Any, **_: Any) -> None:
        if processor:
            await processor[0].finish()

    app.on_before_shutdown.connect(on_shutdown, weak=False)

    @app.page("/metrics")  # type: ignore[untyped-decorator]  # Faust ships no types
    async def metrics_page(self: Any, _request: Any) -> Any:
        return self.bytes(metrics.render(), content_type=CONTENT_TYPE)

    @app.page("/healthz")  # type: ignore[untyped-decorator]  # Faust ships no types
    async def health_page(self: Any, _request: Any) -> Any:
        alive = not app.should_stop
        return self.json({"status": "ok" if alive else "stopping"}, status=200 if alive else 503)

    @app.page("/readyz")  # type: ignore[untyped-decorator]  # Faust ships no types
    async def ready_page(self: Any, _request: Any) -> Any:
        ready = current().is_ready
        return self.json({"status": "ready" if ready else "starting"}, status=200 if ready else 503)

    return app


def run_worker(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; return the exit code.

    Raises:
        clients.KafkaUnavailable: the brokers cannot be reached.
    """
    app = build_app(settings)
    _log.info(
        "worker starts",
        brokers=settings.kafka.bootstrap_servers,
        group=settings.kafka.group_id,
        metrics=f"http://{settings.worker.web_host}:{settings.worker.web_port}/metrics",
    )
    worker = faust.Worker(
        app,
        override_logging=False,
        redirect_stdouts=False,
        quiet=True,
    )
    _bound_the_stop(app, settings.worker.stop_seconds)
    try:
        worker.execute_from_commandline()
    except SystemExit as stopped:
        _log.info("worker stopped", code=stopped.code or 0)
        return int(stopped.code or 0)
    return 0


def _bound_the_stop(app: App, seconds: float) -> None:
    """End the process if a clean stop takes too long: Faust can hang waiting for streams."""

    def watch() -> None:
        while not app.should_stop:
            time.sleep(0.2)
        time.sleep(seconds)
        _log.error("the stop took too long; leaving what was not acknowledged", seconds=seconds)
        os._exit(70)

    threading.Thread(target=watch, name="stop-watch", daemon=True).start()


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
        tuple((name, value) for name, value in pairs),
    )
