"""What an alert says, as codes and numbers. Sentences, in any language, are made of it outside.

The facts of a term of the risk are kept in the state with the alert that they explain, so that a
resolution repeats its explanation.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from ruptura.core.contracts.document import (
    Action,
    AlertSignal,
    Direction,
    Kind,
    Probability,
    Status,
    TransitionReason,
)
from ruptura.core.contracts.event import ExceptionKind
from ruptura.core.contracts.tuning import Finite, Moment

Objective = Literal["answer", "longest_wait", "abandonment", "backlog", "errors", "latency"]
"""What a service level objective bounds."""

Part = Literal["loss", "surge", "bot", "platform"]
"""What a signal plays in an incident: contacts that do not come, contacts that come in excess, a
bot that gives up, a platform that fails."""


class Prior(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="prior"):
    """The risk without any evidence: a probability in each bucket."""

    probability: Finite


class Deviation(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="deviation"):
    """A series that is not as expected.

    Attributes:
        series, kind, direction: As in the signal.
        since: Start of the bucket in which it began, in seconds since the Unix epoch.
        observed: In the last bucket, base units; None where nothing was measured.
        expected: Likewise.
        probability: Tail probability of the evidence.
    """

    series: str
    kind: Kind
    direction: Direction
    since: Moment
    observed: Finite | None
    expected: Finite
    probability: Finite


class Repetition(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="repetition"):
    """Few customers who make many contacts.

    Attributes:
        customers, expected: Distinct customers in the last bucket, seen and expected.
        contacts: That they made.
    """

    customers: Finite
    expected: Finite
    contacts: Finite


class Load(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="load"):
    """What the agents have to do within the horizon, over what they can do.

    Attributes:
        arrivals, queue: Work that comes and that waits already; together the load.
        per_minute: Contacts that come.
        aht: Mean handle time, in seconds.
        agents: How many there are.
        by_arrivals, by_aht, by_agents: Factors against the past hours; their product is that of
            the load of arrivals.
    """

    arrivals: Finite
    queue: Finite
    per_minute: Finite
    aht: Finite
    agents: Finite
    by_arrivals: Finite
    by_aht: Finite
    by_agents: Finite


class Breach(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="breach"):
    """A service level objective that is broken, or about to be.

    Attributes:
        objective: Which.
        limit: What it bounds by: a share, seconds or contacts.
        within_seconds: Of `answer`, in which the share `limit` is to be answered; None of others.
        as_waits: Whether `answer` was judged by mean waits.
        horizon_seconds: How far the forecast looks.
        probability: Of a breach within the horizon.
        seconds: Until it is as likely as not, 0 where it is there; None beyond the horizon.
        now, ahead, lower, upper: What is bounded, as it stands and at the horizon.
        load: What there is to do; None where the forecast is not by the queue.
    """

    objective: Objective
    limit: Finite
    within_seconds: Finite | None
    as_waits: bool
    horizon_seconds: Finite
    probability: Finite
    seconds: Finite | None
    now: Finite
    ahead: Finite
    lower: Finite
    upper: Finite
    load: Load | None


class Lead(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="lead"):
    """A rupture that leads to more contacts elsewhere.

    Attributes:
        part: What the cause plays.
        cause, effect: Channels.
    """

    part: Part
    cause: str
    effect: str


class CommonMove(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="common_move"):
    """Series of two channels that moved together."""

    series: str
    channel: str
    other_series: str
    other_channel: str


class Sibling(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="sibling"):
    """What another channel of the service shows.

    Attributes:
        series, channel, direction: What deviates there.
        since: When that began, in seconds since the Unix epoch.
        why: How the channels hang together.
    """

    series: str
    channel: str
    direction: Direction
    since: Moment
    why: Lead


class Membership(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="membership"):
    """That an alert is part of an incident which another one began.

    Attributes:
        alert_id, channel: Of that alert.
        since: Its onset, in seconds since the Unix epoch.
        why: How the channels hang together.
    """

    alert_id: str
    channel: str
    since: Moment
    why: Lead | CommonMove


Facts = Prior | Deviation | Repetition | Breach | Sibling | Membership


class Term(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A term of the risk: contributions add up, in log-odds, to the logit of the risk.

    Attributes:
        code: As in the document's `Cause`.
        contribution: Natural log-odds.
        facts: What there is to say of it.
    """

    code: str
    contribution: Finite
    facts: Facts


class AlertFacts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An alert document without its texts: fields as in `Alert`."""

    alert_id: str
    incident_id: str
    sequence: int
    status: Status
    reason: TransitionReason
    service: str
    channel: str
    kind: Kind
    risk: Probability
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    expected_breach_at: datetime | None = None
    signals: Sequence[AlertSignal]
    causes: Sequence[Term]
    exception: ExceptionKind | None = None
    actions: Sequence[Action]
    labels: dict[str, str]
