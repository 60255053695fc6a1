"""Eight months of real emergency calls: five feed gaps, a blizzard, a storm, one lost hour.

Every run of the suite replays twelve weeks of them, which hold the shortest gaps.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import pytest

from ruptura.settings import ServiceSettings
from tests.replay.conftest import Replayed, Replayer

CHANNELS = 3
Stretch = tuple[str, str]

WINTER_GAPS = (
    ("2015-12-17 22:52", "2015-12-18 07:11"),
    ("2015-12-18 22:32", "2015-12-19 08:40"),
)
SPRING_GAPS = (
    ("2016-04-12 10:41", "2016-04-12 13:16"),
    ("2016-04-12 18:52", "2016-04-12 21:10"),
    ("2016-05-01 12:57", "2016-05-02 03:01"),
)
BLIZZARD = ("2016-01-23 00:00", "2016-01-23 23:59")
STORM = ("2016-02-24 19:30", "2016-02-24 23:00")
"""A surge that is found within the evening."""


class Span(NamedTuple):
    """How much of the recording is replayed, and what is in it; all times are local.

    Attributes:
        since, until: None: from its begin, to its end.
        weeks: Whole ones.
        calls: How many the file has in them.
        gaps, surges: Between which two times each is, or has to be told.
    """

    since: str | None
    until: str | None
    weeks: int
    calls: int
    gaps: tuple[Stretch, ...]
    surges: tuple[Stretch, ...]


SPRING = Span(
    "2016-02-08T00:00:00-05:00", "2016-05-04T00:00:00-04:00", 12, 32_087, SPRING_GAPS, (STORM,)
)
WHOLE = Span(None, None, 36, 99_492, WINTER_GAPS + SPRING_GAPS, (BLIZZARD, STORM))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(SPRING, id="spring"),
        pytest.param(WHOLE, id="whole", marks=pytest.mark.quality),
    ],
)
def span(request: pytest.FixtureRequest) -> Span:
    found: Span = request.param
    return found


@pytest.fixture(scope="module")
def calls(replay_data: Replayer, span: Span) -> Replayed:
    return replay_data(
        "montgomery-911.toml",
        "montgomery-911.csv.gz",
        ServiceSettings(time_zone="America/New_York"),
        since=span.since,
        until=span.until,
    )


def test_a_gap_of_the_feed_is_a_silence_before_it_ends(calls: Replayed, span: Span) -> None:
    missed = [gap for gap in span.gaps if not calls.told({"silence", "failure"}, *gap)]
    assert missed == []


def test_a_storm_and_a_blizzard_are_surges(calls: Replayed, span: Span) -> None:
    missed = [surge for surge in span.surges if not calls.told({"surge"}, *surge)]
    assert missed == []


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
