"""The calendar: local day and hour whatever the clocks do, opening hours, holidays."""

from __future__ import annotations

import math
import tracemalloc
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ruptura.core.ingest.calendar import Calendar, Phase, Planned, parse_opening_hours

ZONES = [
    "UTC",
    "America/Sao_Paulo",  # daylight saving changed at midnight: some days had no 00:00
    "America/New_York",
    "Asia/Kolkata",  # +5:30
    "Asia/Kathmandu",  # +5:45
    "Australia/Lord_Howe",  # daylight saving of half an hour
    "America/St_Johns",  # changed at one minute past midnight until 2011
    "Pacific/Apia",  # skipped a whole day in 2011
    "Africa/Monrovia",  # -0:44:30 until 1972
]


def calendar(zone: str = "UTC", *holidays: str, opening: list[str] | None = None) -> Calendar:
    days = {date.fromisoformat(day) for day in holidays}
    return Calendar(ZoneInfo(zone), days.__contains__, parse_opening_hours(opening or []))


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@given(
    st.sampled_from(ZONES),
    st.lists(st.integers(0, 4_102_444_800), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.25, 0.5]),
)
@example("America/Sao_Paulo", [1508036400 + step for step in (-1, 0, 1, 1800, 3600)], 0.0)
@example("Australia/Lord_Howe", [1570289400 + step for step in (-1, 0, 1, 1800, 3600)], 0.0)
@example("Asia/Kolkata", [1_500_000_000 + 60 * step for step in range(0, 1440, 7)], 0.5)
def test_date_and_hour_are_those_of_the_wall_clock(
    zone: str, seconds: list[int], fraction: float
) -> None:
    tested = calendar(zone)
    for second in seconds:
        local = datetime.fromtimestamp(second, ZoneInfo(zone))
        expected = local.hour + local.minute / 60 + (local.second + fraction) / 3600

        phase = tested.phase(second + fraction)

        assert phase.hour == pytest.approx(expected, abs=1e-9)
        assert phase.day_type == max(0, local.weekday() - 4)
        assert tested.local_date(second + fraction) == local.date()


@given(st.sampled_from(ZONES), st.floats(0, 4e9))
@example("UTC", math.nextafter(86_400.0, 0.0))
# Instants before local midnight, so near to 1970 that the sum of hour and fraction rounds up.
@example("America/Sao_Paulo", math.nextafter(10_800.0, 0.0))
@example("America/St_Johns", math.nextafter(12_600.0, 0.0))
def test_the_hour_stays_below_24(zone: str, timestamp: float) -> None:
    assert 0.0 <= calendar(zone).phase(timestamp).hour < 24.0


def test_the_hour_that_daylight_saving_skips_is_never_seen_and_the_repeated_one_twice() -> None:
    tested = calendar("America/New_York")

    spring = [tested.phase(at("2016-03-13T05:00") + 3600 * step).hour for step in range(4)]
    autumn = [tested.phase(at("2016-11-06T04:00") + 3600 * step).hour for step in range(4)]

    assert spring == [0.0, 1.0, 3.0, 4.0]
    assert autumn == [0.0, 1.0, 1.0, 2.0]


def test_day_types_are_working_day_saturday_sunday_and_holiday_before_all() -> None:
    tested = calendar("UTC", "2026-01-02", "2026-01-04")

    days = [tested.phase(at(f"2026-01-0{day}T12:00")).day_type for day in range(1, 6)]

    assert days == [0, 3, 1, 3, 0]


def test_a_holiday_is_a_local_day() -> None:
    tested = calendar("America/Sao_Paulo", "2016-04-21")

    assert tested.phase(at("2016-04-21T02:59:59")).day_type == 0
    assert tested.phase(at("2016-04-21T03:00")).day_type == 3
    assert tested.phase(at("2016-04-22T02:59:59")).day_type == 3
    assert tested.phase(at("2016-04-22T03:00")).day_type == 0


def test_without_opening_hours_a_service_is_always_open_also_on_holidays() -> None:
    assert calendar("UTC", "2026-01-01").phase(at("2026-01-01T03:00")) == Phase(3, 3.0, True)


# 2026-01-05 is a Monday, 2026-01-08 a holiday in these scenarios.
@pytest.mark.parametrize(
    ("opening", "opened", "closed"),
    [
        (
            ["mon-fri 08:00-18:00", "sat 09:00-13:00"],
            ["05T08:00", "05T17:59:59", "09T12:00", "10T09:00", "10T12:59"],
            ["05T07:59:59", "05T18:00", "10T13:00", "11T10:00", "08T12:00"],
        ),
        (
            ["22:00-06:00"],
            ["05T22:00", "06T05:59", "07T23:00", "09T22:00", "10T00:00"],
            # Closed on the holiday, and what would have begun on it is closed too.
            ["05T06:00", "05T21:59", "08T00:00", "08T05:00", "08T23:00", "09T05:00"],
        ),
        (["fri-mon 10:00-11:00"], ["09T10:00", "11T10:00", "12T10:59"], ["06T10:00", "07T10:00"]),
        (["mon,wed 10:15-10:45"], ["05T10:15", "07T10:44:59"], ["05T10:14:59", "06T10:30"]),
        (["mon 10:45-12:00"], ["05T10:45"], ["05T10:44:59"]),
        (["mon 00:00-24:00"], ["05T00:00", "05T23:59:59"], ["06T00:00"]),
        (["mon 20:00-00:00"], ["05T20:00", "05T23:59"], ["06T00:00", "05T00:00"]),
        (["MON  08:00-09:00"], ["05T08:30"], ["05T09:00"]),
    ],
)
def test_opening_hours(opening: list[str], opened: list[str], closed: list[str]) -> None:
    tested = calendar("UTC", "2026-01-08", opening=opening)

    assert {moment: tested.phase(at(f"2026-01-{moment}")).open for moment in opened + closed} == {
        **dict.fromkeys(opened, True),
        **dict.fromkeys(closed, False),
    }


