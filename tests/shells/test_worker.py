"""The worker as a whole, on the embedded broker; what delivery promises is proved on real Kafka."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from ruptura.settings import KafkaSettings, Settings
from ruptura.shells import worker
from ruptura.shells.demo.embedded import embedded_broker
from tests.integration.workers import WorkerProcess, tuned
from tests.simulation.contact_centre import MONDAY, ticket


def test_it_counts_events_and_stops_in_order(tmp_path: Path) -> None:
    with embedded_broker() as address:
        default = Settings()
        settings = tuned(
            msgspec.structs.replace(
                default,
                kafka=msgspec.structs.replace(default.kafka, bootstrap_servers=address),
            ),
            data_dir=str(tmp_path / "faust"),
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


def with_kafka(**changes: object) -> Settings:
    return msgspec.structs.replace(
        Settings(), kafka=msgspec.structs.replace(KafkaSettings(), **changes)
    )


def test_settings_reach_faust() -> None:
    settings = with_kafka(
        bootstrap_servers="one:1,two:2", group_id="g", session_timeout_seconds=30.0
    )
    conf = worker._app(settings, 12, 7070).conf
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
    assert worker._credentials(with_kafka()) is None
    tls = worker._credentials(with_kafka(security_protocol="SSL"))
    assert tls.protocol.value == "SSL"
    assert isinstance(tls.context, ssl.SSLContext)
    for protocol, has_context in (("SASL_PLAINTEXT", False), ("SASL_SSL", True)):
        settings = with_kafka(
            security_protocol=protocol,
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="u",
            sasl_password="p",  # noqa: S106 - made up
        )
        sasl = worker._credentials(settings)
        assert sasl.protocol.value == protocol
        assert sasl.mechanism.value == "SCRAM-SHA-512"
        assert (sasl.username, sasl.password) == ("u", "p")
        assert (sasl.ssl_context is not None) == has_context


@pytest.mark.parametrize("name", ["/metrics", "/healthz", "/readyz"])
def test_the_pages_are_where_they_are_documented(name: str) -> None:
    made = worker.Worker(Settings(), 4, 7071)
    assert name in made.app.web.views
