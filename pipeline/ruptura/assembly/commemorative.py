"""Commemorative dates of trade, by name, country and year.

Public holidays come from the library `holidays`; these are mostly none, and no library has them
for all countries. Rules as merchants' associations and the countries' laws state them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from dateutil.easter import easter  # type: ignore[import-untyped]  # of `holidays`, without types

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)

_FIXED: Final[dict[str, tuple[int, int]]] = {
    "valentines_day": (2, 14),
    "womens_day": (3, 8),
    "consumer_day": (3, 15),
    "childrens_day": (11, 20),  # United Nations, resolution 836 (IX)
    "halloween": (10, 31),
    "singles_day": (11, 11),
    "christmas_eve": (12, 24),
    "christmas": (12, 25),
    "new_years_eve": (12, 31),
}
_FIXED_IN: Final[dict[tuple[str, str], tuple[int, int]]] = {
    ("valentines_day", "BR"): (6, 12),  # Dia dos Namorados
    ("childrens_day", "BR"): (10, 12),  # Decree 4867 of 1924
    ("childrens_day", "MX"): (4, 30),
    ("childrens_day", "PT"): (6, 1),
    ("mothers_day", "MX"): (5, 10),
    ("fathers_day", "PT"): (3, 19),
    ("fathers_day", "ES"): (3, 19),
    ("fathers_day", "IT"): (3, 19),
}
_WEEKDAY: Final[dict[str, tuple[int, int, int]]] = {  # month, weekday, which (negative: from end)
    "mothers_day": (5, SUNDAY, 2),
    "fathers_day": (6, SUNDAY, 3),
}
_WEEKDAY_IN: Final[dict[tuple[str, str], tuple[int, int, int]]] = {
    ("mothers_day", "PT"): (5, SUNDAY, 1),
    ("mothers_day", "ES"): (5, SUNDAY, 1),
    ("mothers_day", "AR"): (10, SUNDAY, 3),
    ("fathers_day", "BR"): (8, SUNDAY, 2),
    ("fathers_day", "AU"): (9, SUNDAY, 1),
    ("fathers_day", "NZ"): (9, SUNDAY, 1),
    ("childrens_day", "AR"): (8, SUNDAY, 3),
}


def commemorative_date(name: str, country: str | None, year: int) -> date:
    """Return the date of a commemorative day.

    Args:
        name: One of `ruptura.settings.services.COMMEMORATIVE_DATES`.
        country: ISO 3166 code; None for what most countries do.
        year: Gregorian.

    Raises:
        KeyError: no such name.
    """
    key = (name, country or "")
    moving = _MOVING.get(key) or _MOVING.get((name, ""))
    if moving is not None:
        return moving(year)
    if key in _FIXED_IN:
        return date(year, *_FIXED_IN[key])
    weekday = _WEEKDAY_IN.get(key) or _WEEKDAY.get(name)
    return date(year, *_FIXED[name]) if weekday is None else _nth(year, *weekday)


def _easter(year: int) -> date:
    found: date = easter(year)
    return found


def _nth(year: int, month: int, weekday: int, which: int) -> date:
    """The n-th weekday of a month; with -1 the last."""
    if which > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def _black_friday(year: int) -> date:
    return _nth(year, 11, THURSDAY, 4) + timedelta(days=1)  # Thanksgiving: 5 U.S. Code 6103


def _mothering_sunday(year: int) -> date:
    return _easter(year) - timedelta(days=21)  # the fourth Sunday in Lent


def _fete_des_meres(year: int) -> date:
    """The last Sunday of May, but for Pentecost: Code de l'action sociale, D215-1."""
    last = _nth(year, 5, SUNDAY, -1)
    pentecost = _easter(year) + timedelta(days=49)
    return last if last != pentecost else _nth(year, 6, SUNDAY, 1)


_MOVING: Final[dict[tuple[str, str], Callable[[int], date]]] = {
    ("easter", ""): _easter,
    ("black_friday", ""): _black_friday,
    ("cyber_monday", ""): lambda year: _black_friday(year) + timedelta(days=3),
    ("mothers_day", "GB"): _mothering_sunday,
    ("mothers_day", "IE"): _mothering_sunday,
    ("mothers_day", "FR"): _fete_des_meres,
    ("fathers_day", "DE"): lambda year: _easter(year) + timedelta(days=39),  # Ascension
}
