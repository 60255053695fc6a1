"""Queries that more than one dashboard asks.

Each takes the largest over instances: while a channel moves from one worker to another, both may
show it for a scrape, and it must not be counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ONE: Final = 'service="$service", channel="$channel"'
"""The chosen channel."""

MANY: Final = 'service=~"$service", channel=~"$channel"'
"""The chosen channels; Grafana escapes what is special in them."""


def state(selector: str) -> str:
    """The state of each channel: 0 warming up, 1 normal, 2 warning, 3 critical."""
    metric = "ruptura_channel_state"
    return (
        "max by (service, channel) ("
        f'{metric}{{state="critical", {selector}}} * 3'
        f' or {metric}{{state="warning", {selector}}} * 2'
        f' or {metric}{{state="normal", {selector}}}'
        f' or {metric}{{state="warming_up", {selector}}} * 0)'
    )


def by_channel(metric: str, selector: str) -> str:
    """A gauge of channels."""
    return f"max by (service, channel) ({metric}{{{selector}}})"


def series(name: str, selector: str) -> str:
    """A gauge of series, as `observed` or `upper`."""
    return f"max by (service, channel, series) (ruptura_series_{name}{{{selector}}})"


def named(names: Sequence[str]) -> str:
    """The selector of the series of these names."""
    if len(names) == 1:
        return f'series="{names[0]}"'
    # A dot stands for itself in brackets: a backslash would be one of PromQL's strings too.
    return f'series=~"{"|".join(names).replace(".", "[.]")}"'


def in_state(name: str, selector: str) -> str:
    """How many channels are in a state."""
    return (
        "count(max by (service, channel) "
        f'(ruptura_channel_state{{state="{name}", {selector}}}) == 1) or vector(0)'
    )


def open_alerts(selector: str) -> str:
    """Open alerts, each with the name of the rule that pages for it, as label `runbook`."""
    labels = "service, channel, severity, kind, exception, alert_id, incident_id, incident_role"
    query = f"max by ({labels}) (ruptura_alert_info{{{selector}}})"
    for rule, label, value in (
        ("RupturaWarning", "severity", "warning"),
        ("RupturaCritical", "severity", "critical"),
        ("RupturaSilence", "kind", "silence"),
        ("RupturaBreachForecast", "kind", "forecast"),
    ):
        query = f'label_replace({query}, "runbook", "{rule}", "{label}", "{value}")'
    return query
