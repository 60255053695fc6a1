"""A scenario file is taken as it is meant, or refused in one clear line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ruptura.assembly.registry import series_registry
from ruptura.simulator import load_scenario

WHOLE = """
description = "Everything."
begins = 2026-03-02T00:00:00Z
days = 9

[services.shop]
time_zone = "America/Sao_Paulo"

[[channels]]
service = "shop"
name = "chat"
contacts_per_hour = 60
spill = { voice = 0.2 }
bot = { containment_ratio = 0.5 }
metrics = ["requests", "bot_fallback_ratio"]

[[channels]]
service = "shop"
name = "voice"
contacts_per_hour = 30
hours = ["mon-fri 08:00-18:00"]

[[ruptures]]
name = "creep"
kind = "error_creep"
channels = ["chat"]
day = [7, 8]
hour = [9.0, 12.0]
duration_minutes = [120, 180]
ramp_minutes = [60, 90]
severity = [0.1, 0.2]

[[quiet]]
name = "sale"
kind = "campaign"
channels = ["chat", "voice"]
day = [7, 8]
hour = [9.0, 12.0]
duration_minutes = [120, 180]
factor = [1.1, 1.2]
"""

REFUSED = {
    "an unknown key": ("days = 9", "days = 9\nweeks = 2", "weeks"),
    "an unknown key within": (
        'contacts_per_hour = 60', 'contacts_per_hour = 60\ncontact_rate = 1', "channels[0]"
    ),
    "a missing key": ("contacts_per_hour = 30", "", "channels[1]"),
    "a wrong type": ("days = 9", 'days = "9"', "days: got '9', expected `int`"),
    "a value out of range": (
        "containment_ratio = 0.5",
        "containment_ratio = 1.5",
        "channels[0].bot.containment_ratio: got 1.5, expected `float` <= 1.0",
    ),
    "an unknown metric": ('"requests"', '"request"', "channels[0].metrics[0]: got 'request'"),
    "a name given by the file": ("days = 9", 'days = 9\nname = "x"', "name: unknown key"),
    "an odd begin": ("T00:00:00Z", "T00:20:00Z", "begins: got"),
    "a begin without a zone": ("T00:00:00Z", "T00:00:00", "begins: got"),
    "nothing to judge": ("days = 9", "days = 9\nwarm_up_days = 9", "warm_up_days: got 9"),
    "an unknown zone": (
        "America/Sao_Paulo",
        "America/Sampa",
        "services.shop.time_zone: got 'America/Sampa', expected an IANA time zone",
    ),
    "an unknown service": (
        'service = "shop"\nname = "chat"',
        'service = "ship"\nname = "chat"',
        "channels[0].service: got 'ship', expected a table of services (shop)",
    ),
    "a channel twice": ('name = "voice"', 'name = "chat"', "channels[1].name: got 'chat' twice"),
    "unreadable hours": ("08:00-18:00", "8-18", "channels[1].hours: got"),
    "spill to nowhere": ("voice = 0.2", "fax = 0.2", "channels[0].spill: got 'fax'"),
    "more than all spill": (
        "voice = 0.2", "voice = 0.7", "channels[0].spill: got 1.1 in all with retry_ratio"
    ),
    "a bot's metric without a bot": (
        "bot = { containment_ratio = 0.5 }",
        "",
        "channels[0].metrics: got 'bot_fallback_ratio', expected a bot with it",
    ),
    "an unknown kind": ('"error_creep"', '"creep"', "ruptures[0].kind: got 'creep'"),
    "a rupture of no channel": (
        'channels = ["chat"]', 'channels = ["fax"]', "ruptures[0].channels: got 'fax'"
    ),
    "a rupture in the warm-up": (
        "day = [7, 8]\nhour = [9.0, 12.0]\nduration_minutes = [120, 180]\nramp",
        "day = [6, 8]\nhour = [9.0, 12.0]\nduration_minutes = [120, 180]\nramp",
        "ruptures[0].day: got [6, 8]",
    ),
    "a day beyond the end": ("day = [7, 8]", "day = [7, 9]", "ruptures[0].day: got [7, 9]"),
    "a range from most to least": (
        "severity = [0.1, 0.2]", "severity = [0.2, 0.1]", "ruptures[0].severity: got [0.2, 0.1]"
    ),
    "a share over 1": ("severity = [0.1, 0.2]", "severity = [0.1, 2.0]", "shares of at most 1"),
    "a ramp longer than all": (
        "ramp_minutes = [60, 90]", "ramp_minutes = [60, 150]", "ruptures[0].ramp_minutes"
    ),
    "more channels than there are": (
        "severity = [0.1, 0.2]", "severity = [0.1, 0.2]\nchoose = 2", "ruptures[0].choose: got 2"
    ),
    "one name twice": ('name = "sale"', 'name = "creep"', "quiet[0].name: got 'creep' twice"),
    "no TOML": ("days = 9", "days = ", "not TOML"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_refused_in_one_line_that_names_it(
    write: Callable[[str], Path], old: str, new: str, expected: str
):
    assert WHOLE.count(old) >= 1
    path = write(WHOLE.replace(old, new))

    with pytest.raises(ValueError, match=re.escape(expected)) as refusal:
        load_scenario(path, series_registry())

    text = str(refusal.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text


def test_a_file_that_is_not_there_is_refused_in_one_line(tmp_path: Path):
    with pytest.raises(ValueError, match=r"none\.toml: cannot be read: No such file"):
        load_scenario(tmp_path / "none.toml", series_registry())


def test_a_whole_file_is_taken_and_named_after_the_file(write: Callable[..., Path]):
    scenario = load_scenario(write(WHOLE, "shop_week"), series_registry())

    assert scenario.name == "shop_week"
    assert [channel.name for channel in scenario.channels] == ["chat", "voice"]
    assert scenario.ruptures[0].severity == (0.1, 0.2)
    assert scenario.services == {"shop": {"time_zone": "America/Sao_Paulo"}}


def test_what_is_left_out_has_a_default(write: Callable[..., Path]):
    scenario = load_scenario(write(WHOLE), series_registry())

    assert scenario.warm_up_days == 7
    assert scenario.channels[0].hours == []
    assert scenario.channels[1].bot is None
