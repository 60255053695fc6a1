"""Which dashboards there are, and how they become files."""

from __future__ import annotations

import json
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import channel, exceptions, overview, pipeline

DASHBOARDS: Final[tuple[Dashboard, ...]] = (
    overview.dashboard(),
    channel.dashboard(),
    pipeline.dashboard(),
    exceptions.dashboard(),
)


def json_text(dashboard: Dashboard) -> str:
    """Return a dashboard as the text of a file that Grafana provisions; same input, same bytes."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"
