"""Eight months of real emergency calls: five feed gaps, a blizzard, a storm, one lost hour.

All of that lies in the first five, which every run of the suite replays.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import pytest

from ruptura.settings import ServiceSettings
from tests.replay.conftest import Replayed, Replayer

CHANNELS = 3


class Span(NamedTuple):
    """How much of the recording is replayed: until when, its whole weeks and its calls."""

    until: str | None
    weeks: int
    calls: int


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("2016-05-08T00:00:00-04:00", 21, 57_400), id="five months"),
        pytest.param((None, 37, 99_492), id="eight months", marks=pytest.mark.quality),
    ],
)
def span(request: pytest.FixtureRequest) -> Span:
    return Span(*request.param)


@pytest.fixture(scope="module")
def calls(replay_data: Replayer, span: Span) -> Replayed:
    service = ServiceSettings(time_zone="America/New_York")
    return replay_data("montgomery-911.toml", "montgomery-911.csv.gz", service, until=span.until)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("2015-12-17 22:52", "2015-12-18 07:11"),
        ("2015-12-18 22:32", "2015-12-19 08:40"),
        ("2016-04-12 10:41", "2016-04-12 13:16"),
        ("2016-04-12 18:52", "2016-04-12 21:10"),
        ("2016-05-01 12:57", "2016-05-02 03:01"),
    ],
)
def test_a_gap_of_the_feed_is_a_silence_before_it_ends(
    calls: Replayed, begin: str, end: str
) -> None:
    assert calls.told({"silence", "failure"}, begin, end)


def test_the_blizzard_is_a_surge(calls: Replayed) -> None:
    assert calls.told({"surge"}, "2016-01-23 00:00", "2016-01-23 23:59")


def test_the_february_storm_is_a_surge_within_the_evening(calls: Replayed) -> None:
    assert calls.told({"surge"}, "2016-02-24 19:30", "2016-02-24 23:00")


def test_the_hour_skipped_by_daylight_saving_is_no_silence(calls: Replayed) -> None:
    lost = calls.local("2016-03-13 01:00"), calls.local("2016-03-13 05:00")
    assert not [a for a in calls.alerts if lost[0] <= a.updated_at <= lost[1]]


def test_the_other_months_are_quiet(calls: Replayed, span: Span) -> None:
    opened = [alert for alert in calls.alerts if alert.reason == "opened"]
    assert len(opened) < CHANNELS * span.weeks / 2


def test_every_alert_ends(calls: Replayed) -> None:
    opened = {alert.alert_id for alert in calls.alerts}
    ended = {alert.alert_id: alert for alert in calls.alerts if alert.status == "resolved"}
    assert opened == set(ended)
    longest = max(a.updated_at - a.started_at for a in ended.values())
    assert longest < timedelta(days=2)


def test_nothing_is_refused_late_or_repeated(calls: Replayed, span: Span) -> None:
    summary = calls.summary
    assert summary.records == span.calls
    assert (summary.rejected, summary.late, summary.duplicates) == ({}, 0, 0)
