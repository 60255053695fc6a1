"""Handlers: one for every kind of document; what they add goes to one bucket of one channel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ruptura.core.contracts.event import DOCUMENT_KINDS, ChannelMetricEvent, TicketEvent
from ruptura.core.ingest.buckets import MetricSum
from ruptura.core.ingest.handlers import HANDLERS
from ruptura.core.ingest.open_buckets import OpenBuckets

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def measured(name: str, **fields: float) -> ChannelMetricEvent:
    return ChannelMetricEvent("e", NOON, "s", "c", name, **fields)


def add(channel: OpenBuckets, *events: Any, index: int = 7, most: int = 100) -> list[bool]:
    handler = HANDLERS["tickets" if isinstance(events[0], TicketEvent) else "channel_metrics"]
    place = handler.open(channel, index, most)
    return [handler.add(place, event, float(at)) for at, event in enumerate(events)]


def test_every_kind_of_document_has_a_handler() -> None:
    assert tuple(HANDLERS) == DOCUMENT_KINDS


def test_measurements_add_up_by_their_form() -> None:
    channel = OpenBuckets()
    assert (
        add(
            channel,
            measured("wait", value=2.0),
            measured("wait", value=4.0),
            measured("errors", numerator=1.0, denominator=9.0),
        )
        == [True] * 3
    )
    assert channel.metrics[7] == {
        "wait": MetricSum(2, 6.0, 0.0),
        "errors": MetricSum(1, 1.0, 9.0),
    }
    assert channel.sent_as == {"wait": "value", "errors": "ratio"}


def test_a_metric_that_has_no_room_leaves_nothing_behind() -> None:
    channel = OpenBuckets()
    assert add(channel, measured("a", value=1.0), most=1) == [True]
    assert add(channel, measured("b", value=1.0), index=8, most=1) == [False]
    assert not channel.holds(8)
    assert channel.sent_as == {"a": "value"}
    assert add(channel, measured("b", value=1.0), measured("a", value=2.0), index=8, most=1) == [
        False,
        True,
    ]
    assert channel.metrics[8] == {"a": MetricSum(1, 2.0, 0.0)}


@pytest.mark.parametrize("count", [1, 3])
def test_ticket_events_always_have_room(count: int) -> None:
    channel = OpenBuckets()
    events = [TicketEvent(f"e{n}", f"T{n}", "opened", NOON, "s", "c") for n in range(count)]
    assert add(channel, *events, most=0) == [True] * count
    assert channel.tickets[7].counts[0] == count
