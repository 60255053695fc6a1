"""Records to topics, at once or evenly over a time, without a process of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from ruptura.core.contracts.record import Record
from ruptura.settings import Settings
from tests.simulation.contact_centre import METRICS, TICKETS


def named(told: Iterable[Record], settings: Settings) -> list[Record]:
    """Records of the simulation, under the names that the topics have in this test."""
    names = {TICKETS: settings.topics.tickets, METRICS: settings.topics.channel_metrics}
    return [msgspec.structs.replace(record, topic=names[record.topic]) for record in told]


def publish(settings: Settings, told: Iterable[Record]) -> None:
    """Publish records of the simulation, and wait until the broker has them."""
    publisher = Publisher(settings, named(told, settings))
    publisher.start()
    publisher.finish()


class Publisher(threading.Thread):
    """Publishes records evenly over a time, whatever becomes of the broker meanwhile.

    Args:
        settings: Where to.
        told: The records; each goes to its own partition.
        seconds: How long it takes.
        ahead: How many are published at once, at the start.
    """

    def __init__(
        self, settings: Settings, told: Sequence[Record], seconds: float = 0.0, ahead: int = 0
    ) -> None:
        super().__init__(name="publisher", daemon=True)
        self._servers = settings.kafka.bootstrap_servers
        self._told = told
        self._seconds = seconds
        self._ahead = ahead
        self._is_ahead = threading.Event()
        self._is_over = False
        self.faults: list[str] = []

    def run(self) -> None:
        # librdkafka's, which goes on by itself when the broker is back.
        producer = Producer(
            {
                "bootstrap.servers": self._servers,
                "enable.idempotence": True,  # so that offsets are those of the recording
                "linger.ms": 5,
                "message.timeout.ms": 120_000,
                "log_level": 0,
            }
        )
        try:
            self._send_all(producer)
            unsent = producer.flush(120.0)
            if unsent and not self._is_over:
                self.faults.append(f"{unsent} records are not acknowledged")
        except Exception as error:  # noqa: BLE001 - told by whoever waits for the thread
            self.faults.append(repr(error))
        finally:
            self._is_ahead.set()

    def _send_all(self, producer: Producer) -> None:
        paced = max(1, len(self._told) - self._ahead)
        began = time.monotonic()
        for number, record in enumerate(self._told):
            if self._is_over:
                break
            if number == self._ahead:
                producer.flush()
                self._is_ahead.set()
                began = time.monotonic()
            due = began + (number - self._ahead) / paced * self._seconds
            if due > time.monotonic() + 0.01:
                time.sleep(due - time.monotonic())
            producer.produce(
                record.topic,
                record.value,
                record.key,
                partition=record.partition,
                on_delivery=self._note,
            )
            producer.poll(0)

    def _note(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self.faults.append(str(error))

    def wait_ahead(self) -> None:
        """Wait until the records are there that are published at once."""
        assert self._is_ahead.wait(60.0), "the publisher is stuck"

    def stop(self) -> None:
        """Publish no more."""
        self._is_over = True
        self.join(30.0)

    def finish(self, limit: float = 300.0) -> None:
        """Wait for its end, and make sure that every record was acknowledged."""
        self.join(limit)
        assert not self.is_alive(), "the publisher is stuck"
        assert not self.faults, self.faults[:3]
