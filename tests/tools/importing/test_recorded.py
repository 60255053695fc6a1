"""The shipped mappings, on the real exports that they were written for."""

from __future__ import annotations

import csv
import gzip
import io
import random
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ruptura.core.contracts.event import ChannelMetricEvent, Rejection, TicketEvent
from ruptura.core.ingest.decode import decode_channel_metric, decode_ticket
from ruptura.files.recording import read_envelopes, to_record
from ruptura.tools.importing.convert import ImportSummary, import_csv

MAPPINGS = Path(__file__).resolve().parents[3] / "deploy" / "mappings"
BRAZIL = ZoneInfo("America/Sao_Paulo")

Imported = tuple[ImportSummary, list[TicketEvent], list[ChannelMetricEvent], list[str]]


@pytest.fixture(scope="module")
def imported(
    data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Imported]:
    """Import a data set by its shipped mapping, once, and decode every record as a worker does."""

    @cache
    def load(mapping: str, source: str) -> Imported:
        output = tmp_path_factory.mktemp(mapping) / "out.jsonl"
        faults = io.StringIO()
        summary = import_csv(MAPPINGS / f"{mapping}.toml", [data_dir / source], output, faults)
        tickets: list[TicketEvent] = []
        metrics: list[ChannelMetricEvent] = []
        for batch in read_envelopes(output):
            for envelope in batch:
                record = to_record(envelope)
                if envelope.topic == "ruptura.tickets":
                    ticket = decode_ticket(record)
                    assert not isinstance(ticket, Rejection)
                    tickets.append(ticket)
                else:
                    metric = decode_channel_metric(record)
                    assert not isinstance(metric, Rejection)
                    metrics.append(metric)
        return summary, tickets, metrics, faults.getvalue().splitlines()

    return load


def local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


# Montgomery 911


def test_911_every_call_is_opened_once_at_its_local_time(
    imported: Callable[[str, str], Imported],
) -> None:
    summary, calls, _, faults = imported("montgomery-911", "montgomery-911.csv.gz")
    assert summary.rows == 99_492
    assert summary.events == {"opened": 99_492}
    assert faults == []
    assert Counter(call.channel for call in calls) == {
        "EMS": 48_877,
        "Traffic": 35_695,
        "Fire": 14_920,
    }
    assert len({call.event_id for call in calls}) == 99_492
    assert {call.service for call in calls} == {"montgomery-911"}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2015-12-17 22:52", "2015-12-18 07:11"),
        ("2015-12-18 22:32", "2015-12-19 08:40"),
        ("2016-04-12 10:41", "2016-04-12 13:16"),
        ("2016-04-12 18:52", "2016-04-12 21:10"),
        ("2016-05-01 12:57", "2016-05-02 03:01"),
    ],
)
def test_911_the_known_gaps_of_the_feed_are_gaps_of_the_recording(
    imported: Callable[[str, str], Imported], start: str, end: str
) -> None:
    _, calls, _, _ = imported("montgomery-911", "montgomery-911.csv.gz")
    first, last = (local(text, "America/New_York") for text in (start, end))
    inside = [c for c in calls if first + timedelta(minutes=1) < c.occurred_at < last]
    before = [c for c in calls if first - timedelta(minutes=30) < c.occurred_at <= first]
    assert inside == []
    assert before


def test_911_the_hour_that_daylight_saving_skips_is_no_gap(
    imported: Callable[[str, str], Imported],
) -> None:
    _, calls, _, _ = imported("montgomery-911", "montgomery-911.csv.gz")
    change = datetime(2016, 3, 13, 7, tzinfo=UTC)
    last = max(call.occurred_at for call in calls if call.occurred_at < change)
    first = min(call.occurred_at for call in calls if call.occurred_at >= change)
    # On the dispatcher's clock 01:56:01 and 03:07:00.
    assert first - last == timedelta(minutes=10, seconds=59)


# ServiceNow: the count of open incidents, once from the events and once from the file


