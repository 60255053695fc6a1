"""Topics of the benchmarks: made, filled, and how far a group has come in them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import kafka
import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from ruptura import clients
from ruptura.settings import Settings
from ruptura.tools import topics
from ruptura.tools.topic_options import TopicOptions
from tests.bench.children import BenchError
from tests.bench.load import METRICS, TICKETS, Load, Message, messages
from tests.integration.conftest import settings_for

OPTIONS = TopicOptions(retention_seconds=315_360_000)
_ANSWER_SECONDS = 10.0


def tuned(servers: str, name: str, **sections: Mapping[str, object]) -> Settings:
    """Settings with names of their own, for records of any age.

    Args:
        servers: Of the broker.
        name: Part of the names.
        sections: Keys of sections that differ from the defaults.
    """
    made = settings_for(servers, name)
    changes: dict[str, dict[str, object]] = {
        "worker": {"web_port": 0},
    }
    for section, keys in sections.items():
        changes.setdefault(section, {}).update(keys)
    return msgspec.structs.replace(
        made,
        **{
            section: msgspec.structs.replace(getattr(made, section), **keys)
            for section, keys in changes.items()
        },
    )


def topic_of(settings: Settings, kind: str) -> str:
    """The name of an input topic."""
    return {TICKETS: settings.topics.tickets, METRICS: settings.topics.channel_metrics}[kind]


def create(settings: Settings, *, broker_time: bool = False) -> None:
    """Make the topics of the settings that are absent.

    Args:
        settings: Their names.
        broker_time: Whether inputs and alerts get the broker's time at their append.
    """
    if broker_time:
        timed = (settings.topics.tickets, settings.topics.channel_metrics, settings.topics.alerts)
        with clients.admin_client(settings.kafka) as admin:
            admin.create_topics(
                {
                    shape.name: {
                        "num_partitions": shape.partitions,
                        "replication_factor": shape.replication_factor,
                        "configs": {
                            **shape.configuration,
                            "message.timestamp.type": "LogAppendTime",
                        },
                    }
                    for shape in topics.wanted_topics(settings, OPTIONS)
                    if shape.name in timed
                }
            )
    topics.create(settings, OPTIONS)


def producer(settings: Settings, linger_ms: float) -> Producer:
    """A producer without compression, quick enough for every benchmark."""
    return Producer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "enable.idempotence": True,  # a batch sent again must not change the order
            "linger.ms": linger_ms,
            "compression.type": "none",
            "queue.buffering.max.messages": 1_000_000,
        }
    )


def send(client: Producer, settings: Settings, message: Message) -> None:
    """Send a message to its topic and partition, with its event time as the record's."""
    name = topic_of(settings, message.kind)
    while True:
        try:
            client.produce(
                name, message.value, message.key, message.partition,
                timestamp=int(message.at * 1000),
            )  # fmt: skip
        except BufferError:
            client.poll(0.1)
        else:
            return


def fill(settings: Settings, load: Load) -> None:
    """Put a load into the input topics.

    Raises:
        BenchError: the broker has not taken all of it within a minute.
    """
    client = producer(settings, 50.0)
    for number, message in enumerate(messages(load)):
        send(client, settings, message)
        if not number % 10_000:
            client.poll(0)
    if client.flush(60):
        raise BenchError("the broker does not take the load")


class Standing:
    """How far a consumer group has come, as committed at the broker. The group hears nothing of it.

    Args:
        settings: Name the group.
        names: The topics.
    """

    def __init__(self, settings: Settings, names: Iterable[str]) -> None:
        self._admin = KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
        self._group = settings.kafka.group_id
        self._partitions = [
            kafka.TopicPartition(name, number)
            for name in names
            for number in range(settings.topics.partitions)
        ]

    def committed(self) -> int:
        """Records before the committed offsets; 0 while the broker has no answer."""
        try:
            found = self._admin.list_group_offsets({self._group: self._partitions})
        except KafkaError as error:
            if not error.retriable:
                raise
            return 0
        return sum(max(place.offset, 0) for place in found[self._group].values())

    def is_settled(self) -> bool:
        """Whether the group has members and is stable."""
        try:
            found = self._admin.describe_groups([self._group])[self._group]
        except KafkaError as error:
            if not error.retriable:
                raise
            return False
        return found["group_state"] == "Stable" and bool(found["members"])


def read_all(settings: Settings, names: Iterable[str]) -> Iterable[tuple[str, int, float, bytes]]:
    """Topic, partition, broker's time in seconds and value of all records in the topics now."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": "reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    partitions = [
        TopicPartition(name, number, 0)
        for name in names
        for number in range(settings.topics.partitions)
    ]
    left = sum(consumer.get_watermark_offsets(tp, _ANSWER_SECONDS)[1] for tp in partitions)
    consumer.assign(partitions)
    deadline = time.monotonic() + 60.0
    try:
        while left > 0:
            if time.monotonic() > deadline:
                raise BenchError("the topics cannot be read back within a minute")
            for record in consumer.consume(10_000, 0.5):
                if record.error() is None:
                    left -= 1
                    at = record.timestamp()[1] / 1000.0
                    topic, partition = record.topic() or "", record.partition() or 0
                    yield topic, partition, at, record.value() or b""
    finally:
        consumer.close()


class Ground(msgspec.Struct, frozen=True):
    """Where benchmarks run.

    Attributes:
        servers: Of the broker.
        folder: For logs and other files; gone afterwards.
        python: Our interpreter.
        baselines: The interpreter of the baselines' environment; it may be absent.
        runs: How many times each is measured.
    """

    servers: str
    folder: Path
    python: str
    baselines: Path
    runs: int
