"""Which signals of a channel are material: large ones, and slight ones that come together.

A deviation that is sure may be too slight to matter: a queue that is a little longer, somewhat
more customers. Seen together they are what a rupture looks like before it hurts. So each signal
has a share of the least deviation that would matter by itself, and once the shares of different
roles add up to one, all are material. A forecast's share is its probability; but what is forecast
where nothing deviates is a plan that is too tight, day after day, and not a rupture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from ruptura.core.detect.signals import Signal
from ruptura.core.series.registry import Registry, Role

_Role = Role | Literal["silence", "forecast"]

_LASTING_SECONDS: Final = 600.0
"""A queue that has formed just now may go as it came; after so long it counts in full."""

_SERVED: Final = 0.75
"""The most that more contacts count for while no queue, failure or forecast is seen with them."""

_SIBLINGS: Final = 0.5
"""What more contacts on another channel count for here: something moves all customers."""

_FLOOD: Final = 2.0
"""Times the least rise that matters: so many contacts matter though all are served."""

_AHEAD: Final = frozenset({"forecast", "queue"})


def material(
    signals: Sequence[Signal],
    registry: Registry,
    *,
    is_warm: bool = True,
    is_queue_seen: bool,
    elsewhere: float = 0.0,
) -> list[Signal]:
    """Return the signals that are material: silences, and the others all or none.

    Args:
        signals: Of one channel and bucket.
        registry: What their series speak for.
        is_warm: Whether any series can be judged; until then a forecast has to stand alone.
        is_queue_seen: Whether any series shows how contacts wait; then more of them are no rupture
            as long as they are served.
        elsewhere: The largest `contacts_rise` of the other channels of the service.
    """
    shares: dict[_Role, float] = {}
    contacts = contacts_rise(signals, registry)
    for signal in signals:
        role = _role(signal, registry)
        share = signal.share
        if _is_rise(signal, registry):
            continue
        if role == "queue":
            share = min(share, (signal.point.start - signal.since) / _LASTING_SECONDS)
        shares[role] = max(shares.get(role, 0.0), share)
    if contacts:
        if elsewhere:
            contacts += _SIBLINGS * elsewhere
        elif is_queue_seen and contacts < _FLOOD:
            contacts = min(contacts, _SERVED)
        shares["contacts"] = max(shares.get("contacts", 0.0), contacts)
    shares.pop("silence", None)
    if is_warm and not shares.keys() - _AHEAD:
        # Whoever forecasts a queue has seen the queue.
        shares.pop("forecast", None)
    if sum(shares.values()) >= 1.0 or (not is_warm and "forecast" in shares):
        return list(signals)
    return [signal for signal in signals if signal.kind == "silence"]


def contacts_rise(signals: Sequence[Signal], registry: Registry) -> float:
    """Return the largest share of a rise in contacts; 0 without one."""
    rises = (signal for signal in signals if _is_rise(signal, registry))
    return max((signal.share for signal in rises), default=0.0)


def _is_rise(signal: Signal, registry: Registry) -> bool:
    return signal.direction == "above" and registry.role(signal.series) == "contacts"


def _role(signal: Signal, registry: Registry) -> _Role:
    """What a signal speaks for here: what speaks for the same does not add up."""
    if signal.kind in ("forecast", "silence"):
        return "forecast" if signal.kind == "forecast" else "silence"
    role = registry.role(signal.series)
    if role in ("contacts", "exceptions"):
        return role
    return "queue" if signal.kind == "surge" or role == "queue" else "supply"
