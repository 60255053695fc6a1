"""Calendars of services: holidays of their country, by the library `holidays`."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

from ruptura.assembly.calendars import calendar_for
from ruptura.settings import ServiceSettings, Settings, load


def settings(**services: dict[str, Any]) -> Settings:
    return load(None, {"RUPTURA_SERVICES": json.dumps(services)})


def day_type(service: str, loaded: Settings, day: str) -> int:
    noon = datetime.fromisoformat(f"{day}T15:00").replace(tzinfo=UTC).timestamp()
    return calendar_for(service, "voice", loaded).phase(noon).day_type


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

    assert calendar_for("a", "voice", loaded) is calendar_for("b", "voice", loaded)
    assert calendar_for("a", "voice", loaded) is not calendar_for("usa", "voice", loaded)


def test_the_library_does_not_warn_through() -> None:
    # BYP is a name that the library warns of; the check at load refuses it too.
    loaded = Settings(services={"de": ServiceSettings(country="DE", subdivision="BYP")})

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        day_type("de", loaded, "2024-12-26")

    assert not caught


def is_commemorative(service: str, loaded: Settings, day: str) -> bool:
    noon = datetime.fromisoformat(f"{day}T15:00").replace(tzinfo=UTC).timestamp()
    return calendar_for(service, "voice", loaded).phase(noon).commemorative


def test_commemorative_dates_are_those_of_the_country_and_the_services_own() -> None:
    dates = ["black_friday", "fathers_day", "2026-10-15"]
    loaded = settings(
        default={**BRAZIL, "commemorative_dates": dates},
        usa={"country": "US", "commemorative_dates": dates},
        none={"country": "US", "commemorative_dates": []},
    )

    assert is_commemorative("shop", loaded, "2026-11-27")
    assert is_commemorative("shop", loaded, "2026-10-15")
    assert is_commemorative("shop", loaded, "2026-08-09")
    assert not is_commemorative("shop", loaded, "2026-06-21")
    assert is_commemorative("usa", loaded, "2026-06-21")
    assert not is_commemorative("none", loaded, "2026-11-27")


def test_planned_windows_are_of_their_service() -> None:
    window = {"from": "2026-05-02T22:00:00-03:00", "until": "2026-05-03T02:00:00-03:00"}
    loaded = settings(shop={**BRAZIL, "planned": [window]})
    within = datetime.fromisoformat("2026-05-03T00:30-03:00").timestamp()

    assert calendar_for("shop", "voice", loaded).phase(within).muted
    assert not calendar_for("shop", "voice", loaded).phase(within).learns
    assert not calendar_for("other", "voice", loaded).phase(within).muted


def test_a_channel_may_have_hours_of_its_own() -> None:
    loaded = settings(
        shop={
            "opening_hours": ["mon-fri 08:00-18:00"],
            "channel_hours": {"voice": ["mon-fri 10:00-12:00"], "bot": []},
        }
    )
    nine = datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()
    opened = {
        channel: calendar_for("shop", channel, loaded).phase(nine).open
        for channel in ("voice", "bot", "chat")
    }
    assert opened == {"voice": False, "bot": True, "chat": True}
