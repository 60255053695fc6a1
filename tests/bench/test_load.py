"""The loads of the benchmarks are what they say they are."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from ruptura.core.contracts.event import ChannelMetricEvent, TicketEvent
from ruptura.core.contracts.record import Record
from ruptura.settings import Settings
from tests.bench import memory, restore
from tests.bench.latency import moments_needed
from tests.bench.load import METRICS, MINUTE, START, TICKETS, Load, is_in_surge, messages, rfc3339
from tests.simulation.contact_centre import engine, run

SMALL = Load(services=8, events_per_bucket=400, minutes=6, first_rupture=3, rupture_every=8)


def test_the_same_load_is_the_same_and_another_seed_another() -> None:
    assert list(messages(SMALL)) == list(messages(SMALL))
    other = msgspec.structs.replace(SMALL, seed=2)
    assert list(messages(SMALL)) != list(messages(other))


def test_it_holds_as_many_events_a_bucket_as_it_says() -> None:
    made = list(messages(SMALL))
    assert len(made) == SMALL.total
    minutes = Counter((int((message.at - START) // MINUTE), message.kind) for message in made)
    assert minutes == Counter(
        {(minute, TICKETS): 400 for minute in range(6)}
        | {(minute, METRICS): 8 * 4 for minute in range(6)}
    )


def test_it_is_in_order_of_time_and_every_service_stays_in_its_partition() -> None:
    made = list(messages(SMALL))
    assert all(a.at <= b.at for a, b in pairwise(made))
    places = {(message.key, message.partition) for message in made}
    assert len({key for key, _ in places}) == len(places) == 8
    assert {partition for _, partition in places} == {0, 1, 2, 3}


def test_every_document_is_one_that_the_worker_takes() -> None:
    kinds = Counter[str]()
    identities = set()
    for message in messages(SMALL):
        event: TicketEvent | ChannelMetricEvent
        if message.kind == TICKETS:
            event = msgspec.json.decode(message.value, type=TicketEvent)
        else:
            event = msgspec.json.decode(message.value, type=ChannelMetricEvent)
        assert event.service.encode() == message.key
        assert abs(event.occurred_at.timestamp() - message.at) < 0.002
        identities.add((message.kind, event.event_id))
        kinds[json.loads(message.value).get("type", "metric")] += 1
    assert len(identities) == SMALL.total
    assert {"opened", "updated", "resolved", "closed", "transferred", "rated", "metric"} == set(
        kinds
    )


def test_a_channel_in_surge_has_so_many_times_as_many_events() -> None:
    assert is_in_surge(SMALL, 0, 3)
    assert not is_in_surge(SMALL, 1, 3)  # its turn comes a minute later
    assert not is_in_surge(SMALL, 0, 2)
    events = Counter(
        message.key
        for message in messages(SMALL)
        if message.kind == TICKETS and int((message.at - START) // MINUTE) == 3
    )
    others = [count for key, count in events.items() if key != b"loja-000"]
    assert events[b"loja-000"] > 2.5 * sum(others) / len(others)


def test_the_engine_refuses_nothing_of_it_and_is_told_nothing_late() -> None:
    topics = Settings().topics
    inputs = [
        Record(
            topics.tickets if message.kind == TICKETS else topics.channel_metrics,
            message.partition,
            offset,
            message.at,
            message.key,
            message.value,
        )
        for offset, message in enumerate(messages(SMALL))
    ]
    effects = run(engine(), inputs)
    assert sum(effects.consumed.values()) == SMALL.total
    refused = (effects.rejections, effects.late, effects.duplicates, effects.misrouted)
    assert not any(refused)
    assert effects.buckets == 8 * (SMALL.minutes - 1)


def test_an_engine_made_for_its_memory_has_the_series_that_are_counted() -> None:
    held = memory.hold(60, 5)
    assert (held.channels, held.series) == (4, 60)  # fifteen of each channel


def test_the_channels_to_restore_are_all_made_in_the_first_minute() -> None:
    made = list(restore.load(channels=40, minutes=2))
    assert len(made) == 40 * 9 * 2
    first = {
        (document["service"], document["channel"])
        for document in map(json.loads, (message.value for message in made[: 40 * 9]))
    }
    assert len(first) == 40


def test_the_record_that_an_alert_needed_is_the_one_that_moved_the_slower_topic() -> None:
    needed = moments_needed(
        [
            ("tickets", 0, 100.0, 1_000.0),
            ("tickets", 0, 101.0, 1_095.0),
            ("tickets", 0, 102.0, 1_080.0),  # older than what came before: moves nothing
            ("metrics", 0, 103.0, 1_089.0),
            ("metrics", 0, 104.0, 1_090.0),
            ("tickets", 1, 99.0, 5_000.0),
        ],
        lateness=30.0,
    )
    assert needed(0, 1_060.0) == 104.0
    assert needed(0, 1_059.0) == 103.0
    assert needed(0, 1_066.0) is None  # no metric went so far
    assert needed(1, 1_060.0) == 99.0


@pytest.mark.parametrize("moment", [0.0, 0.25, 59.999])
def test_times_are_written_to_the_millisecond(moment: float) -> None:
    assert rfc3339(START + moment) == f"2026-03-02T00:00:{moment:06.3f}Z"
