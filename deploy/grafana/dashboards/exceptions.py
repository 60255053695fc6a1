"""Tickets outside the standard: of products, of service, of policy; each has a team of its own."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import bargauge, stat, timeseries
from grafana_foundation_sdk.models import dashboard as model

from dashboards import queries
from dashboards.addresses import EXCEPTIONS
from dashboards.alert_table import open_alerts
from dashboards.frame import frame, several, values
from dashboards.panels import (
    AMBER,
    BLUE,
    GREEN,
    RED,
    bars,
    lines,
    number,
    numbered,
    row,
    setting,
    thresholds,
)
from ruptura.assembly.registry import series_registry

_KINDS: Final = {
    "product": "out of stock, defective",
    "service": "late delivery, failed execution",
    "policy": "asked for what the policy does not cover",
}
_REGISTRY: Final = series_registry()
_ANY: Final = queries.named([name for name in _REGISTRY if _REGISTRY.role(name) == "exceptions"])


def dashboard() -> model.Dashboard:
    """Build it."""
    begun = (
        frame(EXCEPTIONS, "Exceptions by kind and channel against their normal, and their alerts.")
        .with_variable(values("service", "Service", "Service.", "ruptura_channel_risk"))
        .with_variable(
            several(
                values(
                    "channel",
                    "Channel",
                    "Channels of the service.",
                    'ruptura_channel_risk{service="$service"}',
                )
            )
        )
    )
    for kind, meaning in _KINDS.items():
        begun.with_panel(_open(kind, meaning))
    begun.with_panel(
        open_alerts(
            "Open alerts about exceptions",
            "Open alerts that rest on exceptions of one kind.",
            f'exception!="", {queries.MANY}',
        )
    )
    begun.with_panel(_total()).with_panel(_excess())
    for kind, meaning in _KINDS.items():
        begun.with_row(row(f"{kind.capitalize()} exceptions by channel"))
        begun.with_panel(_observed(kind, meaning))
    return numbered(begun.build())


def _open(kind: str, meaning: str) -> stat.Panel:
    return number(
        f"Open alerts: {kind}",
        f"Channels with an open alert about {kind} exceptions ({meaning}).",
        "short",
        "count(max by (service, channel) "
        f'(ruptura_alert_info{{exception="{kind}", {queries.MANY}}})) or vector(0)',
        width=8,
    ).thresholds(thresholds((None, GREEN), (1, RED)))


def _total() -> timeseries.Panel:
    return lines(
        "Exceptions, all chosen channels",
        "Distinct tickets with an exception in a bucket, added up over the chosen channels.",
        "short",
        {
            "{{series}}": "sum by (series) "
            f"({queries.series('observed', f'{_ANY}, {queries.MANY}')})"
        },
    )


def _excess() -> bargauge.Panel:
    of = f"{_ANY}, {queries.MANY}"
    return (
        bars(
            "Newest bucket against the upper end of its band",
            "1: as many tickets with this exception as the expected band reaches; more is rare.",
            "none",
            {
                "{{channel}} {{series}}": f"sort_desc({queries.series('observed', of)} "
                f"/ ({queries.series('upper', of)} > 0))"
            },
        )
        .decimals(2)
        .min(0)
        .max(2)
        .thresholds(thresholds((None, GREEN), (0.8, AMBER), (1, RED)))
    )


def _observed(kind: str, meaning: str) -> timeseries.Panel:
    # A copy for each chosen channel, in which $channel is that channel alone.
    of_kind = [name for name, spec in _REGISTRY.specs.items() if spec.exception == kind]
    selector = f"{queries.MANY}, {queries.named(of_kind)}"
    band = [
        setting("custom.lineWidth", 0),
        setting("custom.fillOpacity", 0),
        setting("color", {"mode": "fixed", "fixedColor": BLUE}),
    ]
    return (
        lines(
            f"$channel: {kind} exceptions",
            f"Distinct tickets with a {kind} exception ({meaning}) in a bucket, against the "
            "expected band.",
            "short",
            {
                name: queries.series(name, selector)
                for name in ("lower", "upper", "expected", "observed")
            },
            width=24,
        )
        .repeat("channel")
        .repeat_direction("h")
        .max_per_row(3)
        .override_by_name("lower", band)
        .override_by_name(
            "upper",
            [*band, setting("custom.fillBelowTo", "lower"), setting("custom.fillOpacity", 20)],
        )
        .override_by_name("observed", [setting("custom.lineWidth", 2)])
    )
