"""Calendars of services: holidays of their country, by the library `holidays`."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

from ruptura.calendars import calendar_for
from ruptura.settings import ServiceSettings, Settings, load


def settings(**services: dict[str, Any]) -> Settings:
    return load(None, {"RUPTURA_SERVICES": json.dumps(services)})


def day_type(service: str, loaded: Settings, day: str) -> int:
    noon = datetime.fromisoformat(f"{day}T15:00").replace(tzinfo=UTC).timestamp()
    return calendar_for(service, loaded).phase(noon).day_type


BRAZIL = {"time_zone": "America/Sao_Paulo", "country": "BR"}


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("2016-03-25", "Good Friday"),
        ("2016-04-21", "Tiradentes"),
        ("2016-05-26", "Corpus Christi"),
    ],
)
def test_brazilian_holidays_are_known(day: str, name: str) -> None:
    assert day_type("shop", settings(shop=BRAZIL), day) == 3, name


def test_other_days_are_no_holidays() -> None:
    assert day_type("shop", settings(shop=BRAZIL), "2016-05-27") == 0


def test_optional_holidays_can_be_left_out() -> None:
    loaded = settings(shop={**BRAZIL, "holiday_categories": ["public"]})

    assert day_type("shop", loaded, "2016-05-26") == 0
    assert day_type("shop", loaded, "2016-04-21") == 3


def test_no_categories_mean_no_holidays_of_the_country() -> None:
    assert day_type("shop", settings(shop={**BRAZIL, "holiday_categories": []}), "2016-04-21") == 0


def test_states_have_holidays_of_their_own() -> None:
    assert day_type("shop", settings(shop=BRAZIL), "2024-07-09") == 0
    assert day_type("shop", settings(shop={**BRAZIL, "subdivision": "SP"}), "2024-07-09") == 3


def test_further_holidays_stand_beside_those_of_the_country() -> None:
    loaded = settings(shop={**BRAZIL, "holidays": ["2016-06-10"]})

    assert day_type("shop", loaded, "2016-06-10") == 3
    assert day_type("shop", loaded, "2016-04-21") == 3


def test_a_country_without_optional_holidays_takes_the_default_list() -> None:
    assert day_type("shop", settings(shop={"country": "US"}), "2024-07-04") == 3


def test_a_holiday_that_moves_over_the_end_of_the_year_is_observed() -> None:
    # 2022-01-01 was a Saturday: observed on Friday, 2021-12-31.
    assert day_type("shop", settings(shop={"country": "US"}), "2021-12-31") == 3


def test_unknown_services_have_the_calendar_of_default_and_else_no_holidays() -> None:
    assert day_type("shop", settings(default=BRAZIL), "2016-04-21") == 3
    assert day_type("shop", settings(), "2016-04-21") == 0


def test_services_with_equal_settings_share_a_calendar() -> None:
    loaded = settings(default=BRAZIL, usa={"country": "US"})

    assert calendar_for("a", loaded) is calendar_for("b", loaded)
    assert calendar_for("a", loaded) is not calendar_for("usa", loaded)


def test_the_library_does_not_warn_through() -> None:
    # BYP is a name that the library warns of; the check at load refuses it too.
    loaded = Settings(services={"de": ServiceSettings(country="DE", subdivision="BYP")})

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        day_type("de", loaded, "2024-12-26")

    assert not caught
