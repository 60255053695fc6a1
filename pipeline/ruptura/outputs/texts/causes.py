"""The terms of a risk in words, a sentence each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from ruptura.core.contracts.facts import (
    Breach,
    CommonMove,
    Deviation,
    Facts,
    Lead,
    Membership,
    Part,
    Prior,
    Repetition,
    Sibling,
)
from ruptura.outputs.texts import forecasts

_LEADS: Final[dict[Part, str]] = {
    "loss": "customers who do not get through on {cause} turn to {effect}",
    "bot": "what the bot of {cause} hands over lands on {effect}",
    "platform": "customers hit by the failure of {cause} ask for help on {effect}",
    "surge": "{cause} leads to {effect}",
}
"""Why a cause that plays this part leads to more contacts elsewhere."""


def sentence(facts: Facts) -> str:
    """Return what a term says."""
    match facts:
        case Prior():
            return f"Without evidence the risk is {facts.probability:g} in each bucket."
        case Deviation():
            return _deviation(facts)
        case Repetition():
            return (
                f"Few customers make many of these contacts: {facts.customers:.3g} distinct "
                f"customers in the last bucket, {facts.expected:.3g} expected, made "
                f"{facts.contacts:.3g} contacts."
            )
        case Breach():
            return forecasts.sentence(facts)
        case Sibling():
            return (
                f"{facts.series} of {facts.channel} is {facts.direction} normal since "
                f"{_utc(facts.since):%H:%M} UTC: {_why(facts.why)}."
            )
        case Membership():
            return (
                f"Part of the incident of the alert {facts.alert_id} of {facts.channel}, "
                f"open since {_utc(facts.since):%H:%M} UTC: {_why(facts.why)}."
            )


def _deviation(facts: Deviation) -> str:
    observed = "nothing" if not facts.observed else f"{facts.observed:.3g}"
    state = "silent" if facts.kind == "silence" else f"{facts.direction} normal"
    return (
        f"{facts.series} is {state} since {_utc(facts.since):%Y-%m-%d %H:%M} UTC: {observed} in "
        f"the last bucket, {facts.expected:.3g} expected; chance alone would show as much evidence "
        f"with probability {facts.probability:.2g}."
    )


def _why(why: Lead | CommonMove) -> str:
    if isinstance(why, Lead):
        return _LEADS[why.part].format(cause=why.cause, effect=why.effect)
    return (
        f"{why.series} of {why.channel} and {why.other_series} of {why.other_channel} "
        "moved together"
    )


def _utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
