"""Create the topics, and tell where those that exist differ from the settings.

Nothing that exists is changed: more partitions would move services to other partitions, away
from their state, and retention is the business of whoever set it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from kafka.admin import ConfigResource, KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from ruptura.assembly.build import changelog_topic, repartition_topics
from ruptura.clients import admin_client
from ruptura.settings import Settings
from ruptura.tools.topic_options import (
    OUTPUT_RETENTION_SECONDS,
    REPLICATION_FACTOR,
    RETENTION_SECONDS,
    TopicOptions,
)

DEFAULT: Final = TopicOptions()

_READY_MS = 10_000

STATE_BYTES: Final = 16 << 20
"""Largest state of a service: some thousand channels, or a few with very many open tickets."""

DEAD_LETTER_BYTES: Final = 2 << 20
"""Enough for any record of Kafka's default `max.message.bytes`, which is 1 MiB and a bit."""


class TopicsError(Exception):
    """The brokers refuse to create a topic; the text says which and why."""


class TopicShape(msgspec.Struct, frozen=True):
    """What is wanted of a topic.

    Attributes:
        name: Its name.
        partitions: How many it has.
        replication_factor: Copies of each record.
        configuration: By Kafka's keys.
        not_compared: Properties, named as in `Difference`, that a topic that exists may have
            otherwise.
    """

    name: str
    partitions: int
    replication_factor: int
    configuration: dict[str, str]
    not_compared: frozenset[str] = frozenset()


class Difference(msgspec.Struct, frozen=True):
    """One property of one topic that is not as the settings want it.

    Attributes:
        topic: Its name.
        property: `topic` (it is absent), `partitions`, `replication.factor`, or a configuration
            key of Kafka such as `retention.ms`.
        actual: What the brokers say; None where there is nothing.
        wanted: What the settings say.
    """

    topic: str
    property: str
    actual: str | None
    wanted: str

    def __str__(self) -> str:
        if self.property == "topic":
            return f"{self.topic}: does not exist"
        is_ = "unknown" if self.actual is None else self.actual
        return f"{self.topic}: {self.property} is {is_}, should be {self.wanted}"


