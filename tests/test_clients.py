"""From settings to Kafka clients, without a broker."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from ruptura import clients
from ruptura.settings import KafkaSettings, Settings
from ruptura.settings.loading import SettingsError
from ruptura.tools import topics

SASL: dict[str, Any] = {"sasl_username": "ana", "sasl_password": "s3cret"}


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("localhost:9092", [("localhost", 9092)]),
        ("a:1, b:2", [("a", 1), ("b", 2)]),
        ("kafka", [("kafka", 9092)]),
        ("[::1]:9093", [("::1", 9093)]),
        ("[::1]", [("::1", 9092)]),
    ],
)
def test_servers_are_read_from_one_line(text, found):
    kafka = KafkaSettings(bootstrap_servers=text)
    assert clients.servers(kafka) == found


@pytest.mark.parametrize("text", ["a:", ":9092", "a:port", "a:0", "a:65536", "a,,b", "a:1:x"])
def test_a_server_that_is_not_host_and_port_is_refused_by_name(text):
    with pytest.raises(SettingsError, match=r"kafka\.bootstrap_servers: `.*` is not host:port"):
        clients.servers(KafkaSettings(bootstrap_servers=text))


def test_faust_gets_one_url_for_each_server():
    kafka = KafkaSettings(bootstrap_servers="a:1,[::1]:2")
    assert clients.faust_brokers(kafka) == ["kafka://a:1", "kafka://[::1]:2"]


def test_without_security_there_are_no_credentials_and_no_context():
    # Passwords that are set, but not for this transport, stay at home.
    kafka = KafkaSettings(**SASL)
    assert clients.security_arguments(kafka) == {"security_protocol": "PLAINTEXT"}


def test_sasl_reaches_the_clients_by_their_names_for_it():
    kafka = KafkaSettings(
        security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512", **SASL
    )
    assert clients.security_arguments(kafka) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "ana",
        "sasl_plain_password": "s3cret",
    }


@pytest.mark.parametrize("missing", ["sasl_username", "sasl_password"])
def test_sasl_without_user_or_password_is_refused_and_shows_neither(missing):
    kafka = KafkaSettings(security_protocol="SASL_PLAINTEXT", **(SASL | {missing: None}))
    with pytest.raises(SettingsError, match=r"needs kafka\.sasl_username and") as refused:
        clients.security_arguments(kafka)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_tls_checks_the_broker_and_its_name(protocol):
    context = clients.ssl_context(KafkaSettings(security_protocol=protocol))
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_name_of_the_broker_may_go_unchecked_but_never_its_certificate():
    kafka = KafkaSettings(security_protocol="SSL", ssl_check_hostname=False)
    context = clients.ssl_context(kafka)
    assert context is not None
    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("key", ["ssl_cafile", "ssl_certfile"])
@pytest.mark.parametrize("text", [None, "this is no certificate"])
def test_a_pem_file_that_cannot_be_used_is_refused_by_key_and_name(key, text, tmp_path):
    path = tmp_path / "file.pem"
    if text is not None:
        path.write_text(text)
    certificate: dict[str, Any] = {key: str(path)}
    kafka = KafkaSettings(security_protocol="SSL", **certificate)
    with pytest.raises(SettingsError, match=rf"kafka\.{key} .*file\.pem.*: .+") as refused:
        clients.ssl_context(kafka)
    assert "\n" not in str(refused.value)


def test_a_client_key_without_its_certificate_is_refused():
    kafka = KafkaSettings(security_protocol="SSL", ssl_keyfile="client.key")
    with pytest.raises(SettingsError, match=r"kafka\.ssl_keyfile needs kafka\.ssl_certfile"):
        clients.ssl_context(kafka)


@pytest.mark.parametrize("client", [KafkaAdminClient, KafkaConsumer, KafkaProducer])
def test_kafka_python_knows_every_argument(client):
    kafka = KafkaSettings(security_protocol="SASL_SSL", **SASL)
    assert set(clients.kafka_python_arguments(kafka)) <= set(client.DEFAULT_CONFIG)


async def make(arguments: dict[str, object]) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(**arguments)
    await consumer.stop()
    return consumer


def test_aiokafka_takes_every_argument():
    kafka = KafkaSettings(security_protocol="SASL_SSL", **SASL)
    assert asyncio.run(make(clients.aiokafka_arguments(kafka)))


@pytest.mark.parametrize("name", ["127.0.0.1:{port}", "127.0.0.1:{port},127.0.0.1:{port}"])
def test_no_broker_is_one_line_that_says_where_and_why_at_once(name):
    port = closed_port()
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=name.format(port=port)))
    threads = threading.active_count()
    with pytest.raises(clients.KafkaUnavailable) as unavailable:
        topics.check(settings)
    assert str(unavailable.value).startswith(
        f"cannot reach Kafka at 127.0.0.1:{port}: Connection refused"
    )
    assert "\n" not in str(unavailable.value)
    assert threading.active_count() == threads


def test_a_server_that_is_not_kafka_is_given_up_in_bounded_time(monkeypatch):
    monkeypatch.setattr(clients, "CONNECT_SECONDS", 0.2)
    threads = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        kafka = KafkaSettings(bootstrap_servers=address)
        with (
            pytest.raises(
                clients.KafkaUnavailable, match=rf"^Kafka at {address} \(PLAINTEXT\): .+"
            ),
            clients.admin_client(kafka),
        ):
            pytest.fail("a socket that never answers is no broker")
    assert threading.active_count() == threads


def test_settings_are_refused_before_anything_is_opened():
    kafka = KafkaSettings(security_protocol="SASL_SSL")
    with pytest.raises(SettingsError), clients.consumer_client(kafka):
        pytest.fail("SASL without a user")
