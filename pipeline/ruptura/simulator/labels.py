"""What is known about a simulated recording: its ruptures, and what must stay quiet."""

from __future__ import annotations

from datetime import datetime

import msgspec


class ChannelName(msgspec.Struct, frozen=True):
    """A channel of a service."""

    service: str
    channel: str


class Rupture(msgspec.Struct, frozen=True, kw_only=True):
    """A break in the continuity of service.

    Attributes:
        name: Unique within the recording.
        kind: One of `ruptura.simulator.scenario.RuptureKind`.
        service: Whose channels.
        channels: Where it can rightly be seen: where its cause is, and where contacts go instead.
        onset: The cause begins.
        breach: Customers feel it: the simulated truth first violates an objective; None if never.
        ends: Its last effect is gone.
        gradual: Whether it grows from nothing, so that it can be seen before the breach.
    """

    name: str
    kind: str
    service: str
    channels: list[str]
    onset: datetime
    breach: datetime | None
    ends: datetime
    gradual: bool


class NonEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happens and is no rupture.

    Attributes:
        name: Unique within the recording.
        kind: One of `ruptura.simulator.scenario.NonEventKind`. A `level_change` may raise one
            alert.
        service, channels: Where.
        begins, ends: When.
    """

    name: str
    kind: str
    service: str
    channels: list[str]
    begins: datetime
    ends: datetime


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known about a recording; times are in UTC.

    Attributes:
        scenario, seed: What it was made from.
        begins, ends: Of the recording.
        judged_from: The end of the warm-up.
        channels: All there are.
        ruptures: In order of onset.
        quiet: In order of begin.
    """

    scenario: str
    seed: int
    begins: datetime
    judged_from: datetime
    ends: datetime
    channels: list[ChannelName]
    ruptures: list[Rupture]
    quiet: list[NonEvent]
