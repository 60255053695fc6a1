"""What channels of one service say about each other: shared evidence, and one incident of many.

A rupture is rarely alone. Customers who do not get through on one channel turn to the next, a bot
that fails hands over to people, a platform that breaks makes customers ask, and a holiday that
nobody listed moves all channels at once. Such alerts carry one incident_id, and only the first of
them has the role `primary`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ruptura.core.contracts.document import AlertSignal, Direction
from ruptura.core.contracts.facts import CommonMove, Lead, Membership, Part, Sibling, Term
from ruptura.core.decide.lifecycle import Joined, Lifecycle, alert_id, incident_id, started_at
from ruptura.core.decide.risk import evidence
from ruptura.core.detect.forecast import FORECASTS
from ruptura.core.detect.signals import Signal
from ruptura.core.series.registry import Registry, Role

EARLY_SECONDS: Final = 1800.0
"""So much earlier than its cause an effect may be seen: nothing takes longer to notice."""

LAG_SECONDS: Final = 3600.0
"""So much later than its cause an effect may begin; an assumption, to keep false joins rare."""

TOGETHER_SECONDS: Final[Mapping[Part, float]] = {
    "loss": 21_600.0,
    "surge": 3600.0,
    "bot": 3600.0,
    "platform": 3600.0,
}
"""Signals of the same part that begin so close to each other have one cause. In the recorded
emergency calls, a feed that stopped was missed after 2, 4 and 6 hours: the rarer the contacts of a
channel, the later."""

SHARE: Final = 0.5
"""How much of a sibling's evidence counts here: it is about another channel."""

MOST: Final[Mapping[Part, float]] = {"loss": 4.6, "surge": 3.0}
"""Most log-odds that siblings add, by the part of the signal here: a factor of 100 for a loss,
since channels that move against each other have no harmless cause, and of 20 for a surge. Less
than half of what a prior of 1 in 10,000 asks for: siblings alone open nothing."""

_PARTS: Final[Mapping[Role, Part]] = {"queue": "surge", "bot": "bot", "platform": "platform"}
"""What a series of a role that fails plays; the others play nothing."""

_CAUSES: Final[Sequence[Part]] = ("platform", "loss", "bot")
"""The parts of what leads to a surge; of several the first is named."""

_OPEN: Final = ("warning", "critical")

_Rank = tuple[bool, float, str, tuple[int, str, str]]
"""Of a link: together only, how far apart, with which channel, then as `_order` says."""


class _Trace(NamedTuple):
    """A signal as far as incidents go; `latest` is when it was still new, at the latest."""

    channel: str
    part: Part
    series: str
    direction: Direction
    since: float
    latest: float


def corroborate(
    channel: str, signals: Mapping[str, Sequence[Signal]], registry: Registry
) -> Sequence[Term]:
    """Return the term that siblings add to the risk of a channel; none if they add nothing.

    Only the strongest sibling counts: siblings are not independent of each other. What counts
    are signals, never risks, so that channels cannot raise each other in turn.

    Args:
        channel: Whose risk it is.
        signals: Of the bucket by channel.
        registry: What their series speak for.
    """
    here = [
        trace
        for signal in signals[channel]
        if (trace := _trace(channel, signal, registry)) is not None
    ]
    if not here:
        return ()
    most: tuple[float, Sibling] | None = None
    for sibling in sorted(signals):
        if sibling == channel:
            continue
        for signal in signals[sibling]:
            other = _trace(sibling, signal, registry)
            if other is None:
                continue
            strength = SHARE * signal.weight * evidence(signal.probability)
            for own in here:
                why = _leads(own, other) or _leads(other, own)
                if why is None:
                    continue
                term = min(strength, MOST[own.part]) if own.part in MOST else 0.0
                if term > (most[0] if most is not None else 0.0):
                    found = Sibling(other.series, sibling, other.direction, other.since, why)
                    most = term, found
    if most is None:
        return ()
    term, facts = most
    return (Term(f"sibling:{facts.channel}:{facts.series}", term, facts),)


