"""The calendar of each channel, by its service and the holidays of the library `holidays`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from ruptura.assembly.commemorative import commemorative_date
from ruptura.core.ingest.calendar import Calendar, Planned, parse_opening_hours
from ruptura.settings import PlannedWindow, ServiceSettings, Settings
from ruptura.settings.services import COMMEMORATIVE_DATES

_MAX_CALENDARS = 256


def calendar_for(service: str, channel: str, settings: Settings) -> Calendar:
    """The calendar of a channel by the settings of its service, else of `default`, else UTC.

    Channels with equal settings share one calendar.

    Args:
        service, channel: Names.
        settings: Loaded, and so checked, settings.
    """
    chosen = settings.services.get(service) or settings.services.get("default", ServiceSettings())
    return _calendar(
        time_zone=chosen.time_zone,
        country=chosen.country,
        subdivision=chosen.subdivision,
        categories=tuple(chosen.holiday_categories),
        further=tuple(chosen.holidays),
        opening_hours=tuple(chosen.channel_hours.get(channel, chosen.opening_hours)),
        commemorative_dates=tuple(chosen.commemorative_dates),
        planned=tuple(chosen.planned),
    )


@lru_cache(maxsize=_MAX_CALENDARS)
def _calendar(
    *,
    time_zone: str,
    country: str | None,
    subdivision: str | None,
    categories: tuple[str, ...],
    further: tuple[str, ...],
    opening_hours: tuple[str, ...],
    commemorative_dates: tuple[str, ...],
    planned: tuple[PlannedWindow, ...],
) -> Calendar:
    days = frozenset(date.fromisoformat(day) for day in further)
    is_public = (lambda _: False) if country is None else _public(country, subdivision, categories)
    return Calendar(
        ZoneInfo(time_zone),
        lambda day: day in days or is_public(day),
        parse_opening_hours(opening_hours),
        is_commemorative=_commemorative(country, commemorative_dates),
        planned=[
            Planned(window.from_.timestamp(), window.until.timestamp(), window.mute, window.learn)
            for window in planned
        ],
    )


def _commemorative(country: str | None, wanted: tuple[str, ...]) -> Callable[[date], bool]:
    """Look up commemorative dates, by name or as dates, a year at a time."""
    names = [day for day in wanted if day in COMMEMORATIVE_DATES]
    dates = frozenset(date.fromisoformat(day) for day in wanted if day not in names)
    years: dict[int, frozenset[date]] = {}

    def is_commemorative(day: date) -> bool:
        known = years.get(day.year)
        if known is None:
            found = {commemorative_date(name, country, day.year) for name in names}
            known = years[day.year] = dates | found
        return day in known

    return is_commemorative


def _public(
    country: str, subdivision: str | None, categories: tuple[str, ...]
) -> Callable[[date], bool]:
    """Look up the holidays of a country, a year at a time.

    Categories that the country does not have are left out: the check at load has refused them
    unless they come from the default.
    """
    years: dict[int, frozenset[date]] = {}

    def is_holiday(day: date) -> bool:
        known = years.get(day.year)
        if known is None:
            known = years[day.year] = _year(country, subdivision, categories, day.year)
        return day in known

    return is_holiday


def _year(
    country: str, subdivision: str | None, categories: tuple[str, ...], year: int
) -> frozenset[date]:
    with warnings.catch_warnings():
        # The library warns of old names of subdivisions; the log of a worker is no place for it.
        warnings.simplefilter("ignore")
        supported = holidays.country_holidays(country).supported_categories
        usable = tuple(category for category in categories if category in supported)
        if not usable:
            return frozenset()
        found = holidays.country_holidays(
            country, subdiv=subdivision, categories=usable, years=year
        )
        return frozenset(day for day in found if day.year == year)
