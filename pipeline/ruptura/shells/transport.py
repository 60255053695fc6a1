"""Faust's Kafka driver, told how long a fetch may wait.

The stock driver of faust-streaming 0.15.3 asks the broker to hold a fetch for 1.5 seconds, and an
alert then waits that long for nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar

import faust
from faust.transport.drivers import aiokafka as driver


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust ships no types
    fetch_max_wait_ms: int = 500

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Read by aiokafka 0.14 when the consumer starts, which is later.
        if not hasattr(consumer, "_fetch_max_wait_ms"):
            raise RuntimeError("aiokafka has moved its fetch_max_wait_ms")
        consumer._fetch_max_wait_ms = self.fetch_max_wait_ms  # noqa: SLF001  # Faust has no setting
        return consumer


def transport_for(app: faust.App, fetch_max_wait_seconds: float) -> driver.Transport:
    """Return the transport of an app.

    Args:
        app: Its settings name the brokers.
        fetch_max_wait_seconds: Longest wait of the broker for more records.
    """

    class Thread(_Thread):
        fetch_max_wait_ms = max(1, round(fetch_max_wait_seconds * 1000))

    class Consumer(driver.Consumer):  # type: ignore[misc]  # Faust ships no types
        def _new_consumer_thread(self) -> Thread:
            return Thread(self, loop=self.loop, beacon=self.beacon)

    class Transport(driver.Transport):  # type: ignore[misc]  # Faust ships no types
        Consumer: ClassVar[type] = Consumer

    Transport.Consumer = Consumer
    return Transport(app.conf.broker_consumer, app)
