"""An alert in one line, for terminals."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from rich.markup import escape

from ruptura.core.contracts.document import Alert, AlertSignal
from ruptura.outputs.texts.signals import one_per_series

STATUS_STYLES: Final = {"warning": "yellow", "critical": "bold red", "resolved": "green"}


def alert_line(alert: Alert, zone: ZoneInfo | None = None) -> str:
    """Return one line, with rich's markup, that says what, where, how sure and why.

    Args:
        alert: The document.
        zone: Time zone to write times in; UTC if None.
    """
    style = STATUS_STYLES[alert.status]
    where = escape(f"{alert.service}/{alert.channel}")
    head = (
        f"{_when(alert.updated_at, zone)} [{style}]{alert.status:<8}[/] {alert.kind:<8} {where:<28}"
    )
    if alert.status == "resolved":
        lasted = alert.updated_at - alert.started_at
        return f"{head} {alert.reason} after {lasted}"
    why = "; ".join(_why(signal) for signal in one_per_series(alert.signals)[:2])
    return f"{head} risk {alert.risk:.2f}  {why}"


def _why(signal: AlertSignal) -> str:
    arrow = "↑" if signal.direction == "above" else "↓"
    observed = "nothing" if signal.observed is None else f"{signal.observed:.4g}"
    return (
        f"{escape(signal.series)} {arrow} {observed} "
        f"(expected {signal.expected:.3g}, {signal.lower:.3g} to {signal.upper:.3g}), "
        f"evidence {signal.score:.1g}"
    )


def _when(moment: datetime, zone: ZoneInfo | None) -> str:
    return (
        moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")
        if zone
        else (moment.strftime("%Y-%m-%d %H:%MZ"))
    )