def backlog_by_events(events: list[TicketEvent], at: list[datetime]) -> list[int]:
    """Opened and reopened, less resolved, less closed unless resolved; channel by channel."""
    counts, done, left = [], set(), list(reversed(events))
    backlog: Counter[str] = Counter()
    for moment in at:
        while left and left[-1].occurred_at <= moment:
            event = left.pop()
            incident = (event.channel, event.ticket_id)
            if event.type in ("opened", "reopened"):
                backlog[event.channel] += 1
                done.discard(incident)
            elif event.type in ("resolved", "closed") and incident not in done:
                backlog[event.channel] -= 1
                done.add(incident)
        assert min(backlog.values(), default=0) >= 0
        counts.append(backlog.total())
    return counts


def backlog_by_rows(path: Path, at: list[datetime]) -> list[int]:
    """Incidents opened, whose last row in the file no later than the moment is not done.

    Nothing of the importer is used here: a reader of the file, and local times as numbers.
    """

    @cache
    def clock(text: str) -> datetime:
        day, month, year, hour, minute = (int(part) for part in re.split("[/ :]", text))
        return datetime(year, month, day, hour, minute, tzinfo=BRAZIL)

    logs: dict[str, list[tuple[datetime, bool]]] = defaultdict(list)
    opened: dict[str, datetime] = {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["incident_state"] != "-100":
                done = row["incident_state"] in ("Resolved", "Closed")
                logs[row["number"]].append((clock(row["sys_updated_at"]), done))
                opened[row["number"]] = clock(row["opened_at"])
    counts = [0] * len(at)
    for number, log in logs.items():
        ended = max(time for time, _ in log)
        for i in range(bisect_left(at, opened[number]), len(at)):
            if at[i] >= ended and log[-1][1]:
                break  # done, and nothing comes after
            past = [done for time, done in log if time <= at[i]]
            counts[i] += not (past and past[-1])
    return counts


def moments() -> Iterator[datetime]:
    """Each midnight of the dense months, the mass closing by the minute, and chance."""
    start = datetime(2016, 2, 29, tzinfo=BRAZIL)
    yield from (start + timedelta(days=n) for n in range(100))
    evening = datetime(2016, 3, 24, 18, 35, tzinfo=BRAZIL)
    yield from (evening + timedelta(minutes=n) for n in range(30))
    rng = random.Random(2)
    yield from (start + timedelta(minutes=rng.randrange(355 * 24 * 60)) for _ in range(70))
    yield datetime(2018, 1, 1, tzinfo=BRAZIL)


def test_servicenow_the_backlog_by_events_is_the_plain_count_of_the_file(
    imported: Callable[[str, str], Imported], data_dir: Path
) -> None:
    _, events, _, _ = imported("servicenow", "servicenow-incidents.csv.gz")
    at = sorted(moments())
    by_rows = backlog_by_rows(data_dir / "servicenow-incidents.csv.gz", at)
    assert backlog_by_events(events, at) == by_rows
    assert max(by_rows) > 1_000
    assert by_rows[-1] == 0


def test_servicenow_each_step_of_an_incident_is_told_once(
    imported: Callable[[str, str], Imported],
) -> None:
    summary, events, _, faults = imported("servicenow", "servicenow-incidents.csv.gz")
    by_type = Counter(event.type for event in events)
    assert summary.rows == 141_712
    assert by_type == summary.events
    assert by_type["opened"] == len({event.ticket_id for event in events}) == 24_918
    assert by_type["reopened"] == 331
    # Each incident ends; 13 were closed without being resolved, 12 reopened after they were closed.
    assert by_type["resolved"] == 24_918 - 13 + 331
    assert by_type["closed"] == 24_918 + 12
    assert len({event.event_id for event in events}) == len(events)
    assert [line.split(":", 1)[1] for line in faults] == [
        f"{line}: unknown_value: incident_state is '-100'"
        for line in (115_643, 115_644, 124_509, 124_510, 124_511)
    ]


def test_servicenow_a_reopened_incident_is_resolved_again(
    imported: Callable[[str, str], Imported],
) -> None:
    _, events, _, _ = imported("servicenow", "servicenow-incidents.csv.gz")
    story = [
        (event.type, event.occurred_at.astimezone(BRAZIL).strftime("%m-%d %H:%M"))
        for event in events
        if event.ticket_id == "0006099"
    ]
    assert story == [
        ("opened", "03-11 14:50"),
        ("transferred", "03-11 16:10"),
        ("resolved", "03-24 12:15"),
        ("closed", "03-29 12:59"),
        ("reopened", "03-29 13:32"),
        ("resolved", "04-04 21:26"),
        ("closed", "04-09 21:59"),
    ]


def test_servicenow_transfers_are_the_reassignments_of_the_file(
    imported: Callable[[str, str], Imported], data_dir: Path
) -> None:
    summary, _, _, _ = imported("servicenow", "servicenow-incidents.csv.gz")
    highest: dict[str, int] = {}
    with gzip.open(
        data_dir / "servicenow-incidents.csv.gz", "rt", encoding="utf-8", newline=""
    ) as lines:
        for row in csv.DictReader(lines):
            highest[row["number"]] = int(row["reassignment_count"])
    # In this file the count starts at 0 and never rises by more than one.
    assert summary.events["transferred"] == sum(highest.values())


# consumidor.gov.br


def test_complaints_are_opened_answered_ended_and_rated_on_their_days(
    imported: Callable[[str, str], Imported],
) -> None:
    summary, events, _, faults = imported("consumidor-gov", "consumidor-gov.csv.gz")
    assert faults == []
    assert summary.events == {
        "opened": 45_772,
        "updated": 45_551,
        "resolved": 19_690,
        "closed": 45_772 - 19_690,
        "rated": 31_974,
    }
    opened = Counter(
        event.occurred_at.astimezone(BRAZIL).date().isoformat()
        for event in events
        if event.type == "opened"
    )
    assert opened["2014-12-16"] == 1_081
    assert opened["2014-06-27"] == 528
    ratings = Counter(event.rating for event in events if event.type == "rated")
    assert ratings == {1: 10_885, 2: 2_078, 3: 4_152, 4: 4_836, 5: 10_023}


def test_complaints_with_lost_accents_are_counted_with_the_others(
    imported: Callable[[str, str], Imported],
) -> None:
    _, events, _, _ = imported("consumidor-gov", "consumidor-gov.csv.gz")
    opened = [event for event in events if event.type == "opened"]
    damaged = {e.channel for e in opened} | {e.category or "" for e in opened}
    assert not any("\ufffd" in name for name in damaged)
    assert Counter(event.channel for event in opened)["telecom"] == 22_148 + 3_342
    assert Counter(event.category for event in opened)["Vício de Qualidade"] == 7_939 + 1_023
    kinds = Counter(event.exception for event in opened)
    assert None not in kinds
    assert set(kinds) == {"product", "service", "policy"}


# Cloud monitoring


def test_measurements_of_the_archive_have_names_units_and_parts(
    imported: Callable[[str, str], Imported],
) -> None:
    summary, _, metrics, faults = imported("cloud-monitoring", "cloud-monitoring.tgz")
    assert (summary.files, summary.rows) == (60, 225_445)
    assert summary.faults == {"missing_value": 42}
    assert all("application-crash-rate-1" in line for line in faults)
    assert len({(m.service, m.channel) for m in metrics}) == 60
    assert {(m.service, m.metric) for m in metrics} == {
        ("application-crash-rate-1", "crash_rate"),
        ("application-crash-rate-2", "crash_rate"),
        ("consumer-purchase-rate", "purchases"),
        ("data-ingress-rate", "ingress_rate"),
        ("ecommerce-api-incoming-rps", "requests_per_second"),
        ("middle-tier-api-dependency-latency", "request_seconds"),
        ("mongodb-application-rps", "requests_per_second"),
        ("mongodb-machine-rps", "requests_per_second"),
        ("service-unavailable", "unavailable_responses"),
    }
    first = next(m for m in metrics if m.channel == "outbound-01")
    assert first.value == pytest.approx(0.0833557407714307, rel=1e-12)
