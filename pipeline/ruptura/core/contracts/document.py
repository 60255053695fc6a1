"""The documents that Ruptura writes: alerts and dead letters. Types only."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ruptura.core.contracts.event import ExceptionKind, Instant, Name, Reason

Probability = Annotated[float, Meta(ge=0, le=1)]
Status = Literal["warning", "critical", "resolved"]
Kind = Literal["surge", "failure", "silence", "forecast"]
Direction = Literal["above", "below"]
TransitionReason = Literal[
    "opened",  # risk stayed over the threshold for long enough
    "escalated",  # warning became critical
    "updated",  # the explanation changed enough to be worth saying
    "recovered",  # evidence of health
    "expired",  # the channel has sent nothing for so long that it is taken to be gone
]


class AlertSignal(msgspec.Struct, frozen=True, gc=False):
    """One series' part in an alert."""

    series: Annotated[str, Meta(description="tickets.<series> or the name of a metric.")]
    direction: Direction
    observed: Annotated[
        float | None, Meta(description="Value in the bucket, base units; null: nothing came.")
    ]
    expected: Annotated[float, Meta(description="Expected value, from before it was seen.")]
    lower: Annotated[float, Meta(description="Lower end of the expected band.")]
    upper: Annotated[float, Meta(description="Upper end of the expected band.")]
    score: Annotated[
        Probability, Meta(description="Tail probability of the evidence so far; small is strange.")
    ]
    since: Annotated[Instant, Meta(description="Start of the bucket in which the evidence began.")]


class Cause(msgspec.Struct, frozen=True, gc=False):
    """A term of the risk: contributions add up, in log-odds, to the logit of the risk."""

    code: Annotated[
        str,
        Meta(
            description="prior; a family of signals with its series; few_customers; sibling with "
            "its channel and series; joined with the channel whose incident it is, which adds 0."
        ),
    ]
    contribution: Annotated[float, Meta(description="Natural log-odds.")]
    text: str


class Action(msgspec.Struct, frozen=True, gc=False):
    """A step of the contingency plan."""

    text: str
    url: str | None = None


class Message(msgspec.Struct, frozen=True, gc=False, rename={"pt_br": "pt-BR"}):
    """Draft for customers, to be read by a person before it is sent."""

    pt_br: str
    en: str


class Alert(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The lifecycle around the risk of one channel. Key on the topic: the service."""

    alert_id: Annotated[
        str,
        Meta(
            description="UUIDv5 of service, channel and the start of the first bucket in which the "
            "risk was over the warning threshold."
        ),
    ]
    incident_id: Annotated[
        str,
        Meta(
            description="As the alert_id of the incident's first alert, in a namespace of its own; "
            "alerts that evidence links to an open one share it."
        ),
    ]
    sequence: Annotated[int, Meta(ge=0, description="0 for the first document of an alert.")]
    status: Status
    reason: Annotated[TransitionReason, Meta(description="Why this document was sent.")]
    service: Name
    channel: Name
    kind: Kind
    risk: Probability
    started_at: Annotated[
        Instant,
        Meta(
            description="When what the alert is about began: the earliest `since` of the signals "
            "that its causes named when it opened, never before the channel's previous alert had "
            "ended. It stays that for the alert's life."
        ),
    ]
    updated_at: Annotated[Instant, Meta(description="End of the bucket that led to this document.")]
    ended_at: Annotated[Instant | None, Meta(description="Set once resolved.")] = None
    expected_breach_at: Instant | None = None
    signals: list[AlertSignal]
    causes: list[Cause]
    exception: ExceptionKind | None = None
    actions: list[Action]
    message: Message
    labels: Annotated[dict[str, str], Meta(description="Labels fit for Alertmanager.")]


class DeadLetter(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A refused record, whole. Key on the topic: the key of the record."""

    topic: str
    partition: Annotated[int, Meta(ge=0)]
    offset: Annotated[int, Meta(ge=0)]
    timestamp: Annotated[
        float, Meta(description="The record's own timestamp, seconds since the Unix epoch.")
    ]
    reason: Reason
    text: Annotated[str, Meta(description="The reason in words, with the path in the document.")]
    key: Annotated[str | None, Meta(description="Base64 of the record key.")] = None
    value: Annotated[str | None, Meta(description="Base64 of the original bytes.")] = None
    headers: Annotated[
        list[tuple[str, str]], Meta(description="Pairs of name and base64 of the value.")
    ] = []
