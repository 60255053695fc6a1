"""The documents on the topics, as Ruptura's contract says, and when each is born."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from ruptura.simulator.timeline import Timeline

_encode: Final = msgspec.json.Encoder().encode
_MINUTE_MS: Final = 60_000


class Ticket(msgspec.Struct, omit_defaults=True, gc=False):
    """A TicketEvent."""

    event_id: str
    ticket_id: str
    type: str
    occurred_at: str
    service: str
    channel: str
    customer_id: str
    category: str | None = None
    exception: str | None = None
    handled_by: str | None = None
    wait_seconds: float | None = None
    handle_seconds: float | None = None
    resolution_seconds: float | None = None
    rating: int | None = None


class Metric(msgspec.Struct, omit_defaults=True, gc=False):
    """A ChannelMetricEvent."""

    event_id: str
    occurred_at: str
    service: str
    channel: str
    metric: str
    value: float | None = None
    numerator: float | None = None
    denominator: float | None = None


class Born(msgspec.Struct, frozen=True, gc=False):
    """A document with the channel and the time of its event.

    Attributes:
        at: Seconds since the begin of the recording.
        channel: Index among the channels of the scenario.
        value: The document.
    """

    at: float
    channel: int
    value: bytes


class Stamps:
    """RFC 3339 times of a recording, to the millisecond."""

    def __init__(self, timeline: Timeline) -> None:
        self._minutes = [
            (timeline.begins + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:")
            for minute in range(timeline.minutes)
        ]
        self.seconds = timeline.minutes * 60.0

    def at(self, seconds: float) -> str:
        """Return the time so many seconds after the begin; before the end of the recording."""
        minute, rest = divmod(int(seconds * 1000.0), _MINUTE_MS)
        return f"{self._minutes[minute]}{rest // 1000:02d}.{rest % 1000:03d}Z"


def encode(document: Ticket | Metric) -> bytes:
    """Return a document as JSON."""
    return _encode(document)
