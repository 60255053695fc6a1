"""What is counted: an alert that opened, and so called a person."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ruptura.core.contracts.document import Alert


class Page(msgspec.Struct, frozen=True, gc=False):
    """One opening of an alert.

    Attributes:
        service, channel: Where.
        at: When it could be told at the earliest, in seconds since the Unix epoch: the end of the
            bucket that led to it, and the lateness that events are allowed.
        why: The series or rule that led to it.
    """

    service: str
    channel: str
    at: float
    why: str = ""


def openings(alerts: Iterable[Alert], lateness_seconds: float) -> list[Page]:
    """Return the openings among alert documents; updates, escalations and ends call nobody.

    Args:
        alerts: Documents in order.
        lateness_seconds: How long after its end a bucket closes.
    """
    return [
        Page(
            alert.service,
            alert.channel,
            alert.updated_at.timestamp() + lateness_seconds,
            f"{alert.kind}: {alert.signals[0].series}" if alert.signals else alert.kind,
        )
        for alert in alerts
        if alert.reason == "opened"
    ]
