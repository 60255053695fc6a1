"""Times as people export them, and what daylight saving does to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.tools.importing.local_time import time_reader
from ruptura.tools.importing.mapping import Times

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("formats", "zone", "text", "rfc3339"),
    [
        (("iso",), NEW_YORK, "2015-12-10 17:40:00", "2015-12-10T22:40:00Z"),
        (("iso",), NEW_YORK, "2016-07-01T12:00:00.25", "2016-07-01T16:00:00.250000Z"),
        (("iso",), NEW_YORK, "2018-03-15T00:00:00Z", "2018-03-15T00:00:00Z"),
        (("iso",), NEW_YORK, "2018-03-15T00:00:00-03:00", "2018-03-15T03:00:00Z"),
        (("%d/%m/%Y %H:%M",), "America/Sao_Paulo", "29/2/2016 01:16", "2016-02-29T04:16:00Z"),
        (("%Y-%m-%d",), "America/Sao_Paulo", "2014-12-16", "2014-12-16T02:00:00Z"),
        (("%d.%m.%Y", "iso"), "UTC", "2014-12-16", "2014-12-16T00:00:00Z"),
        (("%Y-%m-%d %H:%M %z",), NEW_YORK, "2014-12-16 05:00 +0500", "2014-12-16T00:00:00Z"),
        (("unix",), NEW_YORK, "1449787200", "2015-12-10T22:40:00Z"),
        (("unix_ms",), NEW_YORK, "1449787200250", "2015-12-10T22:40:00.250000Z"),
    ],
)
def test_a_time_is_read_by_its_format_and_zone(
    formats: tuple[str, ...], zone: str, text: str, rfc3339: str
) -> None:
    milliseconds, written = time_reader(Times(formats=formats, zone=zone))(text)
    assert written == rfc3339
    assert milliseconds == round(datetime.fromisoformat(rfc3339).timestamp() * 1000)


def test_a_skipped_hour_is_shifted_forward() -> None:
    read = time_reader(Times(zone=NEW_YORK))
    assert read("2016-03-13 02:30:00") == read("2016-03-13 03:30:00")
    assert read("2016-03-13 02:30:00")[1] == "2016-03-13T07:30:00Z"


def test_a_skipped_midnight_is_the_first_moment_of_the_day() -> None:
    read = time_reader(Times(zone="America/Sao_Paulo"))
    assert read("2014-10-19")[1] == "2014-10-19T03:00:00Z"
    assert read("2014-10-19") == read("2014-10-19 01:00:00")


@pytest.mark.parametrize(
    ("ambiguous", "rfc3339"),
    [("earlier", "2016-11-06T05:30:00Z"), ("later", "2016-11-06T06:30:00Z")],
)
def test_a_repeated_hour_is_the_one_that_the_mapping_says(
    ambiguous: Literal["earlier", "later"], rfc3339: str
) -> None:
    read = time_reader(Times(zone=NEW_YORK, ambiguous=ambiguous))
    assert read("2016-11-06 01:30:00")[1] == rfc3339


def test_both_can_be_rejected() -> None:
    read = time_reader(Times(zone=NEW_YORK, ambiguous="reject", nonexistent="reject"))
    with pytest.raises(ValueError, match="occurs twice in America/New_York"):
        read("2016-11-06 01:30:00")
    with pytest.raises(ValueError, match="does not exist in America/New_York"):
        read("2016-03-13 02:30:00")
    assert read("2016-11-06 02:00:00")[1] == "2016-11-06T07:00:00Z"


@pytest.mark.parametrize(
    ("formats", "text", "message"),
    [
        (("iso",), "yesterday", "fits none of iso"),
        (("%d/%m/%Y", "unix"), "2016-01-01", "fits none of %d/%m/%Y, unix"),
        (("iso",), "1969-12-31", "is not between the years 1970 and 9000"),
        (("iso",), "9999-12-31T23:59:59-23:00", "is not between the years 1970 and 9000"),
        (("unix",), "nan", "fits none of unix"),
        (("unix",), "1e300", "is not between the years 1970 and 9000"),
        (("unix",), "inf", "is not between the years 1970 and 9000"),
    ],
)
def test_what_is_no_usable_time_is_said(formats: tuple[str, ...], text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        time_reader(Times(formats=formats))(text)


@given(
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2037, 1, 1)),  # noqa: DTZ001 - wall clocks
    st.sampled_from([NEW_YORK, "America/Sao_Paulo", "Australia/Lord_Howe", "UTC"]),
)
def test_every_wall_clock_time_is_read_as_the_zone_database_has_it(
    wall: datetime, zone: str
) -> None:
    wall = wall.replace(microsecond=0)
    milliseconds, _ = time_reader(Times(zone=zone))(wall.isoformat())
    back = datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(ZoneInfo(zone))
    # What the wall showed comes back, but for the times that no wall ever showed.
    exists = back.replace(tzinfo=None) == wall
    gap = wall.replace(tzinfo=ZoneInfo(zone))
    assert exists or gap.utcoffset() != gap.replace(fold=1).utcoffset()
