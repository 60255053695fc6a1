"""The story of the demo is true: to the data, and of what the engine says about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.contracts.document import Alert
from ruptura.core.contracts.event import Rejection, TicketEvent
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.decode import decode_channel_metric, decode_ticket
from ruptura.files.recording import read_envelopes, to_record
from ruptura.outputs.memory import AlertList
from ruptura.settings import load
from ruptura.tools.demo.run import FOLDER
from ruptura.tools.demo.story import Act, Schedule, load_story
from ruptura.tools.replay import replay
from tests.tools.demo.extract import extract

BEGIN = datetime(2016, 3, 1, tzinfo=UTC)

acts = st.lists(st.tuples(st.floats(1, 1e6), st.floats(0.1, 100)), min_size=1, max_size=6).map(
    lambda pairs: [
        Act(BEGIN + timedelta(seconds=sum(length for length, _ in pairs[: i + 1])), seconds, "")
        for i, (_, seconds) in enumerate(pairs)
    ]
)


@given(acts, st.lists(st.floats(0, 7e6), min_size=2))
def test_what_happens_later_is_due_later_and_within_the_play(
    acts: Sequence[Act], offsets: list[float]
) -> None:
    schedule = Schedule(acts, BEGIN.timestamp())
    due = [schedule.due(BEGIN.timestamp() + offset) for offset in sorted(offsets)]
    assert all(earlier <= later + 1e-9 for earlier, later in pairwise(due))
    assert all(0.0 <= second <= schedule.seconds + 1e-9 for second in due)


@given(acts, st.floats(0.1, 1000))
def test_acts_begin_when_those_before_have_had_their_seconds_at_any_speed(
    acts: Sequence[Act], seconds: float
) -> None:
    schedule = Schedule(acts, BEGIN.timestamp(), seconds)
    whole = sum(act.seconds for act in acts)
    elapsed = 0.0
    assert schedule.due(BEGIN.timestamp()) == 0.0
    for act in acts:
        elapsed += act.seconds
        due = schedule.due(act.until.timestamp())
        assert math.isclose(due, elapsed / whole * seconds, rel_tol=1e-6)
    assert math.isclose(schedule.seconds, seconds, rel_tol=1e-9)


def test_the_end_of_an_act_belongs_to_the_next_one() -> None:
    first, second = Act(BEGIN, 1, "first"), Act(BEGIN + timedelta(days=1), 1, "second")
    schedule = Schedule([first, second], BEGIN.timestamp() - 60)
    assert schedule.act(BEGIN.timestamp() - 1) is first
    assert schedule.act(BEGIN.timestamp()) is second
    assert schedule.act(BEGIN.timestamp() + 1e9) is second


@pytest.fixture(scope="module")
def records() -> list[Record]:
    recording = FOLDER / load_story(FOLDER).recording
    return [to_record(envelope) for batch in read_envelopes(recording) for envelope in batch]


def test_the_bundled_recording_is_small_in_order_and_valid(records: list[Record]) -> None:
    story = load_story(FOLDER)
    assert (FOLDER / story.recording).stat().st_size < 2_000_000
    assert all(a.timestamp <= b.timestamp for a, b in pairwise(records))
    decoders = {
        "ruptura.tickets": decode_ticket,
        "ruptura.channel-metrics": decode_channel_metric,
    }
    for record in records:
        event = decoders[record.topic](record)
        assert not isinstance(event, Rejection)
        assert event.occurred_at.timestamp() == record.timestamp
        assert record.key == event.service.encode()


def test_the_acts_are_in_order_and_cover_the_recording(records: list[Record]) -> None:
    ends = [act.until.timestamp() for act in load_story(FOLDER).acts]
    assert records[0].timestamp < ends[0]
    assert all(a < b for a, b in pairwise(ends))
    assert records[-1].timestamp < ends[-1]


def test_the_story_counts_right(records: list[Record]) -> None:
    story = load_story(FOLDER)
    tickets = [r for r in records if r.topic == "ruptura.tickets"]
    assert f"{len(tickets):,} ticket events" in story.what
    assert f"{len(records) - len(tickets):,} measurements" in story.what
    monday = datetime(2016, 3, 7, 3, tzinfo=UTC).timestamp()  # midnight in Sao Paulo
    opened = 0
    for record in tickets:
        event = decode_ticket(record)
        assert isinstance(event, TicketEvent)
        opened += event.type == "opened" and 0 <= record.timestamp - monday < 86_400
    assert any(f"Monday: {opened} tickets" in act.text for act in story.acts)


def test_the_attribution_names_source_licence_and_changes() -> None:
    text = (FOLDER / "ATTRIBUTION.md").read_text()
    for told in ("10.24432/C57S4H", "creativecommons.org/licenses/by/4.0", "MIT License"):
        assert told in text
    assert text.count("Changes:") == 2
    for source in load_story(FOLDER).sources:
        assert "CC BY 4.0" in source or "MIT" in source


@pytest.fixture(scope="module")
def opened() -> list[Alert]:
    """The first document of each alert, from a replay of the bundled recording."""
    story = load_story(FOLDER)
    told = AlertList()
    replay([FOLDER / story.recording], load(FOLDER / story.settings, {}), sink=told)
    return [alert for alert in told.alerts if alert.reason == "opened"]


@pytest.mark.parametrize(
    ("service", "channel", "kind", "begin", "end"),
    [
        # The disruption by its label, and the surge by the hours of Monday, in UTC.
        ("data-ingress-rate", "ingress-05", "failure", "2016-03-04T21:33", "2016-03-05T02:11"),
        ("service-desk", "voice", "surge", "2016-03-07T11:00", "2016-03-07T19:00"),
    ],
)
def test_each_rupture_of_the_story_raises_an_alert_while_it_lasts(
    opened: list[Alert], service: str, channel: str, kind: str, begin: str, end: str
) -> None:
    moments = [
        alert.updated_at.strftime("%Y-%m-%dT%H:%M")
        for alert in opened
        if (alert.service, alert.channel, alert.kind) == (service, channel, kind)
    ]
    assert any(begin <= moment <= end for moment in moments), moments


def test_the_demo_is_quiet_otherwise(opened: list[Alert]) -> None:
    assert len(opened) <= 10, [(a.channel, a.kind, a.updated_at) for a in opened]


def test_the_recording_is_made_again_from_its_sources(data_dir: Path) -> None:
    with zstandard.open(FOLDER / load_story(FOLDER).recording) as stream:
        assert stream.read() == extract(data_dir)


def test_a_story_with_a_wrong_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "story.toml").write_text('recordings = "x"\n')
    with pytest.raises(msgspec.ValidationError, match="recordings"):
        load_story(tmp_path)
