"""What the worker needs is asked for first, and what is missing is one clear line."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from types import SimpleNamespace

import msgspec
import pytest
import structlog
from aiokafka.errors import AuthenticationFailedError

from ruptura.clients import KafkaUnavailable
from ruptura.settings import Settings
from ruptura.tools.demo.embedded import PARTITIONS, embedded_broker
from ruptura.worker import preflight


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with embedded_broker() as address:
        yield address


def with_broker(address: str, **kafka: object) -> Settings:
    default = Settings()
    return msgspec.structs.replace(
        default,
        kafka=msgspec.structs.replace(default.kafka, bootstrap_servers=address, **kafka),
    )


def test_topics_appear_on_a_broker_that_cannot_create_them(broker: str) -> None:
    settings = with_broker(broker)
    assert asyncio.run(preflight.check_topics(settings)) == PARTITIONS


def test_the_first_broker_that_answers_will_do(broker: str) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # and does not listen
        absent = f"127.0.0.1:{unheard.getsockname()[1]}"
        settings = with_broker(f"{absent},{broker}")
        assert asyncio.run(preflight.check_topics(settings)) == PARTITIONS


def test_a_broker_that_answers_passes_the_probe_whatever_topics_it_has(broker: str) -> None:
    assert asyncio.run(preflight.probe(with_broker(broker))) is None


def test_no_broker_is_one_line_that_names_it() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unheard.getsockname()[1]}"
        cause = asyncio.run(preflight.probe(with_broker(address)))
    assert cause is not None
    assert cause.startswith(f"cannot reach Kafka at {address}: ")
    assert "\n" not in cause


def test_a_broker_that_shows_no_topic_is_there_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def forbidden(*_arguments: object) -> dict[str, int]:
        raise preflight.NotReady("the broker denies access to topic t")

    monkeypatch.setattr(preflight, "_ask", forbidden)
    assert asyncio.run(preflight.probe(Settings())) is None


def test_credentials_that_are_refused_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def refusing(host: str, *_arguments: object) -> dict[str, int]:
        asked.append(host)
        raise AuthenticationFailedError("no such user")

    monkeypatch.setattr(preflight, "_ask", refusing)
    with pytest.raises(KafkaUnavailable, match="no such user"):
        asyncio.run(preflight.check_topics(with_broker("one:1,two:2")))
    assert asked == ["one"], "the next broker would refuse them too"


class Waiting:
    """A loop's time, in which brokers stay away for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.pauses: list[float] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def ask(self, *_arguments: object) -> dict[str, int]:
        if self.now < self.seconds:
            raise KafkaUnavailable("cannot reach Kafka at broker:1: connection refused")
        return dict.fromkeys(("a", "b"), 4)


def test_it_waits_for_hours_asks_every_few_seconds_and_says_so_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = Waiting(2 * 3600.0)
    monkeypatch.setattr(preflight, "_asked", waiting.ask)
    monkeypatch.setattr(
        preflight, "asyncio", SimpleNamespace(get_running_loop=lambda: waiting, sleep=waiting.sleep)
    )
    with structlog.testing.capture_logs() as said:
        found = asyncio.run(preflight._partitions(Settings().kafka, ["a", "b"]))
    assert found == {"a": 4, "b": 4}
    assert waiting.pauses[:5] == [0.5, 1.0, 2.0, 4.0, 5.0]
    assert set(waiting.pauses[4:]) == {5.0}
    assert 110 <= len(said) <= 120
    assert {(each["event"], each["cause"]) for each in said} == {
        ("waiting for Kafka", "cannot reach Kafka at broker:1: connection refused")
    }


def test_a_broker_that_starts_a_little_later_is_waited_for(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    ask = preflight._ask

    async def absent_at_first(*arguments: object) -> dict[str, int]:
        asked.append(arguments)
        if len(asked) < 3:
            raise OSError(111, "Connection refused")
        return await ask(*arguments)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(preflight, "_ask", absent_at_first)
    monkeypatch.setattr(preflight, "_FIRST_PAUSE_SECONDS", 0.001)
    assert asyncio.run(preflight.check_topics(with_broker(broker))) == PARTITIONS
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            {"ruptura.alerts": 0, "ruptura-state-changelog": 0},
            "no such topic: ruptura-state-changelog, ruptura.alerts; "
            "create them with `ruptura topics create`",
        ),
        (
            {"ruptura.channel-metrics": 8},
            "these topics must have equally many partitions: ruptura.tickets has 4, "
            "ruptura.channel-metrics has 8, ruptura-state-changelog has 4; "
            "see `ruptura topics check`",
        ),
        (
            {"ruptura-state-changelog": 1},
            "these topics must have equally many partitions: ruptura.tickets has 4, "
            "ruptura.channel-metrics has 4, ruptura-state-changelog has 1; "
            "see `ruptura topics check`",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, int], text: str
) -> None:
    monkeypatch.setattr(preflight, "_partitions", answering(found))
    with pytest.raises(preflight.NotReady) as refused:
        asyncio.run(preflight.check_topics(Settings()))
    assert str(refused.value) == text


def test_outputs_may_have_any_size_and_the_topics_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    found = dict.fromkeys(
        ("ruptura.tickets", "ruptura.channel-metrics", "ruptura-state-changelog"), 12
    )
    monkeypatch.setattr(preflight, "_partitions", answering({**found, "ruptura.alerts": 1}))
    assert asyncio.run(preflight.check_topics(Settings())) == 12


def answering(found: dict[str, int]) -> object:
    async def partitions(_kafka: object, names: list[str]) -> dict[str, int]:
        return {name: found.get(name, 4) for name in names}

    return partitions


def test_a_port_that_is_free_is_returned_and_zero_finds_one() -> None:
    port = preflight.free_port("127.0.0.1", 0)
    assert 0 < port < 65_536
    assert preflight.free_port("127.0.0.1", port) == port


def test_a_port_in_use_is_one_line_that_says_what_to_set() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(preflight.NotReady) as refused:
            preflight.free_port("127.0.0.1", port)
    assert str(refused.value) == (
        f"cannot serve metrics on 127.0.0.1:{port}: the port is in use; "
        "set worker.web_port (RUPTURA_WORKER__WEB_PORT) to another"
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_one_line(host: str) -> None:
    with pytest.raises(preflight.NotReady) as refused:
        preflight.free_port(host, 0)
    assert str(refused.value).startswith(f"cannot serve metrics on {host}:0: ")
    assert "\n" not in str(refused.value)