def join(
    service: str, opened: Iterable[str], alerts: Mapping[str, Lifecycle], registry: Registry
) -> None:
    """Let alerts that have just opened join an open incident of their service.

    Of alerts that open in the same bucket, and of which none joins an older one, the primary is
    the one with the earlier onset, then the cause, then the first by name.

    Args:
        service: Whose channels they are.
        opened: Channels whose alert opened in this bucket; their lifecycle is changed in place.
        alerts: Lifecycles by channel, of all channels.
        registry: What the series that they blame speak for.
    """
    waiting = sorted(
        opened, key=lambda name: (alerts[name].onset, _is_effect(alerts[name], registry), name)
    )
    open_alerts = {name: state for name, state in alerts.items() if state.status in _OPEN}
    for name in waiting:
        open_alerts.pop(name, None)
    for name in waiting:
        state = alerts[name]
        link = _link(name, state, open_alerts, registry)
        if link is not None:
            other, why = link
            found = open_alerts[other]
            since = started_at(found).timestamp()
            facts = Membership(alert_id(service, other, found), other, since, why)
            state.joined = Joined(
                incident_id(service, other, found), Term(f"joined:{other}", 0.0, facts)
            )
        open_alerts[name] = state


def _link(
    name: str, state: Lifecycle, open_alerts: Mapping[str, Lifecycle], registry: Registry
) -> tuple[str, Lead | CommonMove] | None:
    """The open alert that explains most: by cause and effect, then the nearest, then by name."""
    own = _traces(name, state, registry)
    best: tuple[_Rank, Lead | CommonMove] | None = None
    for other, found in open_alerts.items():
        for there in _traces(other, found, registry):
            for here in own:
                why = _leads(here, there) or _leads(there, here) or _moves_together(here, there)
                if why is None:
                    continue
                rank = (
                    isinstance(why, CommonMove),
                    abs(here.since - there.since),
                    other,
                    _order(why),
                )
                if best is None or rank < best[0]:
                    best = rank, why
    return None if best is None else (best[0][2], best[1])


def _order(why: Lead | CommonMove) -> tuple[int, str, str]:
    """The order of links that are equal otherwise."""
    if isinstance(why, Lead):
        return _CAUSES.index(why.part), why.cause, why.effect
    return 0, why.series, why.other_series


def _leads(cause: _Trace, effect: _Trace) -> Lead | None:
    """Why the one may have led to the other, if what and when allow it."""
    if effect.part != "surge" or cause.part not in _CAUSES:
        return None
    if not cause.since - EARLY_SECONDS <= effect.since <= cause.latest + LAG_SECONDS:
        return None
    return Lead(cause.part, cause.channel, effect.channel)


def _moves_together(one: _Trace, other: _Trace) -> CommonMove | None:
    if one.part != other.part or abs(one.since - other.since) > TOGETHER_SECONDS[one.part]:
        return None
    return CommonMove(one.series, one.channel, other.series, other.channel)


def _trace(channel: str, signal: Signal, registry: Registry) -> _Trace | None:
    part = _part(signal.series, signal.direction, registry)
    if part is None:
        return None
    return _Trace(channel, part, signal.series, signal.direction, signal.since, signal.since)


def _traces(channel: str, state: Lifecycle, registry: Registry) -> list[_Trace]:
    return [
        _Trace(channel, part, signal.series, signal.direction, since, max(since, state.onset))
        for signal in state.signals
        if (part := _blamed_part(signal, registry)) is not None
        for since in (signal.since.timestamp(),)
    ]


def _blamed_part(signal: AlertSignal, registry: Registry) -> Part | None:
    if signal.series.startswith(FORECASTS):
        return "surge"  # a queue that is going to be too long is an effect, as one that is
    return _part(signal.series, signal.direction, registry)


def _part(series: str, direction: Direction, registry: Registry) -> Part | None:
    """What a series plays that deviates so; unknown metrics, among others, play nothing."""
    spec = registry.get(series)
    concern = None if spec is None else spec.concern(direction)
    if spec is None or concern is None:
        return None
    if concern == "surge":
        return "surge"
    # Where nothing at all would be no silence, fewer are no loss: contacts that are resolved, say.
    if spec.role == "contacts" and spec.silence and direction == "below":
        return "loss"
    return _PARTS.get(spec.role)


def _is_effect(state: Lifecycle, registry: Registry) -> bool:
    return not any(_blamed_part(signal, registry) in _CAUSES for signal in state.signals)
