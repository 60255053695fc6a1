"""The documents that Ruptura reads, and why a record is refused. Types only.

They are the contract: the JSON Schemas in `schemas/` are generated from them. Unknown fields are
ignored, so that producers may grow before Ruptura does.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, final, get_args

import msgspec
from msgspec import Meta

from ruptura.core.contracts.record import Record

MAX_MAGNITUDE = 1e15
"""Largest absolute value of a measurement: beyond it sums of doubles lose whole units."""

MAX_DOCUMENT_BYTES = 1 << 20
"""Largest document that is decoded; Kafka's own default for `message.max.bytes` is as much."""

LAST_MOMENT: Final = 221_845_392_000.0
"""Event times are before the year 9000, in seconds since the Unix epoch."""

Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 time with an offset.")]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
MetricName = Annotated[
    str,
    Meta(
        pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*\Z",
        max_length=128,
        description="A Prometheus metric name, in base units (for example request_seconds).",
    ),
]
TicketType = Literal[
    "opened",
    "updated",
    "transferred",
    "escalated",
    "reopened",
    "resolved",
    "closed",
    "abandoned",
    "rated",
]
ExceptionKind = Literal["product", "service", "policy"]


@final
class TicketEvent(msgspec.Struct, frozen=True, gc=False):
    """A step in the life of a contact."""

    event_id: Annotated[
        Identifier, Meta(description="Unique per event; a repeated one is dropped.")
    ]
    ticket_id: Identifier
    type: TicketType
    occurred_at: Instant
    service: Annotated[Name, Meta(description="The served unit, and the Kafka record key.")]
    channel: Name
    customer_id: Annotated[
        Identifier | None, Meta(description="Opaque; never a name or a document number.")
    ] = None
    category: Name | None = None
    exception: ExceptionKind | None = None
    priority: Name | None = None
    queue: Name | None = None
    handled_by: Literal["bot", "human"] | None = None
    wait_seconds: Seconds | None = None
    handle_seconds: Seconds | None = None
    resolution_seconds: Seconds | None = None
    rating: Annotated[int, Meta(ge=1, le=5, description="CSAT, 1 (worst) to 5 (best).")] | None = (
        None
    )
    attributes: dict[str, str] | None = None


class Measurement(msgspec.Struct, frozen=True, gc=False):
    """What `ChannelMetricEvent` says; the name of the metric is checked elsewhere."""

    event_id: Annotated[
        Identifier, Meta(description="Unique per event; a repeated one is dropped.")
    ]
    occurred_at: Instant
    service: Annotated[Name, Meta(description="The served unit, and the Kafka record key.")]
    channel: Name
    metric: str
    value: Annotated[float, Meta(ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)] | None = None
    numerator: Annotated[float, Meta(ge=0, le=MAX_MAGNITUDE)] | None = None
    denominator: Annotated[float, Meta(ge=0, le=MAX_MAGNITUDE)] | None = None


@final
class ChannelMetricEvent(Measurement, frozen=True, gc=False):
    """A measurement of a channel: either `value`, or `numerator` with `denominator`."""

    metric: MetricName


class Reason(StrEnum):
    """Stable codes of rejections; they are the `reason` label and part of the dead letter."""

    NO_VALUE = "no_value"
    TOO_LARGE = "too_large"
    MALFORMED_JSON = "malformed_json"
    INVALID_FIELD = "invalid_field"
    MISSING_FIELD = "missing_field"
    VALUE_CHOICE = "value_choice"
    RATIO_OVER_ONE = "ratio_over_one"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    FUTURE_EVENT = "future_event"
    UNKNOWN_TOPIC = "unknown_topic"
    TOO_MANY_SERIES = "too_many_series"


@final
class Rejection(msgspec.Struct, frozen=True, gc=False):
    """Why a record was refused.

    Attributes:
        record: The record, with its original bytes.
        reason: A stable code.
        text: A sentence that names the path in the document, for example `$.rating`.
    """

    record: Record
    reason: Reason
    text: str


Event = TicketEvent | Measurement

DocumentKind = Literal["tickets", "channel_metrics"]
"""What an input topic holds; its name is that of the setting which names the topic."""

DOCUMENT_KINDS: Final[tuple[DocumentKind, ...]] = get_args(DocumentKind)
"""All kinds, in the order of their topics."""
