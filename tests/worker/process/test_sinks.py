"""A worker's outputs: how Faust's producer is used, and what is logged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from faust.exceptions import ProducerSendError
from structlog.testing import capture_logs

from ruptura.core.contracts.effects import Effects
from ruptura.worker.process.sinks import EffectsLog, FaustTopic


class Topic:
    """A topic of Faust whose producer takes everything, or nothing."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self._refusal = refusal

    async def send(self, **arguments: Any) -> Awaitable[object]:
        if self._refusal is not None:
            raise self._refusal
        self.sent.append(arguments)
        done = asyncio.get_running_loop().create_future()
        done.set_result("metadata")
        return done


def test_a_message_is_sent_at_once_and_not_attached_to_an_event() -> None:
    async def scenario() -> object:
        return await (await FaustTopic(topic).send(b"loja", b"{}"))

    topic = Topic()
    assert asyncio.run(scenario()) == "metadata"
    assert topic.sent == [{"key": b"loja", "value": b"{}", "force": True}]


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_what_kafka_refuses_is_told_as_kafka_says_it(is_wrapped: bool) -> None:
    error: Exception = MessageSizeTooLargeError("too large")
    if is_wrapped:
        wrapped = ProducerSendError("of Faust")
        wrapped.__cause__ = error
        error = wrapped
    with pytest.raises(MessageSizeTooLargeError):
        asyncio.run(FaustTopic(Topic(error)).send(None, b"{}"))


def test_another_failure_of_the_producer_is_not_mistaken_for_kafkas() -> None:
    with pytest.raises(ProducerSendError, match="else"):
        asyncio.run(FaustTopic(Topic(ProducerSendError("else"))).send(None, b"{}"))


def test_a_service_whose_keys_are_wrong_is_logged_once_a_minute_with_their_number() -> None:
    moments = (0.0, 10.0, 20.0, 61.0)
    clock = iter(moments)
    subject = EffectsLog(lambda: next(clock))
    with capture_logs() as logged:
        for _ in moments:
            subject.apply(Effects(misrouted={"loja": 3}))
    assert [(line["service"], line["records"]) for line in logged] == [("loja", 3), ("loja", 9)]
