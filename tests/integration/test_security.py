"""TLS and SASL reach every client: kafka-python's three, and aiokafka as Faust uses it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from ruptura.clients import KafkaUnavailable, aiokafka_arguments
from ruptura.core.contracts.record import Record
from ruptura.files.recording import read_envelopes, to_line, to_record
from ruptura.settings import Settings
from ruptura.tools import topics
from ruptura.tools.publish import publish
from ruptura.tools.record import record
from tests.integration.kafka_server import SASL_USERS

pytestmark = pytest.mark.integration

((USER, PASSWORD),) = SASL_USERS.items()


def secured(settings: Settings, **changes: object) -> Settings:
    return msgspec.structs.replace(
        settings, kafka=msgspec.structs.replace(settings.kafka, **changes)
    )


@pytest.fixture
def mutual_tls(settings, kafka):
    """Both sides show a certificate."""
    return secured(
        settings,
        bootstrap_servers=kafka.ssl_servers,
        security_protocol="SSL",
        ssl_cafile=str(kafka.ca_file),
        ssl_certfile=str(kafka.client_cert_file),
        ssl_keyfile=str(kafka.client_key_file),
    )


@pytest.fixture(params=["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def sasl(settings, kafka, request):
    """User and password over TLS."""
    return secured(
        settings,
        bootstrap_servers=kafka.sasl_ssl_servers,
        security_protocol="SASL_SSL",
        ssl_cafile=str(kafka.ca_file),
        sasl_mechanism=request.param,
        sasl_username=USER,
        sasl_password=PASSWORD,
    )


def pass_a_record(settings, folder) -> None:
    sent = Record("ruptura.tickets", 0, 0, 1.0, b"loja", b"{}")
    (folder / "in.jsonl").write_bytes(to_line(sent) + b"\n")
    assert topics.create(settings).ok
    assert publish(settings, [folder / "in.jsonl"]).records == 1
    record(settings, [], folder / "out.jsonl", until_end=True)
    ((found,),) = read_envelopes(folder / "out.jsonl")
    assert (to_record(found).key, to_record(found).value) == (sent.key, sent.value)
    assert asyncio.run(seen_by_aiokafka(settings)) == [sent.value]


async def seen_by_aiokafka(settings) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        settings.topics.tickets,
        auto_offset_reset="earliest",
        group_id=None,
        **aiokafka_arguments(settings.kafka),
    )
    await consumer.start()
    try:
        return [(await asyncio.wait_for(consumer.getone(), 20)).value]
    finally:
        await consumer.stop()


def test_a_record_passes_over_mutual_tls(mutual_tls, tmp_path):
    pass_a_record(mutual_tls, tmp_path)


def test_a_record_passes_with_user_and_password(sasl, tmp_path):
    pass_a_record(sasl, tmp_path)


def test_a_wrong_password_is_one_line_without_it(sasl, monkeypatch):
    monkeypatch.setattr("ruptura.clients.CONNECT_SECONDS", 1.0)
    wrong = secured(sasl, sasl_password="guess-me")  # noqa: S106 - a wrong guess on purpose
    with pytest.raises(KafkaUnavailable, match=r"\(SASL_SSL\): .*wrong user, pass") as refused:
        topics.check(wrong)
    assert "\n" not in str(refused.value)
    assert "guess-me" not in str(refused.value)


def test_a_broker_whose_authority_is_unknown_is_not_trusted(mutual_tls):
    with pytest.raises(KafkaUnavailable, match=r"certificate verify failed") as refused:
        topics.check(secured(mutual_tls, ssl_cafile=None))
    assert "\n" not in str(refused.value)


def test_without_a_client_certificate_nobody_comes_in(mutual_tls, monkeypatch):
    monkeypatch.setattr("ruptura.clients.CONNECT_SECONDS", 1.0)
    bare = secured(mutual_tls, ssl_certfile=None, ssl_keyfile=None)
    with pytest.raises(KafkaUnavailable, match=r"\(SSL\): .+") as refused:
        topics.check(bare)
    assert "\n" not in str(refused.value)
