"""What a scenario file says, as types: the contact centre and what happens to it.

Units come from the names; a `Range` is what the seed draws from, evenly.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ruptura.core.series.registry import Measure

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}\Z")]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0, le=1e9)]
Factor = Annotated[float, Meta(ge=0, le=100)]
_End = Annotated[float, Meta(ge=0, le=1e6)]
_Day = Annotated[int, Meta(ge=0, le=400)]
Range = tuple[_End, _End]
"""Least and most."""

Days = tuple[_Day, _Day]
Week = tuple[Factor, Factor, Factor, Factor, Factor, Factor, Factor]
"""From Monday to Sunday."""

ExceptionKind = Literal["product", "service", "policy"]
Distribution = Literal["exponential", "lognormal"]
Shape = Literal["flat", "office", "retail", "evening"]
Feed = Literal["tickets", "metrics"]
RuptureKind = Literal[
    "outage",
    "error_creep",
    "latency_creep",
    "silent_feed",
    "bot_release",
    "platform_migration",
    "staffing_shortage",
    "demand_surge",
    "slow_backlog",
    "exceptions_product",
    "exceptions_service",
    "exceptions_policy",
]
NonEventKind = Literal[
    "holiday",
    "maintenance",
    "small_queue",
    "campaign",
    "new_channel",
    "level_change",
]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; an unknown key is an error."""


class Objectives(Table, frozen=True, kw_only=True):
    """What customers are promised. Violated, they feel it: that is the breach.

    Attributes:
        service_level_ratio: Least share of the contacts of the last 30 min that were answered
            within `answer_within_seconds`.
        answer_within_seconds: The target time of the service level.
        abandonment_ratio: Most contacts of the last 10 min that were given up in the queue.
        errors_ratio: Most failing requests, mean over 10 min.
        request_seconds: Longest latency of the platform (p95), mean over 10 min.
        exceptions_factor: How many times its ordinary rate a kind of exception may reach, mean
            over 10 min.
    """

    service_level_ratio: Share = 0.8
    answer_within_seconds: Positive = 60.0
    abandonment_ratio: Share = 0.1
    errors_ratio: Share = 0.05
    request_seconds: Positive = 2.0
    exceptions_factor: Annotated[float, Meta(gt=1, le=100)] = 3.0


class Bot(Table, frozen=True, kw_only=True):
    """What meets customers first.

    Attributes:
        containment_ratio: Sessions that it ends without a person, on an ordinary day.
        fallback_ratio: Turns that it does not understand, on an ordinary day.
        session_seconds: Mean length of a session.
        turns: Mean turns of a session.
    """

    containment_ratio: Share = 0.6
    fallback_ratio: Share = 0.08
    session_seconds: Positive = 90.0
    turns: Positive = 6.0


class Platform(Table, frozen=True, kw_only=True):
    """The technology of a channel.

    Attributes:
        requests_per_contact: Mean, over the life of a contact.
        requests_per_minute: Requests beside contacts, at the mean demand; they follow its shape.
        errors_ratio: Failing requests on an ordinary day.
        request_seconds: Latency (p95) on an ordinary day.
        heartbeats_per_minute: Signs of life of the connector.
    """

    requests_per_contact: Positive = 8.0
    requests_per_minute: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    errors_ratio: Share = 0.004
    request_seconds: Positive = 0.6
    heartbeats_per_minute: Annotated[int, Meta(ge=1, le=60)] = 6


class Delivery(Table, frozen=True, kw_only=True):
    """How events travel from a channel to the broker.

    Attributes:
        delay_seconds: Mean, exponential.
        late_ratio: Events that are held up for one to ten minutes.
        duplicate_ratio: Events that are sent twice.
        gap_ratio: Reports of metrics that are never made.
        jitter_seconds: Standard deviation of the moment within the minute of a report.
    """

    delay_seconds: Annotated[float, Meta(ge=0, le=20)] = 0.4
    late_ratio: Annotated[float, Meta(ge=0, le=0.2)] = 0.001
    duplicate_ratio: Annotated[float, Meta(ge=0, le=0.2)] = 0.002
    gap_ratio: Annotated[float, Meta(ge=0, le=0.5)] = 0.003
    jitter_seconds: Annotated[float, Meta(ge=0, le=5)] = 1.0


