"""The settings of one service: its calendar, what is planned, its contingency plan."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ruptura.settings.objectives import ObjectivesByChannel
from ruptura.settings.section import NOW, REWARM, Section

DEFAULT_CATEGORIES = ("public", "optional")
COMMEMORATIVE_DATES = (
    "valentines_day",
    "womens_day",
    "consumer_day",
    "easter",
    "mothers_day",
    "fathers_day",
    "childrens_day",
    "halloween",
    "singles_day",
    "black_friday",
    "cyber_monday",
    "christmas_eve",
    "christmas",
    "new_years_eve",
)

Instant = Annotated[
    datetime, Meta(tz=True, extra={"allowed": "a time with its offset, as 2026-11-27T00:00:00Z"})
]


class PlannedWindow(Section, frozen=True):
    """A span of time in which something is known to be different: maintenance, a campaign."""

    from_: Annotated[Instant, Meta(description="First instant.")] = msgspec.field(name="from")
    until: Annotated[Instant, Meta(description="First instant after it.")]
    mute: Annotated[bool, Meta(description="Whether nothing alerts.")] = True
    learn: Annotated[bool, Meta(description="Whether what happens is learned as normal.")] = False


class ServiceSettings(Section, frozen=True):
    """The calendar, the objectives and the contingency plan of one service.

    The service `default` stands for all others, and for the keys that a service leaves out.
    """

    time_zone: Annotated[
        str,
        Meta(
            description="IANA name, for the season of day and week.",
            examples=["America/Sao_Paulo"],
            extra=REWARM,
        ),
    ] = "UTC"
    country: Annotated[
        str | None,
        Meta(
            description="ISO 3166 code of the holiday calendar; none: no holidays.",
            examples=["BR"],
            extra=NOW,
        ),
    ] = None
    subdivision: Annotated[
        str | None,
        Meta(description="State or province of the holiday calendar.", examples=["SP"], extra=NOW),
    ] = None
    holiday_categories: Annotated[
        list[str],
        Meta(
            description="Categories of the library `holidays`; "
            "those of the default count where the country has them.",
            examples=[["public", "optional"]],
            extra=NOW,
        ),
    ] = msgspec.field(default_factory=lambda: list(DEFAULT_CATEGORIES))
    holidays: Annotated[
        list[str],
        Meta(description="Further holidays, as YYYY-MM-DD.", examples=[["2026-01-25"]], extra=NOW),
    ] = msgspec.field(default_factory=list)
    commemorative_dates: Annotated[
        list[str],
        Meta(
            description="Days of trade on which more than usual is normal, and less is not: names, "
            "or dates as YYYY-MM-DD. By the rules of the country where those differ.",
            examples=[["black_friday", "mothers_day", "2026-10-15"]],
            extra=NOW,
        ),
    ] = msgspec.field(default_factory=list)
    planned: Annotated[
        list[PlannedWindow],
        Meta(
            description="Planned windows: `mute` suppresses alerts, `learn` takes what happens as "
            "normal; each on its own.",
            examples=[
                [
                    {
                        "from": "2026-05-02T22:00:00-03:00",
                        "until": "2026-05-03T02:00:00-03:00",
                        "mute": True,
                        "learn": False,
                    }
                ]
            ],
            extra=NOW,
        ),
    ] = msgspec.field(default_factory=list)
    opening_hours: Annotated[
        list[str],
        Meta(
            description="Spans in local time, also over midnight; empty: always open. "
            "Once given, holidays are closed.",
            examples=[["mon-fri 08:00-18:00", "sat 09:00-13:00"]],
            extra=NOW,
        ),
    ] = msgspec.field(default_factory=list)
    channel_hours: Annotated[
        dict[str, list[str]],
        Meta(
            description="Opening hours of channels that have their own, as `opening_hours`; "
            "an empty list: always open.",
            examples=[{"voice": ["mon-fri 08:00-20:00"]}],
            extra=NOW,
        ),
    ] = msgspec.field(default_factory=dict)
    objectives: ObjectivesByChannel = msgspec.field(default_factory=dict)
    runbook_url: Annotated[
        str | None,
        Meta(
            description="Where runbooks live; the kind of alert is appended.",
            examples=["https://runbooks.example/ruptura/"],
            extra=NOW,
        ),
    ] = None
    actions: Annotated[
        dict[Literal["surge", "failure", "silence", "forecast"], list[str]],
        Meta(
            description="Contingency plan by kind of alert.",
            examples=[{"silence": ["Call the vendor of the channel."]}],
            extra=NOW,
        ),
    ] = msgspec.field(default_factory=dict)
