"""The demo's two Kafka clients: one plays a recording, one reads the alerts back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    Message,
    Producer,
    TopicPartition,
)

from ruptura.core.contracts.document import Alert
from ruptura.core.contracts.record import Record
from ruptura.files.recording import read_envelopes, to_record

_METADATA_SECONDS = 5.0
_FLUSH_SECONDS = 5.0
_MOST_AT_ONCE = 1000
_QUIET = {"log_level": 0}  # a broker that is stopped on purpose is no news


class Player:
    """Sends the records of a recording when they are due; times of publication are of now.

    Args:
        bootstrap_servers: Of the broker.
        recording: In order of time.
        due: From the time of a record to the second of the play in which it is due.
    """

    def __init__(
        self, bootstrap_servers: str, recording: Path, due: Callable[[float], float]
    ) -> None:
        # The partitioner of Kafka's own clients, so that a key lands where they would put it.
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                **_QUIET,
            }
        )
        self._records = _records(recording)
        self._next = next(self._records, None)
        self._due = due
        self.sent = 0
        self.moment: float | None = None
        self.failed: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether every record was sent."""
        return self._next is None

    def make_topics(self, topics: Sequence[str]) -> None:
        """Make topics appear: the embedded broker makes those that a client asks for."""
        for topic in topics:
            self._producer.list_topics(topic, timeout=_METADATA_SECONDS)

    def play(self, second: float) -> None:
        """Send what is due by a second of the play, at most a thousand records at a time."""
        for _ in range(_MOST_AT_ONCE):
            record = self._next
            if record is None or self._due(record.timestamp) > second:
                break
            self._producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                on_delivery=self._delivered,
            )
            self.sent += 1
            self.moment = record.timestamp
            self._next = next(self._records, None)
        self._producer.poll(0)

    def close(self) -> None:
        """Deliver what is still on its way, for at most 5 s."""
        self._producer.flush(_FLUSH_SECONDS)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self.failed = str(error)


def _records(recording: Path) -> Iterator[Record]:
    for batch in read_envelopes(recording):
        yield from map(to_record, batch)


class AlertConsumer:
    """Reads alerts from the beginning of their topic.

    Args:
        consumer: With the partitions assigned.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._decoder = msgspec.json.Decoder(Alert)
        self.alerts: list[Alert] = []

    def fetch(self) -> list[Alert]:
        """Take what has come, without waiting; return the new ones."""
        messages = self._consumer.consume(_MOST_AT_ONCE, timeout=0)
        new = [
            self._decoder.decode(value)
            for message in messages
            if message.error() is None and (value := message.value()) is not None
        ]
        new.sort(key=lambda alert: alert.updated_at)
        self.alerts += new
        return new


@contextmanager
def open_alert_consumer(
    bootstrap_servers: str, topic: str, partitions: int
) -> Iterator[AlertConsumer]:
    """Read the alerts of a topic, from its beginning."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "ruptura-demo-screen",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 100,
            **_QUIET,
        }
    )
    try:
        # Assigned, not subscribed: no group has to settle first.
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
        yield AlertConsumer(consumer)
    finally:
        consumer.close()
