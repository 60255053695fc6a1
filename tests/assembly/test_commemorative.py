"""Commemorative dates against calendars that are known."""

from __future__ import annotations

from datetime import date

import pytest

from ruptura.assembly.commemorative import commemorative_date
from ruptura.settings.services import COMMEMORATIVE_DATES


@pytest.mark.parametrize(
    ("name", "country", "day"),
    [
        ("black_friday", "BR", "2024-11-29"),
        ("black_friday", "BR", "2026-11-27"),
        ("cyber_monday", None, "2024-12-02"),  # in December: not "the last Monday of November"
        ("mothers_day", "BR", "2026-05-10"),
        ("mothers_day", "GB", "2026-03-15"),
        ("mothers_day", "FR", "2026-05-31"),
        ("mothers_day", "FR", "2023-06-04"),  # 28 May was Pentecost
        ("mothers_day", "PT", "2026-05-03"),
        ("mothers_day", "MX", "2026-05-10"),
        ("fathers_day", "BR", "2026-08-09"),
        ("fathers_day", "US", "2026-06-21"),
        ("fathers_day", "DE", "2026-05-14"),
        ("fathers_day", "PT", "2026-03-19"),
        ("valentines_day", "BR", "2026-06-12"),
        ("valentines_day", "US", "2026-02-14"),
        ("childrens_day", "BR", "2026-10-12"),
        ("consumer_day", "BR", "2026-03-15"),
        ("easter", "BR", "2026-04-05"),
        ("christmas_eve", None, "2026-12-24"),
    ],
)
def test_known_days(name: str, country: str | None, day: str) -> None:
    expected = date.fromisoformat(day)
    assert commemorative_date(name, country, expected.year) == expected


@pytest.mark.parametrize("name", COMMEMORATIVE_DATES)
def test_every_name_of_the_settings_has_a_day_in_every_year(name: str) -> None:
    for year in range(1990, 2090):
        for country in ("BR", "GB", "FR", "DE", None):
            assert commemorative_date(name, country, year).year == year
