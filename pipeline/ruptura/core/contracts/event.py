"""Bytes to events: a document that does not fit becomes a Rejection, never an exception.

The types here are the contract: the JSON Schemas in `schemas/` are generated from them.
Unknown fields are ignored, so that producers may grow before Ruptura does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, Literal, final

import msgspec
from msgspec import Meta

from ruptura.core.contracts.record import Record

MAX_MAGNITUDE = 1e15
"""Largest absolute value of a measurement: beyond it sums of doubles lose whole units."""

MAX_DOCUMENT_BYTES = 1 << 20
"""Largest document that is decoded; Kafka's own default for `message.max.bytes` is as much."""

_MAX_TEXT = 200

_BACKSLASH = ord("\\")

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
    """What `ChannelMetricEvent` says; whether the metric's name is one is told elsewhere."""

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

TopicKind = Literal["tickets", "channel_metrics"]
"""What a topic holds."""

FAULTS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises where bytes are no document."""

_ticket_decoder = msgspec.json.Decoder(TicketEvent)
_metric_decoder = msgspec.json.Decoder(ChannelMetricEvent)
_measurement_decoder = msgspec.json.Decoder(Measurement)


def decode_ticket(record: Record) -> TicketEvent | Rejection:
    """Decode a document of the tickets topic. Raises nothing."""
    value = record.value
    if value is None or len(value) > MAX_DOCUMENT_BYTES:
        return _unreadable(record)
    try:
        return _ticket_decoder.decode(value)
    except FAULTS as error:
        return _rejection(record, error)


def decode_channel_metric(record: Record) -> ChannelMetricEvent | Rejection:
    """Decode a document of the channel-metrics topic. Raises nothing."""
    value = record.value
    if value is None or len(value) > MAX_DOCUMENT_BYTES:
        return _unreadable(record)
    try:
        event = _metric_decoder.decode(value)
    except FAULTS as error:
        return _rejection(record, error)
    fault = _choice_fault(record, event)
    return event if fault is None else fault


def decode_measurement(record: Record) -> Measurement | Rejection:
    """As `decode_channel_metric`, in half the time: a name is checked when it is new."""
    value = record.value
    if value is None or len(value) > MAX_DOCUMENT_BYTES:
        return _unreadable(record)
    try:
        event = read_measurement(value)
    except FAULTS:
        event = None
    return decode_channel_metric(record) if event is None else event


def read_measurement(value: bytes) -> Measurement | None:
    """Decode a document of the channel-metrics topic if that takes no more than a look.

    Documents that could name the metric twice, one of the names being none, take the long way, as
    do those that are to be refused.

    Args:
        value: At most `MAX_DOCUMENT_BYTES`.

    Returns:
        The event, or None where `decode_channel_metric` has to tell.

    Raises:
        FAULTS: it is no such document.
    """
    if _BACKSLASH in value or value.count(b'"metric"') != 1:
        return None
    event = _measurement_decoder.decode(value)
    if not _is_metric_name(event.metric):
        return None
    if event.value is None:
        if event.numerator is None or event.denominator is None:
            return None
        return event if event.numerator <= event.denominator else None
    return event if event.numerator is None and event.denominator is None else None


@lru_cache(maxsize=16_384)
def _is_metric_name(name: str) -> bool:
    try:
        msgspec.convert(name, MetricName)
    except msgspec.ValidationError:
        return False
    return True


def _choice_fault(record: Record, event: Measurement) -> Rejection | None:
    """Refuse a measurement that is neither a value nor a ratio."""
    if event.value is None:
        if event.numerator is None or event.denominator is None:
            return Rejection(
                record,
                Reason.VALUE_CHOICE,
                "Expected `value`, or `numerator` with `denominator` - at `$`",
            )
        if event.numerator > event.denominator:
            return Rejection(
                record,
                Reason.RATIO_OVER_ONE,
                "Expected `numerator` <= `denominator` - at `$.numerator`",
            )
    elif event.numerator is not None or event.denominator is not None:
        return Rejection(
            record,
            Reason.VALUE_CHOICE,
            "Expected `value` alone or `numerator` with `denominator`, got both - at `$.value`",
        )
    return None


DECODERS: Final[Mapping[TopicKind, Callable[[Record], Event | Rejection]]] = {
    "tickets": decode_ticket,
    "channel_metrics": decode_measurement,
}
"""The decoder of each kind of topic."""

READERS: Final[Mapping[TopicKind, Callable[[bytes], Event | None]]] = {
    "tickets": _ticket_decoder.decode,
    "channel_metrics": read_measurement,
}
"""The decoders of bytes behind them, for documents of at most `MAX_DOCUMENT_BYTES`: one that
raises FAULTS or returns None leaves it to the decoder of records to say what it is."""


def time_fault(record: Record, occurred_at: float, max_future: float) -> Rejection | None:
    """Refuse a time that would poison the clock: before 1970 or ahead of the broker's.

    Args:
        record: The record that carries the event.
        occurred_at: Event time in seconds since the Unix epoch.
        max_future: How far ahead of the broker's timestamp an event may be, in seconds.
    """
    if occurred_at - record.timestamp > max_future:
        return Rejection(
            record,
            Reason.FUTURE_EVENT,
            f"Expected a time at most {max_future:g} s ahead of the record's timestamp, "
            f"got {occurred_at - record.timestamp:.0f} s - at `$.occurred_at`",
        )
    if not 0.0 <= occurred_at < LAST_MOMENT:
        return Rejection(
            record,
            Reason.TIME_OUT_OF_RANGE,
            "Expected a time between the years 1970 and 9000 - at `$.occurred_at`",
        )
    return None


def _unreadable(record: Record) -> Rejection:
    if record.value is None:
        return Rejection(record, Reason.NO_VALUE, "Expected a document, got no value - at `$`")
    return Rejection(
        record,
        Reason.TOO_LARGE,
        f"Expected at most {MAX_DOCUMENT_BYTES} bytes, got {len(record.value)} - at `$`",
    )


def _rejection(record: Record, error: Exception) -> Rejection:
    if not isinstance(error, msgspec.ValidationError):
        text = "JSON is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return Rejection(record, Reason.MALFORMED_JSON, f"{text} - at `$`")
    fault, at, path = str(error).rpartition(" - at `")
    if not at:
        fault, path = path, "$`"
    missing = fault.startswith("Object missing required field")
    if len(fault) > _MAX_TEXT:  # an invalid choice is quoted whole
        fault = f"{fault[:_MAX_TEXT]}..."
    reason = Reason.MISSING_FIELD if missing else Reason.INVALID_FIELD
    return Rejection(record, reason, f"{fault} - at `{path}")
