"""Which page belongs to which rupture."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from ruptura.evaluation.matching import GRACE_SECONDS, judge
from ruptura.evaluation.pages import Page
from tests.evaluation.labelled_days import (
    CREEP,
    CREEPING,
    END,
    HOLIDAY,
    JUDGED_FROM,
    LATE,
    NOISY,
    OUTAGE,
    PERFECT,
    SUDDEN,
    labels,
    page,
)

_ENDED = SUDDEN.ends.timestamp()


def test_a_page_for_each_rupture_finds_them_and_nothing_is_false() -> None:
    verdict = judge(PERFECT, labels())
    assert [(r.name, r.told) for r in verdict.ruptures] == [
        ("creep", PERFECT[0].at),
        ("outage", PERFECT[1].at),
    ]
    assert (verdict.false_alarms, verdict.on_quiet, verdict.repeated) == ([], [], 0)


def test_without_pages_every_rupture_is_missed() -> None:
    verdict = judge((), labels())
    assert [r.told for r in verdict.ruptures] == [None, None]
    assert verdict.quiet == 1


def test_a_late_page_still_finds_its_rupture() -> None:
    assert [r.told for r in judge(LATE, labels()).ruptures] == [p.at for p in LATE]


def test_noise_is_counted_page_by_page() -> None:
    verdict = judge(NOISY, labels())
    assert [r.told for r in verdict.ruptures] == [NOISY[3].at, None]
    assert list(verdict.false_alarms) == [NOISY[n] for n in (1, 2, 6, 7, 8)]
    assert list(verdict.on_quiet) == [NOISY[7]]
    assert verdict.repeated == 1


def test_the_order_in_which_pages_are_given_does_not_matter() -> None:
    assert judge(NOISY[::-1], labels()) == judge(NOISY, labels())


@pytest.mark.parametrize(
    ("at", "belongs"),
    [
        (OUTAGE.timestamp() - 1.0, False),
        (OUTAGE.timestamp(), True),
        (_ENDED + GRACE_SECONDS, True),
        (_ENDED + GRACE_SECONDS + 1.0, False),
    ],
)
def test_a_rupture_can_be_told_from_its_onset_until_the_grace_after_its_end(
    at: float, *, belongs: bool
) -> None:
    verdict = judge([Page("aurora", "voice", at)], labels(SUDDEN))
    assert (verdict.ruptures[0].told is not None) is belongs
    assert len(verdict.false_alarms) == (not belongs)


def test_a_page_of_another_service_belongs_to_nothing() -> None:
    stranger = msgspec.structs.replace(PERFECT[1], service="boreal")
    verdict = judge([stranger], labels())
    assert len(verdict.false_alarms) == 1
    assert all(r.told is None for r in verdict.ruptures)


def test_of_two_ruptures_at_a_time_the_second_page_finds_the_second() -> None:
    second = msgspec.structs.replace(
        CREEPING, name="second", onset=CREEP + timedelta(minutes=30), channels=["voice"]
    )
    pages = [page(CREEP, minutes=40), page(CREEP, minutes=50), page(CREEP, minutes=60)]
    verdict = judge(pages, labels(CREEPING, second))
    assert [r.told for r in verdict.ruptures] == [pages[0].at, pages[1].at]
    assert (len(verdict.false_alarms), verdict.repeated) == (0, 1)


def test_a_rupture_that_begins_in_the_warm_up_is_not_judged() -> None:
    early = msgspec.structs.replace(SUDDEN, onset=JUDGED_FROM - timedelta(minutes=1))
    verdict = judge([page(JUDGED_FROM, minutes=1)], labels(early))
    assert (list(verdict.ruptures), list(verdict.false_alarms)) == ([], [])


def test_a_non_event_that_is_over_before_the_warm_up_is_not_counted() -> None:
    past = msgspec.structs.replace(
        labels().quiet[0], begins=JUDGED_FROM - timedelta(days=2), ends=JUDGED_FROM - timedelta(1)
    )
    assert judge((), msgspec.structs.replace(labels(), quiet=[past])).quiet == 0


def test_false_alarms_are_possible_in_the_judged_time_of_all_channels_but_for_ruptures() -> None:
    verdict = judge((), labels())
    fourteen_days = (END - JUDGED_FROM).total_seconds()
    creep = (CREEPING.ends - CREEPING.onset).total_seconds() + GRACE_SECONDS
    outage = (SUDDEN.ends - SUDDEN.onset).total_seconds() + GRACE_SECONDS
    free = (fourteen_days - creep) + (fourteen_days - creep - outage)
    assert verdict.channel_weeks == pytest.approx(free / 604_800.0)


def test_ruptures_that_overlap_take_away_their_common_time_once() -> None:
    inner = msgspec.structs.replace(
        CREEPING,
        name="inner",
        onset=CREEP + timedelta(hours=1),
        ends=CREEP + timedelta(hours=2),
    )
    assert judge((), labels(CREEPING, inner)).channel_weeks == pytest.approx(
        judge((), labels(CREEPING)).channel_weeks
    )


def test_a_page_on_the_day_after_a_holiday_is_false_but_not_on_it() -> None:
    verdict = judge([page(HOLIDAY, minutes=24 * 60 + 16)], labels())
    assert (len(verdict.false_alarms), len(verdict.on_quiet)) == (1, 0)
