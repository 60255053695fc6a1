"""Service level objectives, and how far their breach is seen coming."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from ruptura.settings.section import NOW, Section


class ForecastSettings(Section, frozen=True):
    """How far breaches of service level objectives are seen coming."""

    horizon_seconds: Annotated[
        float,
        Meta(
            ge=60,
            le=86_400,
            description="How far forecasts look ahead; at least a bucket.",
            extra=NOW,
        ),
    ] = 900.0


ObjectiveName = Literal[
    "service_level_ratio",
    "answer_within_seconds",
    "longest_wait_seconds",
    "abandonment_ratio",
    "backlog_contacts",
    "errors_ratio",
    "request_seconds",
]

ObjectivesByChannel = Annotated[
    dict[str, dict[ObjectiveName, Annotated[float, Meta(gt=0, le=1e9)]]],
    Meta(
        description="Service level objectives by channel, whose breach is forecast; `default` "
        "stands for channels without a table of their own. service_level_ratio is the least share "
        "answered within answer_within_seconds (both or none), the others are the most that there "
        "may be.",
        extra=NOW,
        examples=[
            {
                "default": {"service_level_ratio": 0.8, "answer_within_seconds": 20.0},
                "webchat": {"longest_wait_seconds": 120.0, "errors_ratio": 0.05},
            }
        ],
    ),
]