class Channel(Table, frozen=True, kw_only=True):
    """A channel: its customers, its agents, its technology.

    Attributes:
        service: Whose; a table `services.<service>` must be there.
        name: Of the channel.
        contacts_per_hour: Customers who begin a contact, mean over the open hours of an ordinary
            week.
        shape: Of the day, in the time zone of the service (see `ruptura.simulator.shape`).
        week: Factors from Monday to Sunday.
        hours: When it is open, as `opening_hours` in the settings; empty: always.
        busyness: Coefficient of variation of the demand from day to day and, half as much, from
            hour to hour, beyond Poisson.
        handle_seconds, handle_distribution: Time of an agent for a contact (AHT).
        patience_seconds, patience_distribution: How long a customer waits.
        agents: Signed in whenever it is open; 0: planned by the hour.
        staffing: Quality of the plan: agents = load + staffing * sqrt(load) (Halfin & Whitt,
            Heavy-Traffic Limits for Queues with Many Exponential Servers, Operations Research
            29(3), 1981), the load in erlangs.
        absence_ratio: Agents who are away, redrawn by the hour; the plan allows for it.
        retry_ratio: Customers who try again on the same channel after a failure; after giving
            up in the queue half as many.
        spill: By sibling channel, the share of customers who go there instead; likewise.
        bot: Who meets customers first; none: the queue.
        platform: The technology.
        metrics: What is reported each minute.
        customers: How many there are.
        frequent_ratio: Contacts that come from a few dozen customers.
        exceptions: Share of contacts by kind of exception.
        rated_ratio, reopened_ratio, transferred_ratio: Share of contacts.
        begins_day: Day on which the channel starts, from 0.
        objectives: Of its own; none: those of the scenario.
        delivery: Of its own; none: that of the scenario.
    """

    service: Name
    name: Name
    contacts_per_hour: Annotated[float, Meta(gt=0, le=20_000)]
    shape: Shape = "office"
    week: Week = (1.15, 1.05, 1.0, 1.0, 1.0, 0.55, 0.35)
    hours: list[str] = []
    busyness: Annotated[float, Meta(ge=0, le=0.5)] = 0.06
    handle_seconds: Positive = 300.0
    handle_distribution: Distribution = "lognormal"
    patience_seconds: Positive = 180.0
    patience_distribution: Distribution = "exponential"
    agents: Annotated[int, Meta(ge=0, le=5000)] = 0
    staffing: Annotated[float, Meta(ge=-2, le=10)] = 2.0
    absence_ratio: Annotated[float, Meta(ge=0, le=0.5)] = 0.05
    retry_ratio: Share = 0.4
    spill: dict[str, Share] = {}
    bot: Bot | None = None
    platform: Platform = Platform()
    metrics: list[str] = []
    customers: Annotated[int, Meta(ge=1, le=10_000_000)] = 50_000
    frequent_ratio: Share = 0.03
    exceptions: dict[ExceptionKind, Share] = msgspec.field(
        default_factory=lambda: {"product": 0.01, "service": 0.015, "policy": 0.004}
    )
    rated_ratio: Share = 0.2
    reopened_ratio: Annotated[float, Meta(ge=0, le=0.5)] = 0.01
    transferred_ratio: Share = 0.03
    begins_day: Annotated[int, Meta(ge=0, le=400)] = 0
    objectives: Objectives | None = None
    delivery: Delivery | None = None


class Timing(Table, frozen=True, kw_only=True):
    """When something begins and how long it takes, as drawn by the seed.

    Attributes:
        name: Unique in the file.
        channels: Names; all of one service.
        day: First and last day on which it may begin, from 0.
        hour: Range of the local hour at which it begins.
        duration_minutes: Range, the ramp included.
    """

    name: Name
    channels: Annotated[list[Name], Meta(min_length=1)]
    service: Name | None = None
    day: Days
    hour: Range
    duration_minutes: Range


class RuptureTable(Timing, frozen=True, kw_only=True):
    """A rupture.

    Attributes:
        kind: What happens.
        choose: How many of `channels` the seed chooses; 0: all of them.
        ramp_minutes: Range of the time that it takes to grow; from 15 min on it is gradual.
        severity: Range of its size once grown. outage: share of contacts that do not get in;
            error_creep, platform_migration: share of failing requests; latency_creep: factor of
            the latency; silent_feed: ignored; bot_release: share of its containment that the bot
            loses; staffing_shortage, slow_backlog: share of agents who are missing;
            demand_surge: factor of the demand; exceptions_*: factor of their ordinary rate.
        feed: Of a silent_feed: what goes missing; drawn where more than one is named.
    """

    kind: RuptureKind
    choose: Annotated[int, Meta(ge=0, le=100)] = 1
    ramp_minutes: Range = (0.0, 0.0)
    severity: Range = (1.0, 1.0)
    feed: Annotated[tuple[Feed, ...], Meta(min_length=1)] = ("tickets", "metrics")


class NonEventTable(Timing, frozen=True, kw_only=True):
    """Something that is no rupture.

    Attributes:
        kind: What happens. holiday, campaign, level_change: agents are planned for it;
            maintenance: nothing works; small_queue, new_channel: nothing beside the label.
        factor: Range of the factor of the demand.
    """

    kind: NonEventKind
    factor: Range = (1.0, 1.0)


class Scenario(Table, frozen=True, kw_only=True):
    """A scenario.

    Attributes:
        name: Of the file, without its ending.
        measures: What each metric measures that a channel can report, as the registry says.
        description: One sentence.
        begins: First moment.
        days: Length, in days of 24 h.
        warm_up_days: Days before anything is judged.
        services: Ruptura's own settings `services.*`, for an engine that is to be judged by it;
            the simulator reads their `time_zone`.
        objectives, delivery: Of channels without their own.
        channels: All there are.
        ruptures, quiet: What happens.
    """

    name: Name
    measures: dict[str, Measure]
    description: Annotated[str, Meta(min_length=1, max_length=300)]
    begins: Annotated[datetime, Meta(tz=True)]
    days: Annotated[int, Meta(ge=1, le=400)]
    warm_up_days: Annotated[int, Meta(ge=0, le=399)] = 7
    services: dict[str, dict[str, Any]]
    objectives: Objectives = Objectives()
    delivery: Delivery = Delivery()
    channels: Annotated[list[Channel], Meta(min_length=1, max_length=50)]
    ruptures: list[RuptureTable] = []
    quiet: list[NonEventTable] = []