def test_opening_hours_follow_the_wall_clock_through_daylight_saving() -> None:
    zone = "Europe/Berlin"
    tested = calendar(zone, opening=["08:00-18:00"])

    for day in ("2026-03-28", "2026-03-29", "2026-10-25"):
        assert not tested.phase(at(f"{day}T07:59:59", zone)).open
        assert tested.phase(at(f"{day}T08:00", zone)).open


@given(
    st.sampled_from(ZONES),
    st.integers(0, 1439),
    st.integers(0, 1440),
    st.integers(1_000_000_000, 1_800_000_000),
)
def test_open_means_that_the_local_minute_is_in_the_span(
    zone: str, begin: int, end: int, second: int
) -> None:
    if begin == end:
        return
    text = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    local = datetime.fromtimestamp(second, ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    inside = begin <= minute < end if begin < end else minute >= begin or minute < end

    assert calendar(zone, opening=[text]).phase(second).open is inside


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("always", "expected hours such as `mon-fri 08:00-18:00`"),
        ("", "expected hours such as"),
        ("mon 8:00-18:00", "expected hours such as"),
        ("mon-fry 08:00-18:00", "expected one of mon, tue, wed, thu, fri, sat, sun for fry"),
        ("mon 08:00-25:00", "expected a time from 00:00 to 24:00 for 25:00"),
        ("mon 08:60-09:00", "expected a time from 00:00 to 24:00 for 08:60"),
        ("mon 08:00-08:00", "the whole day is `00:00-24:00`"),
        ("mon 24:00-08:00", "a begin before its end"),
    ],
)
def test_hours_that_cannot_be_read_are_quoted(line: str, expected: str) -> None:
    with pytest.raises(ValueError, match="got ") as caught:
        parse_opening_hours(["mon 08:00-09:00", line])

    assert str(caught.value).startswith(f"got {line!r}")
    assert expected in str(caught.value)


def test_the_cache_forgets_and_answers_the_same() -> None:
    tested = calendar("America/New_York")
    begin = at("2016-01-01T00:30", "UTC")
    moments = [begin + 3600.0 * step for step in range(3000)]

    first = [tested.phase(moment) for moment in moments]

    assert [tested.phase(moment) for moment in moments] == first


def test_years_of_hours_take_no_more_room_than_some_weeks() -> None:
    begin = at("2016-01-01T00:30", "UTC")

    def room(hours: int) -> int:
        tested = calendar("America/New_York")
        tracemalloc.start()
        for step in range(hours):
            tested.phase(begin + 3600.0 * step)
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return taken

    assert room(6000) < 1.5 * room(1000)


def test_no_holidays_are_asked_for_twice_in_an_hour() -> None:
    asked: list[date] = []

    def is_holiday(day: date) -> bool:
        asked.append(day)
        return False

    tested = Calendar(ZoneInfo("UTC"), is_holiday)
    start = datetime(2026, 1, 5, 10, tzinfo=UTC).timestamp()
    for step in range(60):
        tested.phase(start + 60.0 * step)

    assert asked == [date(2026, 1, 5)]


def test_a_commemorative_date_is_a_local_day_of_any_kind() -> None:
    zone = "America/Sao_Paulo"
    friday = date(2026, 11, 27)
    tested = Calendar(ZoneInfo(zone), lambda _: False, is_commemorative=lambda day: day == friday)

    moments = ["26T23:59:59", "27T00:00", "27T23:59:59", "28T00:00"]
    phases = [tested.phase(at(f"2026-11-{moment}", zone)) for moment in moments]

    assert [phase.commemorative for phase in phases] == [False, True, True, False]
    assert [phase.day_type for phase in phases] == [0, 0, 0, 1]


def test_planned_windows_mute_and_stop_learning_each_on_its_own() -> None:
    windows = [
        Planned(at("2026-01-05T10:30"), at("2026-01-05T11:30"), mute=True, learn=True),
        Planned(at("2026-01-05T11:00"), at("2026-01-05T12:00"), mute=False, learn=False),
    ]
    tested = Calendar(ZoneInfo("UTC"), lambda _: False, planned=windows)

    found = {
        moment: (phase.muted, phase.learns)
        for moment in ("10:29", "10:30", "11:00", "11:30", "11:59", "12:00")
        if (phase := tested.phase(at(f"2026-01-05T{moment}")))
    }

    assert found == {
        "10:29": (False, True),
        "10:30": (True, True),
        "11:00": (True, False),  # both
        "11:30": (False, False),
        "11:59": (False, False),
        "12:00": (False, True),
    }


def test_a_bucket_has_the_phase_of_its_middle_under_each_planned_window_that_it_touches() -> None:
    begin = at("2026-01-05T10:30")
    window = Planned(begin + 15.0, begin + 65.0, mute=True, learn=False)
    tested = Calendar(ZoneInfo("UTC"), lambda _: False, planned=[window])
    muted = [
        tested.phase_of_bucket(begin + 60.0 * n, begin + 60.0 * (n + 1)).muted for n in range(-1, 3)
    ]
    assert muted == [False, True, True, False]
    phase = tested.phase_of_bucket(begin, begin + 60.0)
    assert (phase.hour, phase.learns) == (10.0 + 30.5 / 60.0, False)
    beside = tested.phase_of_bucket(begin + 65.0, begin + 125.0)
    assert (beside.muted, beside.learns) == (False, True)
