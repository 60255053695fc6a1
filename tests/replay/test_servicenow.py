"""Three months of a real service desk: the backlog to the ticket, and quiet holidays."""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import pytest

from ruptura.core.contracts.effects import SeriesPoint
from ruptura.settings import ServiceSettings
from tests.replay.conftest import Replayed, Replayer

BRAZIL = ServiceSettings(time_zone="America/Sao_Paulo", country="BR")


def _backlog(point: SeriesPoint) -> bool:
    return point.series == "tickets.backlog"


class Span(NamedTuple):
    """How much of the recording is replayed: until when, its days, and the holidays in it."""

    until: str
    days: int
    holidays: tuple[str, ...]


# Every run of the suite replays the first month, which has a surge, a mass closing in the evening
# of the 24th, and a holiday. After May the log is a sparse tail: updates of old incidents.
@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("2016-03-28", 27, ("2016-03-25",)), id="March"),
        pytest.param(
            ("2016-06-01", 92, ("2016-03-25", "2016-04-21", "2016-05-26")),
            id="March to May",
            marks=pytest.mark.quality,
        ),
    ],
)
def span(request: pytest.FixtureRequest) -> Span:
    return Span(*request.param)


@pytest.fixture(scope="module")
def desk(replay_data: Replayer, span: Span) -> Replayed:
    return replay_data(
        "servicenow.toml",
        "servicenow-incidents.csv.gz",
        BRAZIL,
        keep=_backlog,
        until=f"{span.until}T00:00:00-03:00",
    )


def test_the_backlog_is_right_to_the_ticket(desk: Replayed, span: Span) -> None:
    """Against a plain count: a set of open tickets per channel, event by event."""
    observed = {(p.channel, p.start): p.observed for p in desk.points}
    assert len(observed) > 1_400 * span.days
    waiting: dict[str, set[str]] = {}
    counted: dict[tuple[str, float], int] = {}
    for line in desk.recording.read_bytes().splitlines():
        envelope = msgspec.json.decode(line)
        event = msgspec.json.decode(envelope["payload"])
        tickets = waiting.setdefault(event["channel"], set())
        if event["type"] in {"opened", "reopened"}:
            tickets.add(event["ticket_id"])
        elif event["type"] in {"resolved", "closed"}:
            tickets.discard(event["ticket_id"])
        bucket = math.floor(envelope["ts"] / 60_000) * 60.0
        counted[event["channel"], bucket] = len(tickets)
    shared = counted.keys() & observed.keys()
    assert len(shared) > 220 * span.days
    assert [key for key in sorted(shared) if counted[key] != observed[key]] == []


def test_a_holiday_pages_no_one(desk: Replayed, span: Span) -> None:
    for day in span.holidays:
        begin, end = desk.local(f"{day} 00:00"), desk.local(f"{day} 23:59")
        observed = [p for p in desk.points if begin.timestamp() <= p.start <= end.timestamp()]
        assert len(observed) >= 1_000, day
        opened = [a for a in desk.alerts if a.reason == "opened" and begin <= a.updated_at <= end]
        assert opened == []
        assert not desk.told({"surge", "failure", "silence"}, f"{day} 00:00", f"{day} 23:59")


def test_the_surge_of_the_first_monday_is_found(desk: Replayed) -> None:
    assert desk.told({"surge"}, "2016-03-07 09:00", "2016-03-07 17:00")


def test_nothing_is_refused_or_late(desk: Replayed) -> None:
    assert (desk.summary.rejected, desk.summary.late, desk.summary.duplicates) == ({}, 0, 0)
