"""Documents: sent at once, safe once flushed, and none too large to be sent at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import Reason, Rejection
from ruptura.core.contracts.facts import AlertFacts
from ruptura.core.contracts.record import Record
from ruptura.outputs.kafka import KafkaSink

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Topic:
    """A topic whose broker answers as it is told."""

    def __init__(
        self,
        refuse: Callable[[bytes], Exception | None] = lambda _value: None,
        *,
        is_told_at_once: bool = True,
    ) -> None:
        self._is_told_at_once = is_told_at_once
        self.sent: list[tuple[bytes | None, bytes]] = []
        self.acknowledged = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._refuse = refuse

    async def send(self, key: bytes | None, value: bytes) -> Awaitable[object]:
        refusal = self._refuse(value)
        if isinstance(refusal, MessageSizeTooLargeError) and self._is_told_at_once:
            raise refusal
        self.sent.append((key, value))

        async def landed() -> None:
            await self.gate.wait()
            if refusal is not None:
                raise refusal
            self.acknowledged += 1

        return asyncio.ensure_future(landed())


def alert(sequence: int = 3) -> AlertFacts:
    return AlertFacts(
        alert_id="a", incident_id="i", sequence=sequence, status="warning", reason="opened",
        service="loja", channel="voz", kind="surge", risk=0.7, started_at=NOW, updated_at=NOW,
        signals=[], causes=[], actions=[], labels={},
    )  # fmt: skip


def rejection(value: bytes = b"\xff", key: bytes | None = b"loja") -> Rejection:
    return Rejection(Record("t", 0, 7, 0.0, key, value), Reason.MALFORMED_JSON, "at `$`")


def run(scenario: Callable[[], Awaitable[Any]]) -> Any:
    async def scene() -> Any:
        return await scenario()

    return asyncio.run(scene())


def letters_of(*rejections: Rejection) -> Effects:
    return Effects(rejections=list(rejections))


def test_an_alert_is_keyed_by_its_service_and_safe_once_flushed() -> None:
    async def scenario() -> None:
        alerts = Topic()
        alerts.gate.clear()
        subject = KafkaSink(alerts, Topic(), lambda _count: None)
        subject.apply(Effects(alerts=[alert()]))
        assert subject.pending == 1
        await asyncio.sleep(0)
        [(key, value)] = alerts.sent
        assert key == b"loja"
        assert json.loads(value)["alert_id"] == "a"
        flushing = asyncio.ensure_future(subject.flush())
        await asyncio.sleep(0)
        assert not flushing.done()
        alerts.gate.set()
        await flushing
        assert (alerts.acknowledged, subject.pending) == (1, 0)

    run(scenario)


def test_alerts_are_sent_in_their_order_however_long_the_producer_takes_over_each() -> None:
    class Slow(Topic):
        async def send(self, key: bytes | None, value: bytes) -> Awaitable[object]:
            for _ in range(9 - 3 * json.loads(value)["sequence"]):
                await asyncio.sleep(0)
            return await super().send(key, value)

    async def scenario() -> None:
        alerts = Slow()
        subject = KafkaSink(alerts, Topic(), lambda _count: None)
        subject.apply(Effects(alerts=[alert(0), alert(1)]))
        subject.apply(Effects(alerts=[alert(2)]))
        await subject.flush()
        assert [json.loads(value)["sequence"] for _, value in alerts.sent] == [0, 1, 2]

    run(scenario)


def test_behind_an_alert_that_is_not_taken_none_is_sent() -> None:
    class Refuses(Topic):
        async def send(self, key: bytes | None, value: bytes) -> Awaitable[object]:
            if json.loads(value)["sequence"] == 1:
                raise KafkaConnectionError("gone")
            return await super().send(key, value)

    async def scenario() -> None:
        alerts = Refuses()
        subject = KafkaSink(alerts, Topic(), lambda _count: None)
        for sequence in range(4):
            subject.apply(Effects(alerts=[alert(sequence)]))
            await asyncio.sleep(0.0)
        with pytest.raises(KafkaConnectionError):
            await subject.flush()
        assert [json.loads(value)["sequence"] for _, value in alerts.sent] == [0]

    run(scenario)


def test_whoever_gives_up_a_flush_takes_nothing_back() -> None:
    async def scenario() -> None:
        letters, counted = Topic(), list[int]()
        letters.gate.clear()
        subject = KafkaSink(Topic(), letters, counted.append)
        subject.apply(letters_of(rejection()))
        flushing = asyncio.ensure_future(subject.flush())
        await asyncio.sleep(0.0)
        flushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flushing
        letters.gate.set()
        await subject.flush()
        assert (counted, subject.pending) == ([1], 0)

    run(scenario)


def test_a_dead_letter_counts_once_the_broker_has_it() -> None:
    async def scenario() -> None:
        letters, counted = Topic(), list[int]()
        letters.gate.clear()
        subject = KafkaSink(Topic(), letters, counted.append)
        subject.apply(letters_of(rejection()))
        await asyncio.sleep(0.0)
        assert counted == []
        letters.gate.set()
        await subject.flush()
        assert counted == [1]
        assert letters.sent[0][0] == b"loja"

    run(scenario)


@pytest.mark.parametrize("is_told_at_once", [True, False])
def test_a_dead_letter_that_is_too_large_is_cut_instead_of_ending_the_worker(
    is_told_at_once: bool,
) -> None:
    def too_large(value: bytes) -> Exception | None:
        return None if len(value) < 1_000_000 else MessageSizeTooLargeError("too large")

    async def scenario() -> None:
        letters, counted = Topic(too_large, is_told_at_once=is_told_at_once), list[int]()
        subject = KafkaSink(Topic(), letters, counted.append)
        subject.apply(letters_of(rejection(b"x" * 1_000_000, b"k" * 1_000)))
        await subject.flush()
        # What is refused at once was never sent; else the broker has refused the first.
        assert len(letters.sent) == (1 if is_told_at_once else 2)
        key, value = letters.sent[-1]
        assert key is None, "which may be what is too large"
        assert json.loads(value)["offset"] == 7
        assert counted == [1]

    run(scenario)


def test_a_broker_that_takes_nothing_is_an_error_of_every_flush() -> None:
    async def scenario() -> None:
        counted = list[int]()
        letters = Topic(lambda _value: KafkaConnectionError("gone"))
        subject = KafkaSink(Topic(), letters, counted.append)
        subject.apply(letters_of(rejection()))
        for _ in range(2):
            with pytest.raises(KafkaConnectionError):
                await subject.flush()
        assert counted == []
        assert subject.pending == 1, "it is not safe, and nothing may be committed"

    run(scenario)


def test_each_of_two_flushes_waits_for_all_that_was_applied_before_it() -> None:
    async def scenario() -> None:
        letters, counted = Topic(), list[int]()
        letters.gate.clear()
        subject = KafkaSink(Topic(), letters, counted.append)
        subject.apply(letters_of(rejection()))
        flushes = [asyncio.ensure_future(subject.flush()) for _ in range(2)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert not any(each.done() for each in flushes), "the broker has not got it yet"
        letters.gate.set()
        await asyncio.gather(*flushes)
        assert counted == [1]

    run(scenario)
