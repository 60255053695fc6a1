"""Documents: sent at once, safe once settled, and none too large to be sent at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError

from ruptura.core.contracts.document import Alert, Message
from ruptura.core.contracts.event import Reason, Rejection
from ruptura.core.contracts.record import Record
from ruptura.outputs import kafka as outbox
from ruptura.outputs.kafka import Outbox

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Topic:
    """A Faust topic whose broker answers as it is told."""

    def __init__(self, refuse: Callable[[bytes], Exception | None] = lambda _value: None) -> None:
        self.sent: list[tuple[bytes | None, bytes]] = []
        self.acknowledged = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._refuse = refuse

    async def send(self, key: bytes | None, value: bytes, force: bool) -> Awaitable[object]:
        assert force, "otherwise Faust attaches it to an event, and sends it much later"
        refusal = self._refuse(value)
        if isinstance(refusal, ProducerSendError | MessageSizeTooLargeError):
            raise refusal
        self.sent.append((key, value))

        async def landed() -> None:
            await self.gate.wait()
            if refusal is not None:
                raise refusal
            self.acknowledged += 1

        return asyncio.ensure_future(landed())


def alert() -> Alert:
    return Alert(
        alert_id="a", incident_id="i", sequence=3, status="warning", reason="opened",
        service="loja", channel="voz", kind="surge", risk=0.7, started_at=NOW, updated_at=NOW,
        signals=[], causes=[], actions=[],
        message=Message("", ""), labels={},
    )  # fmt: skip


def rejection(value: bytes = b"\xff", key: bytes | None = b"loja") -> Rejection:
    return Rejection(Record("t", 0, 7, 0.0, key, value), Reason.MALFORMED_JSON, "at `$`")


def run(scenario: Callable[[], Awaitable[Any]]) -> Any:
    async def scene() -> Any:
        return await scenario()

    return asyncio.run(scene())


def test_an_alert_is_keyed_by_its_service_and_safe_once_settled() -> None:
    async def scenario() -> None:
        alerts = Topic()
        alerts.gate.clear()
        subject = Outbox(alerts, Topic(), lambda _count: None)
        await subject.alert(alert())
        assert len(subject) == 1
        [(key, value)] = alerts.sent
        assert key == b"loja"
        assert json.loads(value)["alert_id"] == "a"
        settling = asyncio.ensure_future(subject.settle())
        await asyncio.sleep(0)
        assert not settling.done()
        alerts.gate.set()
        await settling
        assert (alerts.acknowledged, len(subject)) == (1, 0)

    run(scenario)


def test_a_dead_letter_counts_once_the_broker_has_it() -> None:
    async def scenario() -> None:
        letters, buried = Topic(), list[int]()
        letters.gate.clear()
        subject = Outbox(Topic(), letters, buried.append)
        await subject.bury(rejection())
        await asyncio.sleep(0.0)
        assert buried == []
        letters.gate.set()
        await subject.settle()
        assert buried == [1]
        assert letters.sent[0][0] == b"loja"

    run(scenario)


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_dead_letter_that_is_too_large_is_cut_instead_of_ending_the_worker(
    is_wrapped: bool,
) -> None:
    def too_large(value: bytes) -> Any:
        if len(value) < 1_000_000:
            return None
        error = MessageSizeTooLargeError("too large")
        if not is_wrapped:
            return error
        wrapped = ProducerSendError("of Faust")
        wrapped.__cause__ = error
        return wrapped

    async def scenario() -> None:
        letters, buried = Topic(too_large), list[int]()
        subject = Outbox(Topic(), letters, buried.append)
        await subject.bury(rejection(b"x" * 1_000_000, b"k" * 1_000))
        await subject.settle()
        [(key, value)] = letters.sent
        assert key is None, "which may be what is too large"
        assert json.loads(value)["offset"] == 7
        assert buried == [1]

    run(scenario)


def test_a_broker_that_takes_nothing_is_an_error_of_settle() -> None:
    async def scenario() -> None:
        buried = list[int]()
        letters = Topic(lambda _value: KafkaConnectionError("gone"))
        subject = Outbox(Topic(), letters, buried.append)
        await subject.bury(rejection())
        with pytest.raises(KafkaConnectionError):
            await subject.settle()
        assert buried == []

    run(scenario)


def test_another_failure_of_the_producer_is_not_mistaken_for_size() -> None:
    async def scenario() -> None:
        subject = Outbox(Topic(), Topic(lambda _value: ProducerSendError("else")), lambda _n: None)
        await subject.bury(rejection())
        with pytest.raises(ProducerSendError, match="else"):
            await subject.settle()

    run(scenario)


def test_the_engine_waits_while_too_many_letters_are_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "_MOST_UNDER_WAY", 3)

    async def scenario() -> None:
        letters = Topic()
        letters.gate.clear()
        subject = Outbox(Topic(), letters, lambda _count: None)
        for _ in range(3):
            await subject.bury(rejection())
        fourth = asyncio.ensure_future(subject.bury(rejection()))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not fourth.done()
        assert len(letters.sent) == 3
        letters.gate.set()
        await fourth
        await subject.settle()
        assert letters.acknowledged == 4

    run(scenario)


def test_what_bury_waits_for_is_waited_for_by_settle_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_MOST_UNDER_WAY", 1)

    async def scenario() -> None:
        letters, buried = Topic(), list[int]()
        letters.gate.clear()
        subject = Outbox(Topic(), letters, buried.append)
        await subject.bury(rejection())
        second = asyncio.ensure_future(subject.bury(rejection()))
        for _ in range(5):
            await asyncio.sleep(0)
        settling = asyncio.ensure_future(subject.settle())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not settling.done(), "the broker has not got the first one yet"
        assert not second.done()
        letters.gate.set()
        await settling
        await second
        assert len(subject) == 1, "the second one is still to be settled"
        await subject.settle()
        assert buried == [1, 1]

    run(scenario)
