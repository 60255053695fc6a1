"""The table of open alerts, which three dashboards show."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table

from dashboards import queries
from dashboards.addresses import channel_url, runbook
from dashboards.panels import AMBER, RED, colored_cell, link, rows, setting, words


def open_alerts(title: str, text: str, selector: str, *, height: int = 7) -> table.Panel:
    """Open alerts, with links to their channel and their runbook.

    Args:
        title, text: Of the panel.
        selector: Of `ruptura_alert_info`.
        height: In rows of the grid.
    """
    names = {
        "severity": "Severity",
        "service": "Service",
        "channel": "Channel",
        "kind": "Kind",
        "exception": "Exception",
        "incident_role": "Role",
        "incident_id": "Incident",
        "alert_id": "Alert",
        "runbook": "Runbook",
    }
    to_channel = link(
        "Open the channel",
        channel_url("${__data.fields.Service}", "${__data.fields.Channel}"),
    )
    page = runbook("${__data.fields.Runbook}")
    return (
        rows(title, text, "none", [queries.open_alerts(selector)], names, height=height)
        .no_value("No open alert")
        .override_by_name(
            "Severity",
            [
                setting("mappings", words({"critical": RED, "warning": AMBER})),
                colored_cell(),
                setting("custom.width", 100),
            ],
        )
        .override_by_name("Service", [to_channel])
        .override_by_name("Channel", [to_channel])
        .override_by_name("Runbook", [link("Open the runbook", page, away=True)])
    )
