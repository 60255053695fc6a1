"""The outputs of a worker: where what the engine leads to goes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError

from ruptura.core.contracts.effects import Effects
from ruptura.outputs.kafka import KafkaSink
from ruptura.outputs.prometheus.metrics import Metrics
from ruptura.outputs.sink import ImmediateSink, Sinks
from ruptura.settings import TopicSettings
from ruptura.worker import logs

RAW: Final[dict[str, Any]] = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}
"""Of every topic: bytes as they are, so that no message can break Faust's decoders."""

_log = structlog.get_logger("ruptura.worker")


def worker_sinks(app: faust.App, topics: TopicSettings, metrics: Metrics) -> Sinks:
    """Compose the sinks of a worker.

    Args:
        app: Whose producer sends.
        topics: The names of the topics.
        metrics: What is shown on /metrics.
    """
    kafka = KafkaSink(
        FaustTopic(app.topic(topics.alerts, acks=False, **RAW)),
        FaustTopic(app.topic(topics.dead_letter, acks=False, **RAW)),
        metrics.dead_lettered,
    )
    return Sinks(metrics, kafka, EffectsLog())


class FaustTopic:
    """A topic of Faust, as the Kafka sink sends to it.

    Args:
        topic: For bytes.
    """

    def __init__(self, topic: Any) -> None:
        self._topic = topic

    async def send(self, key: bytes | None, value: bytes) -> Awaitable[object]:
        """Hand a message to the producer; what is returned is done when the brokers have it.

        Raises:
            KafkaError: it is not taken; the awaitable raises these too.
            ProducerSendError: it is not taken, and Faust does not say why.
        """
        try:
            # By force: otherwise Faust attaches it to an event, and sends it much later.
            sent = await self._topic.send(key=key, value=value, force=True)
            return cast(Awaitable[object], sent)
        except ProducerSendError as error:
            if isinstance(error.__cause__, KafkaError):
                raise error.__cause__ from error
            raise


class EffectsLog(ImmediateSink):
    """Logs alerts, and services whose records are keyed by something else, once a while each.

    Args:
        clock: Monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._misrouted = logs.LogSampler()

    def apply(self, effects: Effects) -> None:
        """Log what there is to say of a step."""
        for alert in effects.alerts:
            _log.info(
                "alert",
                status=alert.status,
                reason=alert.reason,
                kind=alert.kind,
                service=alert.service,
                channel=alert.channel,
                risk=round(alert.risk, 3),
                alert_id=alert.alert_id,
                sequence=alert.sequence,
            )
        for service, count in effects.misrouted.items():
            sampled = self._misrouted.add(service, count, self._clock())
            if sampled is not None:
                _log.warning(
                    "records are not keyed by their service: its events may be scattered",
                    service=sampled[0],
                    records=sampled[1],
                )
