"""The fixture itself: without its tools the suite fails in one line, and does not skip."""

from __future__ import annotations

import pytest

from tests.integration.kafka_server import KafkaServer, KafkaServerError, free_ports


def test_without_java_and_maven_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KafkaServerError, match="the integration tests need `java` on PATH"):
        KafkaServer(tmp_path / "cache", tmp_path / "home")


def test_ports_are_different_ones():
    assert len(set(free_ports(5))) == 5
