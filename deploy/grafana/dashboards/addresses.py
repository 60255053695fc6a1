"""Where dashboards, runbooks and data stand: every name that something else refers to."""

from __future__ import annotations

import os
from typing import Final

OVERVIEW: Final = "ruptura-overview"
CHANNEL: Final = "ruptura-channel"
PIPELINE: Final = "ruptura-pipeline"
EXCEPTIONS: Final = "ruptura-exceptions"

TITLES: Final = {
    OVERVIEW: "Ruptura / Overview",
    CHANNEL: "Ruptura / Channel",
    EXCEPTIONS: "Ruptura / Exceptions",
    PIPELINE: "Ruptura / Pipeline",
}
"""By uid, in the order of the links at the top of each dashboard."""

RUNBOOKS: Final = os.environ.get(
    "RUPTURA_RUNBOOKS", "https://github.com/ruptura/ruptura/blob/main/deploy/runbooks"
).rstrip("/")
"""Base address of the runbooks: the one place to change it, or the environment of `generate.py`."""

JOB: Final = "ruptura"
"""Name of the scrape job."""


def runbook(alert: str) -> str:
    """Return the address of an alert's page; Grafana may fill in a name such as ${__data...}."""
    return f"{RUNBOOKS}/{alert}.md"


def channel_url(service: str, channel: str, *more: str) -> str:
    """Return the address of a channel's dashboard, with the time and the data source kept.

    Args:
        service, channel: What Grafana fills in.
        more: Further parameters.
    """
    parameters = (
        f"var-service={service}",
        f"var-channel={channel}",
        *more,
        "var-datasource=${datasource}",
        "${__url_time_range}",
    )
    return f"/d/{CHANNEL}?" + "&".join(parameters)
