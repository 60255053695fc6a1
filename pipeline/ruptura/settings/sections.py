"""Every setting, with its default, unit and range, as types.

The types are the documentation: `ruptura config show`, the reference and `deploy/ruptura.toml`
are made from the descriptions and bounds below. Units come from the names (`_seconds`,
`_buckets`) or stand in `extra`, as does when a change takes effect. What nobody has a reason to
change is no setting: it is a constant, with its reason, where it is used.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ruptura.core.contracts.event import DOCUMENT_KINDS, DocumentKind
from ruptura.settings.objectives import ForecastSettings
from ruptura.settings.section import NOW, RESTART, REWARM, TOPICS, Section
from ruptura.settings.services import ServiceSettings

MAX_TOPIC_NAME = 249
"""Letters that Kafka takes as the name of a topic."""

TopicName = Annotated[
    str,
    Meta(
        pattern="^[a-zA-Z0-9._-]+$",
        min_length=1,
        max_length=MAX_TOPIC_NAME,
        extra={"allowed": "1 to 249 letters, digits, dots, underscores or hyphens"},
    ),
]
Probability = Annotated[float, Meta(gt=0, lt=1, extra={"unit": "probability"})]


class KafkaSettings(Section, frozen=True):
    """How every client reaches the brokers."""

    bootstrap_servers: Annotated[
        str, Meta(min_length=1, description="host:port, several with commas.", extra=RESTART)
    ] = "localhost:9092"
    group_id: Annotated[
        str,
        Meta(
            pattern="^[a-zA-Z0-9._-]+$",
            min_length=1,
            max_length=200,
            description="Consumer group; also the id of the Faust app, and so part of topic names.",
            extra=RESTART | {"allowed": "1 to 200 letters, digits, dots, underscores or hyphens"},
        ),
    ] = "ruptura"
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Meta(description="Transport of every Kafka client.", extra=RESTART),
    ] = "PLAINTEXT"
    ssl_cafile: Annotated[
        str | None,
        Meta(
            description="PEM file of the authorities to trust; none: the system's.",
            examples=["/etc/ruptura/ca.pem"],
            extra=RESTART,
        ),
    ] = None
    ssl_certfile: Annotated[
        str | None,
        Meta(
            description="PEM file of the client's certificate.",
            examples=["/etc/ruptura/client.pem"],
            extra=RESTART,
        ),
    ] = None
    ssl_keyfile: Annotated[
        str | None,
        Meta(
            description="PEM file of the client's key; none: in ssl_certfile.",
            examples=["/etc/ruptura/client.key"],
            extra=RESTART,
        ),
    ] = None
    ssl_key_password: Annotated[
        str | None,
        Meta(
            description="Password of the client's key.",
            examples=["from the environment"],
            extra=RESTART | {"secret": True},
        ),
    ] = None
    ssl_check_hostname: Annotated[
        bool,
        Meta(
            description="Whether the broker's certificate must carry its host name.", extra=RESTART
        ),
    ] = True
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        Meta(description="SASL mechanism, where security_protocol has SASL.", extra=RESTART),
    ] = "PLAIN"
    sasl_username: Annotated[
        str | None,
        Meta(
            description="SASL user; needed where security_protocol has SASL.",
            examples=["ruptura"],
            extra=RESTART,
        ),
    ] = None
    sasl_password: Annotated[
        str | None,
        Meta(
            description="SASL password; needed with SASL.",
            examples=["from the environment"],
            extra=RESTART | {"secret": True},
        ),
    ] = None
    session_timeout_seconds: Annotated[
        float,
        Meta(
            ge=6,
            le=300,
            description="A worker silent for so long has left the group.",
            extra=RESTART,
        ),
    ] = 15.0

    def __repr__(self) -> str:
        """Name the brokers and nothing else: a log or a traceback must not show passwords."""
        return f"KafkaSettings(bootstrap_servers={self.bootstrap_servers!r}, ...)"


class TopicSettings(Section, frozen=True):
    """Names and shapes of the topics."""

    tickets: Annotated[TopicName, Meta(description="In: TicketEvent.", extra=RESTART)] = (
        "ruptura.tickets"
    )
    channel_metrics: Annotated[
        TopicName, Meta(description="In: ChannelMetricEvent.", extra=RESTART)
    ] = "ruptura.channel-metrics"
    alerts: Annotated[TopicName, Meta(description="Out: Alert.", extra=RESTART)] = "ruptura.alerts"
    dead_letter: Annotated[TopicName, Meta(description="Out: DeadLetter.", extra=RESTART)] = (
        "ruptura.dead-letter"
    )
    partitions: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Partitions that topics are created with; the most workers. A worker "
            "goes by what its topics have; with repartition, another number there warms up every "
            "series of every service anew.",
            extra=TOPICS | {"unit": "partitions"},
        ),
    ] = 4
    repartition: Annotated[
        bool,
        Meta(
            description="Whether to send records on to the partition of their service, through "
            "internal topics: for producers that use other keys. Twice the traffic.",
            extra=REWARM,
        ),
    ] = False

    @property
    def inputs(self) -> dict[DocumentKind, str]:
        """The names of the input topics by the kind of documents that they hold."""
        return {kind: getattr(self, kind) for kind in DOCUMENT_KINDS}

    @property
    def outputs(self) -> dict[str, str]:
        """The names of the output topics by what they hold."""
        return {"alerts": self.alerts, "dead_letter": self.dead_letter}


def repartition_topic(group_id: str, topic: str) -> str:
    """Name the topic through which records of an input topic are sent on, as Faust does."""
    return f"{group_id}-{topic}-repartition"


class WindowSettings(Section, frozen=True):
    """Event time, and the bounds of memory."""

    bucket_seconds: Annotated[
        int,
        Meta(ge=1, le=86_400, description="Length of a bucket; must divide a day.", extra=REWARM),
    ] = 60
    lateness_seconds: Annotated[
        float,
        Meta(ge=0, le=86_400, description="How late an event may come and still count.", extra=NOW),
    ] = 30.0
    max_future_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="How far an event may be ahead of the record's time.",
            extra=NOW,
        ),
    ] = 300.0
    idle_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=86_400,
            description="A source that was read to its end and stays silent for so long "
            "no longer holds back the watermark.",
            extra=NOW,
        ),
    ] = 30.0
    duplicate_seconds: Annotated[
        float, Meta(ge=0, le=86_400, description="How long an event_id is remembered.", extra=NOW)
    ] = 600.0
    expire_seconds: Annotated[
        int,
        Meta(
            ge=3600,
            le=31_536_000,
            description="A channel silent for so long is taken as gone.",
            extra=NOW,
        ),
    ] = 604_800
    max_channels: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Channels per partition; further are refused.",
            extra=NOW | {"unit": "channels"},
        ),
    ] = 20_000
    max_metrics: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Metrics per channel; further are refused.",
            extra=NOW | {"unit": "metrics"},
        ),
    ] = 200
    max_open_tickets: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000_000,
            description="Open tickets per channel; older are forgotten.",
            extra=NOW | {"unit": "tickets"},
        ),
    ] = 100_000


class DetectionSettings(Section, frozen=True):
    """What is normal, and when a deviation matters."""

    warm_up_seconds: Annotated[
        int,
        Meta(ge=0, le=31_536_000, description="Event time before a series is judged.", extra=NOW),
    ] = 86_400
    minimum_relative_effect: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="Least deviation, relative to the expectation.",
            extra=NOW | {"unit": "ratio"},
        ),
    ] = 0.5
    minimum_count_effect: Annotated[
        float,
        Meta(
            ge=0,
            le=1e9,
            description="Least deviation of a count, in events.",
            extra=NOW | {"unit": "events"},
        ),
    ] = 5.0


class AlertSettings(Section, frozen=True):
    """When the risk of a channel becomes an alert, and when it ends."""

    prior: Annotated[
        Probability,
        Meta(description="Probability of a rupture in a bucket without evidence.", extra=NOW),
    ] = 0.0001
    warning_risk: Annotated[
        Probability, Meta(description="Risk that opens an alert.", extra=NOW)
    ] = 0.5
    critical_risk: Annotated[
        Probability, Meta(description="Risk that makes it critical.", extra=NOW)
    ] = 0.95
    resolve_risk: Annotated[
        Probability, Meta(description="Risk below which it may end.", extra=NOW)
    ] = 0.1
    open_buckets: Annotated[
        int,
        Meta(
            ge=1,
            le=1440,
            description="Buckets in a row over the threshold that open an alert.",
            extra=NOW,
        ),
    ] = 2
    resolve_buckets: Annotated[
        int,
        Meta(
            ge=1, le=1440, description="Healthy buckets in a row that resolve an alert.", extra=NOW
        ),
    ] = 15
    update_seconds: Annotated[
        int, Meta(ge=0, le=86_400, description="Least event time between two updates.", extra=NOW)
    ] = 900


class WorkerSettings(Section, frozen=True):
    """The process."""

    web_host: Annotated[
        str, Meta(min_length=1, description="Address of the web server.", extra=RESTART)
    ] = "127.0.0.1"
    web_port: Annotated[
        int,
        Meta(
            ge=0,
            le=65_535,
            description="Port of /metrics, /healthz and /readyz.",
            extra=RESTART | {"unit": "port"},
        ),
    ] = 6066
    standby_replicas: Annotated[
        int,
        Meta(
            ge=0,
            le=10,
            description="Other workers that keep a copy of a partition's state, to take over fast.",
            extra=RESTART | {"unit": "workers"},
        ),
    ] = 1
    stop_seconds: Annotated[
        float,
        Meta(ge=1, le=300, description="Longest time that a clean stop may take.", extra=RESTART),
    ] = 20.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Lowest severity logged.", extra=NOW),
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"],
        Meta(description="JSON lines, or lines for people.", extra=RESTART),
    ] = "json"
    max_label_sets: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Channels exported one by one; the rest is `other`.",
            extra=RESTART | {"unit": "channels"},
        ),
    ] = 2_000


class Settings(Section, frozen=True):
    """All settings. One TOML file, then `RUPTURA_<SECTION>__<KEY>` from the environment."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    window: WindowSettings = WindowSettings()
    detection: DetectionSettings = DetectionSettings()
    alert: AlertSettings = AlertSettings()
    forecast: ForecastSettings = ForecastSettings()
    worker: WorkerSettings = WorkerSettings()
    services: Annotated[
        dict[str, ServiceSettings],
        Meta(description="By name; `default` for all others and for left out keys."),
    ] = msgspec.field(default_factory=dict)