class TopicsReport(msgspec.Struct, frozen=True):
    """Where the brokers stand against the settings.

    Attributes:
        created: Topics made just now, in the order of the settings.
        existing: Topics that were there before, in the same order.
        differences: What is not as it should be, absent topics included.
    """

    created: tuple[str, ...]
    existing: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as the settings want it."""
        return not self.differences


def wanted_topics(settings: Settings, options: TopicOptions = DEFAULT) -> tuple[TopicShape, ...]:
    """The topics of the settings: the inputs, alerts and dead letters out, and the worker's own.

    Those are its changelog, and with repartition one topic for each input. All have the same
    number of partitions, so that one worker owns all of a service.
    """
    topics = settings.topics
    inputs = _kept_for(options.retention_seconds, RETENTION_SECONDS)
    outputs = _kept_for(options.output_retention_seconds, OUTPUT_RETENTION_SECONDS)
    configurations = {
        **{name: dict(inputs) for name in topics.inputs.values()},
        **{name: dict(outputs) for name in topics.outputs.values()},
    }
    # A dead letter holds its record in Base64, a third larger, and a little more.
    configurations[topics.dead_letter]["max.message.bytes"] = str(DEAD_LETTER_BYTES)
    for internal in repartition_topics(settings).values():
        # As long as the inputs: a copy keeps the time of its record. As large as any of them.
        configurations[internal] = {
            **inputs,
            "message.timestamp.type": "CreateTime",
            "max.message.bytes": str(STATE_BYTES),
        }
    configurations[changelog_topic(settings)] = {
        "cleanup.policy": "compact",
        "max.message.bytes": str(STATE_BYTES),
        # Restoring reads what is not compacted yet, so it is kept short; but not before the
        # owner of a service has written it again, should a worker that was replaced write late.
        "segment.bytes": str(64 << 20),
        "min.cleanable.dirty.ratio": "0.1",
        "min.compaction.lag.ms": "600000",
    }
    copies = options.replication_factor
    return tuple(
        TopicShape(
            name,
            topics.partitions,
            REPLICATION_FACTOR if copies is None else copies,
            configuration,
            _not_compared(options, is_output=name in topics.outputs.values()),
        )
        for name, configuration in configurations.items()
    )


def _kept_for(seconds: int | None, default: int) -> dict[str, str]:
    kept = default if seconds is None else seconds
    return {"cleanup.policy": "delete", "retention.ms": str(kept * 1000)}


def _not_compared(options: TopicOptions, *, is_output: bool) -> frozenset[str]:
    kept = options.output_retention_seconds if is_output else options.retention_seconds
    asked = {"replication.factor": options.replication_factor, "retention.ms": kept}
    return frozenset(name for name, value in asked.items() if value is None)


def check(settings: Settings, options: TopicOptions = DEFAULT) -> TopicsReport:
    """Compare the topics of the brokers with the settings, and with what the options ask for.

    Raises:
        KafkaUnavailable: no broker answers within 10 s.
        SettingsError: the settings of the connection cannot be used.
    """
    with admin_client(settings.kafka) as admin:
        return _compare(admin, wanted_topics(settings, options), created=())


def create(settings: Settings, options: TopicOptions = DEFAULT) -> TopicsReport:
    """Create the topics that are absent, and compare those that exist.

    Raises:
        KafkaUnavailable: no broker answers within 10 s.
        SettingsError: the settings of the connection cannot be used.
        TopicsError: the brokers refuse a topic, for example for want of replicas.
    """
    wanted = wanted_topics(settings, options)
    with admin_client(settings.kafka) as admin:
        there = {topic["name"] for topic in admin.describe_topics()}
        created = _create(admin, [shape for shape in wanted if shape.name not in there])
        return _compare(admin, wanted, created)


def _create(admin: KafkaAdminClient, shapes: list[TopicShape]) -> tuple[str, ...]:
    if not shapes:
        return ()
    answer = admin.create_topics(
        {
            shape.name: {
                "num_partitions": shape.partitions,
                "replication_factor": shape.replication_factor,
                "configs": shape.configuration,
            }
            for shape in shapes
        },
        raise_errors=False,
    )
    errors = {topic["name"]: topic for topic in answer["topics"] if topic["error_code"]}
    refusals = [
        f"{name}: {topic.get('error_message') or for_code(topic['error_code']).__name__}"
        for name, topic in errors.items()
        # Somebody else was quicker: it exists, and is compared like the others.
        if topic["error_code"] != TopicAlreadyExistsError.errno
    ]
    if refusals:
        raise TopicsError(f"cannot create {'; '.join(refusals)}")
    created = tuple(shape.name for shape in shapes if shape.name not in errors)
    try:
        admin.wait_for_topics([shape.name for shape in shapes], timeout_ms=_READY_MS)
    except KafkaError as error:
        raise TopicsError(f"created, but not ready: {error}") from None
    return created


def _compare(
    admin: KafkaAdminClient, wanted: tuple[TopicShape, ...], created: tuple[str, ...]
) -> TopicsReport:
    found = {topic["name"]: topic for topic in admin.describe_topics()}
    present = [shape for shape in wanted if shape.name in found]
    configured: dict[str, dict[str, Any]] = {}
    if present:
        resources = [ConfigResource("TOPIC", shape.name) for shape in present]
        configured = admin.describe_configs(resources, config_filter="all").get("topic", {})
    return TopicsReport(
        created,
        tuple(shape.name for shape in present if shape.name not in created),
        tuple(
            difference
            for shape in wanted
            for difference in differences(
                shape, found.get(shape.name), configured.get(shape.name, {})
            )
        ),
    )


def differences(
    shape: TopicShape, found: dict[str, Any] | None, configured: dict[str, Any]
) -> list[Difference]:
    """Compare one topic with its wanted shape.

    Args:
        shape: What the settings want.
        found: The broker's description of the topic; None if it does not exist.
        configured: Its configuration, by key, each with its `value`.
    """
    if found is None:
        return [Difference(shape.name, "topic", None, "to exist")]
    partitions = found["partitions"]
    copies = sorted({len(partition["replica_nodes"]) for partition in partitions})
    pairs = [
        ("partitions", str(len(partitions)), str(shape.partitions)),
        ("replication.factor", " and ".join(map(str, copies)), str(shape.replication_factor)),
    ]
    for key, value in shape.configuration.items():
        pairs.append((key, configured.get(key, {}).get("value"), value))
    return [
        Difference(shape.name, name, actual, value)
        for name, actual, value in pairs
        if actual != value and name not in shape.not_compared
    ]
