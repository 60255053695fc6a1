"""What is measured: the series derived from tickets, and how to read a metric by its name."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

Family = Literal["count", "ratio", "gauge"]
Concern = Literal["surge", "failure"]


class SeriesSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a series is judged. The catalogue of metrics is a table of these."""

    family: Annotated[
        Family,
        Meta(
            description="count: events in a bucket, summed; ratio: numerator over denominator, "
            "both summed; gauge: a level, averaged."
        ),
    ]
    above: Annotated[Concern | None, Meta(description="What too high a value means.")] = None
    below: Annotated[Concern | None, Meta(description="What too low a value means.")] = None
    scale: Annotated[
        Literal["linear", "log"], Meta(description="Scale in which a gauge is symmetric.")
    ] = "linear"
    silence: Annotated[
        bool, Meta(description="Whether nothing at all, where some was due, is a silence.")
    ] = False
    weight: Annotated[
        float, Meta(gt=0, le=1, description="How much its evidence counts in the risk.")
    ] = 1.0
    least: Annotated[
        float,
        Meta(
            ge=0,
            description="Least deviation that matters: of a gauge in its unit, of a count in "
            "events (0: as the settings say).",
        ),
    ] = 0.0
    least_relative: Annotated[
        float,
        Meta(ge=0, description="Least deviation that matters, relative, if over the settings'."),
    ] = 0.0
    unit: str = "1"
    definition: str = ""
    source: Annotated[str, Meta(description="Where the definition comes from.")] = ""


DEMAND: Final = 1.0
"""Demand that is higher, and harms nothing that is measured, is no rupture before it is so much
higher, or so much lower; what it does to waits and queues speaks for itself, and earlier."""

TICKET_SERIES: dict[str, SeriesSpec] = {
    "tickets.opened": SeriesSpec(
        family="count",
        above="surge",
        below="failure",
        silence=True,
        least_relative=DEMAND,
        definition="Tickets opened.",
    ),
    "tickets.resolved": SeriesSpec(
        family="count", below="failure", definition="Tickets resolved.", weight=0.5
    ),
    "tickets.backlog": SeriesSpec(
        family="gauge",
        scale="log",
        above="surge",
        definition="Tickets opened or reopened and not yet resolved, closed or abandoned.",
        least=5.0,
        weight=0.4,
    ),
    "tickets.handed_over": SeriesSpec(
        family="count",
        above="failure",
        least_relative=DEMAND,
        definition="Tickets transferred or escalated.",
        weight=0.3,
    ),
    "tickets.reopened": SeriesSpec(family="count", above="failure", definition="Tickets reopened."),
    "tickets.abandoned": SeriesSpec(
        family="count", above="surge", definition="Contacts abandoned by the customer."
    ),
    "tickets.exceptions_product": SeriesSpec(
        family="count",
        above="surge",
        least=3.0,
        definition="Distinct tickets with a product exception.",
    ),
    "tickets.exceptions_service": SeriesSpec(
        family="count",
        above="surge",
        least=3.0,
        definition="Distinct tickets with a service exception.",
    ),
    "tickets.exceptions_policy": SeriesSpec(
        family="count",
        above="surge",
        least=3.0,
        definition="Distinct tickets with a policy exception.",
    ),
    "tickets.customers": SeriesSpec(
        family="count",
        above="surge",
        least_relative=DEMAND,
        definition="Distinct customers who opened a ticket.",
    ),
    "tickets.wait_seconds": SeriesSpec(
        family="gauge",
        scale="log",
        above="surge",
        unit="seconds",
        least=60.0,
        definition="Mean wait (ASA).",
    ),
    "tickets.handle_seconds": SeriesSpec(
        family="gauge",
        scale="log",
        above="failure",
        unit="seconds",
        least=10.0,
        definition="Mean handle time (AHT).",
        weight=0.5,
    ),
    "tickets.resolution_seconds": SeriesSpec(
        family="gauge",
        scale="log",
        above="failure",
        unit="seconds",
        least=60.0,
        definition="Mean time to resolution: as sent, else from opened to resolved.",
        weight=0.5,
    ),
    "tickets.rating": SeriesSpec(
        family="gauge",
        below="failure",
        least=0.25,
        definition="Mean CSAT rating, 1 to 5.",
        weight=0.5,
    ),
    "tickets.bot_handoff_ratio": SeriesSpec(
        family="ratio",
        above="failure",
        definition="Contacts that a bot transferred or escalated, over those and the ones it "
        "resolved, closed or lost.",
    ),
}
"""Series from ticket events. A metric's name has no dot, so the two cannot collide."""

UNKNOWN_RATIO = SeriesSpec(
    family="ratio", above="failure", below="failure", weight=0.75, definition="Unknown ratio."
)
UNKNOWN_GAUGE = SeriesSpec(
    family="gauge", above="failure", below="failure", weight=0.75, definition="Unknown level."
)
