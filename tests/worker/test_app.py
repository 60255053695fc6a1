"""The worker as a whole, on the embedded broker; what delivery promises is proved on real Kafka."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from confluent_kafka import Producer
from faust.types import TP
from structlog.testing import capture_logs

from ruptura.assembly.build import build_engine, input_topics
from ruptura.core.contracts.record import Record
from ruptura.core.engine import Config
from ruptura.outputs.prometheus.metrics import CONTENT_TYPE
from ruptura.settings import KafkaSettings, Settings
from ruptura.tools.demo.embedded import embedded_broker
from ruptura.worker import app as worker
from ruptura.worker import faust_app, logs, pages, preflight, start
from ruptura.worker.checkpoints.changelog import StateTable
from ruptura.worker.pace import Pace
from tests.integration.workers import WorkerProcess, tuned
from tests.simulation.contact_centre import MONDAY, ticket


def test_it_counts_events_and_stops_in_order(tmp_path: Path) -> None:
    with embedded_broker() as address:
        default = Settings()
        settings = tuned(
            msgspec.structs.replace(
                default,
                kafka=msgspec.structs.replace(default.kafka, bootstrap_servers=address),
            )
        )
        producer = Producer({"bootstrap.servers": address})
        for number in range(300):
            document = json.dumps(ticket(MONDAY + number, number)).encode()
            producer.produce("ruptura.tickets", document, b"loja-aurora")
        producer.produce("ruptura.tickets", b"\xff", b"loja-aurora")
        producer.flush(30)
        with WorkerProcess(settings, tmp_path / "worker.log") as running:
            running.wait_ready()
            running.wait_consumed(301)
            running.wait(lambda: running.counter("ruptura_events_dead_lettered_total") == 1)
            assert running.counter("ruptura_events_rejected_total", reason="malformed_json") == 1
            assert running.get("/healthz")[0] == 200
            running.stop()
            assert running.said("everything is saved")[0]["records"] == 301


def test_a_hangup_before_there_is_a_broker_does_not_end_it(tmp_path: Path) -> None:
    nobody = with_kafka(bootstrap_servers="127.0.0.1:1")
    settings = tuned(nobody)
    with WorkerProcess(settings, tmp_path / "worker.log") as running:
        running.wait(lambda: running.get("/healthz")[0] == 200)
        running.process.send_signal(signal.SIGHUP)
        running.wait(lambda: running.counter("ruptura_settings_reload_successful") == 1.0)
        assert running.process.poll() is None
        running.stop()


def test_another_level_of_the_log_is_taken_over_with_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        made = worker.Worker(Settings(), 4, 7071, pages.Pages(Settings()))
        reconfigured: list[Config] = []

        async def reconfigure(config: Config) -> None:
            reconfigured.append(config)

        monkeypatch.setattr(
            made, "_made", SimpleNamespace(stepper=SimpleNamespace(reconfigure=reconfigure))
        )
        loud = msgspec.structs.replace(Settings().worker, log_level="debug")
        for _ in range(2):
            await made._apply(msgspec.structs.replace(Settings(), worker=loud))
        assert len(reconfigured) == 2

    levels: list[str] = []
    monkeypatch.setattr(logs, "configure", lambda level, _style: levels.append(level))
    asyncio.run(scenario())
    assert levels == ["debug"]


@pytest.mark.parametrize("repartition", [False, True])
def test_another_number_of_partitions_in_the_settings_is_ignored_with_one_line_and_the_rest_holds(
    monkeypatch: pytest.MonkeyPatch, repartition: bool
) -> None:
    def settings(**topics: int) -> Settings:
        tables = {"topics": {"repartition": repartition, **topics}}
        return msgspec.convert(tables, Settings)

    engine = build_engine(settings(partitions=6))

    async def reconfigure(config: Config) -> None:
        engine.reconfigure(config)  # refuses what is shaped otherwise

    async def scenario() -> None:
        made = worker.Worker(settings(partitions=6), 6, 7071, pages.Pages(Settings()))
        stepper = SimpleNamespace(reconfigure=reconfigure)
        monkeypatch.setattr(made, "_made", SimpleNamespace(stepper=stepper))
        await made._apply(settings(partitions=8))
        await made._apply(settings(partitions=6))

    with capture_logs() as lines:
        asyncio.run(scenario())
    [line] = lines
    assert "topics.partitions; it is ignored" in line["event"]
    assert (line["topics"], line["settings"]) == (6, 8)


def with_kafka(**changes: object) -> Settings:
    return msgspec.structs.replace(
        Settings(), kafka=msgspec.structs.replace(KafkaSettings(), **changes)
    )


def test_settings_reach_faust() -> None:
    settings = with_kafka(
        bootstrap_servers="one:1,two:2", group_id="g", session_timeout_seconds=30.0
    )
    conf = faust_app.make_app(settings, 12, 7070).conf
    assert conf.id == "g"
    assert [str(url) for url in conf.broker] == ["kafka://one:1", "kafka://two:2"]
    assert conf.broker_session_timeout == 30.0
    assert conf.broker_heartbeat_interval < 30.0 / 3
    assert conf.broker_request_timeout >= conf.broker_session_timeout
    assert conf.topic_partitions == 12
    assert (conf.web_bind, conf.web_port) == ("127.0.0.1", 7070)
    assert conf.consumer_auto_offset_reset == "earliest"
    assert not conf.topic_allow_declare
    assert not conf.stream_wait_empty


def test_credentials_reach_faust() -> None:
    assert faust_app.credentials(with_kafka()) is None
    tls = faust_app.credentials(with_kafka(security_protocol="SSL"))
    assert tls.protocol.value == "SSL"
    assert isinstance(tls.context, ssl.SSLContext)
    for protocol, has_context in (("SASL_PLAINTEXT", False), ("SASL_SSL", True)):
        settings = with_kafka(
            security_protocol=protocol,
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="u",
            sasl_password="p",  # noqa: S106 - made up
        )
        sasl = faust_app.credentials(settings)
        assert sasl.protocol.value == protocol
        assert sasl.mechanism.value == "SCRAM-SHA-512"
        assert (sasl.username, sasl.password) == ("u", "p")
        assert (sasl.ssl_context is not None) == has_context


@pytest.mark.parametrize("name", ["/metrics", "/healthz", "/readyz"])
def test_the_pages_are_where_they_are_documented(name: str) -> None:
    made = worker.Worker(Settings(), 4, 7071, pages.Pages(Settings()))
    assert name in made.app.web.views


def test_fetching_and_standby_are_as_pace_and_settings_say() -> None:
    default = Settings()
    settings = msgspec.structs.replace(
        default, worker=msgspec.structs.replace(default.worker, standby_replicas=2)
    )
    pace = Pace(max_fetched_bytes=1 << 21, fetch_max_wait_seconds=0.125)
    app: Any = faust_app.make_app(settings, 12, 7070, pace)
    assert app.conf.table_standby_replicas == 2
    assert app.conf.Table is StateTable
    assert app.batching.topics == set(input_topics(settings))
    assert app.batching.most_bytes == 1 << 21
    assert app.batching.fetch_max_wait_seconds == 0.125


def test_a_record_of_aiokafka_becomes_one_of_ours() -> None:
    raw = SimpleNamespace(
        offset=7, timestamp=1_500, key=b"k", value=None, headers=[("a", b"1"), ("b", None)]
    )
    assert faust_app.to_record(TP("t", 3), raw) == Record(
        "t", 3, 7, 1.5, b"k", None, (("a", b"1"), ("b", b""))
    )
    raw.headers = []
    assert faust_app.to_record(TP("t", 3), raw).headers == ()


# What it shows of itself.


def shown(monkeypatch: pytest.MonkeyPatch, *, age: float = 0.0) -> pages.Pages:
    now = [1_000.0]
    monkeypatch.setattr("ruptura.worker.pages.time", SimpleNamespace(monotonic=lambda: now[0]))
    made = pages.Pages(Settings())
    now[0] += age
    return made


def page(subject: pages.Pages, path: str, *, is_ready: bool = True) -> tuple[int, Any]:
    status, content, kind = subject.page(path, is_ready)
    assert kind == "application/json"
    return status, json.loads(content)


def test_a_healthy_worker_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = shown(monkeypatch)
    assert page(subject, "/healthz") == (200, {"status": "ok", "reasons": []})
    assert page(subject, "/readyz") == (200, {"status": "ready", "reasons": []})


def test_what_stands_still_fails_the_health_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject = shown(monkeypatch, age=1_000.0)
    status, told = page(subject, "/healthz")
    assert (status, told["status"]) == (503, "failing")
    assert told["reasons"] == subject.health.faults()
    assert len(told["reasons"]) > 1


def test_who_is_not_ready_says_whether_it_waits_for_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = shown(monkeypatch)
    status, told = page(subject, "/readyz", is_ready=False)
    assert (status, told["status"]) == (503, "starting")
    assert told["reasons"] == ["partitions are not assigned and restored yet"]
    subject.health.is_away = True
    assert page(subject, "/readyz", is_ready=False)[1]["reasons"] == ["Kafka does not answer"]


def test_metrics_are_of_the_worker_and_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    status, content, kind = shown(monkeypatch).page("/metrics", is_ready=False)
    assert (status, kind) == (200, CONTENT_TYPE)
    for name in (b"ruptura_worker_beat_age_seconds{", b"ruptura_events_rejected_total{"):
        assert name in content


def test_while_kafka_is_away_at_the_start_the_pages_are_there_and_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings()
    port = preflight.free_port("127.0.0.1", 0)
    subject = pages.Pages(settings)
    seen: dict[str, tuple[int, bytes]] = {}

    async def check_topics(_settings: Settings) -> int:
        async with ClientSession() as session:
            for path in pages.PAGES:
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    seen[path] = answer.status, await answer.read()
        return 12

    monkeypatch.setattr(preflight, "check_topics", check_topics)
    assert asyncio.run(start._prepare(settings, port, subject)) == 12
    assert seen["/healthz"][0] == 200, "to start us anew would not bring Kafka back"
    assert seen["/readyz"][0] == 503
    assert b"Kafka does not answer" in seen["/readyz"][1]
    assert b"ruptura_worker_kafka_reachable 0.0" in seen["/metrics"][1]
    assert not subject.health.is_away
    assert preflight.free_port("127.0.0.1", port) == port, "Faust's server needs it now"


def test_what_keeps_it_from_starting_leaves_the_port_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check_topics(_settings: Settings) -> int:
        raise preflight.NotReady("no such topic: t")

    monkeypatch.setattr(preflight, "check_topics", check_topics)
    port = preflight.free_port("127.0.0.1", 0)
    with pytest.raises(preflight.NotReady):
        asyncio.run(start._prepare(Settings(), port, pages.Pages(Settings())))
    assert preflight.free_port("127.0.0.1", port) == port
