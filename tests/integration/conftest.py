"""One real Kafka for the suite, and topics of its own for each test."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ruptura.settings import Settings
from ruptura.tools import topics
from tests.integration.kafka_server import KafkaServer, KafkaServerError


@pytest.fixture(scope="session")
def kafka_cache(root: Path) -> Path:
    """Where Kafka's jars stay between runs; not part of the repository."""
    return root / "build"


@pytest.fixture(scope="session")
def kafka(kafka_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """The broker of the whole suite: leave it running. A test that kills makes its own."""
    try:
        server = KafkaServer(kafka_cache, tmp_path_factory.mktemp("kafka"))
    except KafkaServerError as error:
        pytest.fail(str(error), pytrace=False)
    with server:
        yield server


@pytest.fixture
def settings(kafka: KafkaServer, request: pytest.FixtureRequest) -> Settings:
    """Settings with topics and a consumer group that no other test uses; nothing is created."""
    return settings_for(kafka.bootstrap_servers, request.node.name)


@pytest.fixture
def topic_settings(settings: Settings) -> Settings:
    """The same, with the topics created."""
    assert topics.create(settings).ok
    return settings


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the end of Kafka's log beside a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy gives object
    server = getattr(item, "funcargs", {}).get("kafka")
    if report.failed and call.when == "call" and isinstance(server, KafkaServer):
        report.sections.append(("Kafka's log, the end", server.log_tail()))


def settings_for(bootstrap_servers: str, name: str) -> Settings:
    """Settings for one broker with names made unique."""
    unique = f"{re.sub(r'[^a-zA-Z0-9]+', '-', name)[:60]}-{uuid.uuid4().hex[:8]}"
    default = Settings()
    return msgspec.structs.replace(
        default,
        kafka=msgspec.structs.replace(
            default.kafka, bootstrap_servers=bootstrap_servers, group_id=f"{unique}.ruptura"
        ),
        topics=msgspec.structs.replace(
            default.topics,
            tickets=f"{unique}.tickets",
            channel_metrics=f"{unique}.channel-metrics",
            alerts=f"{unique}.alerts",
            dead_letter=f"{unique}.dead-letter",
        ),
    )
