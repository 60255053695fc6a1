"""Bytes to events: a document that does not fit becomes a Rejection, never an exception."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from ruptura.core.contracts.event import (
    LAST_MOMENT,
    MAX_DOCUMENT_BYTES,
    ChannelMetricEvent,
    Measurement,
    MetricName,
    Reason,
    Rejection,
    TicketEvent,
)
from ruptura.core.contracts.record import Record

_MAX_TEXT: Final = 200  # characters of a reason

_BACKSLASH: Final = ord("\\")

FAULTS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises where bytes are no document."""

_ticket_decoder = msgspec.json.Decoder(TicketEvent)
_metric_decoder = msgspec.json.Decoder(ChannelMetricEvent)
_measurement_decoder = msgspec.json.Decoder(Measurement)

read_ticket: Final = _ticket_decoder.decode
"""Decodes a document of the tickets topic of at most `MAX_DOCUMENT_BYTES`; raises FAULTS."""


def decode_ticket(record: Record) -> TicketEvent | Rejection:
    """Decode a document of the tickets topic. Raises nothing."""
    value = record.value
    if value is None or len(value) > MAX_DOCUMENT_BYTES:
        return _unreadable(record)
    try:
        return read_ticket(value)
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
