"""A scenario of two days and one channel: enough for a verdict, and quick."""

from __future__ import annotations

from pathlib import Path

SERVICES = '[services.aurora]\ntime_zone = "America/Sao_Paulo"'

_TEXT = """
description = "Errors on the second day."
begins = 2026-03-02T03:00:00Z
days = 2
warm_up_days = 1
objectives = {{ errors_ratio = 0.04 }}

{services}

[[channels]]
service = "aurora"
name = "app"
contacts_per_hour = 20
metrics = ["errors_ratio"]

[[ruptures]]
name = "errors"
kind = "error_creep"
channels = ["app"]
day = [1, 1]
hour = [11.0, 11.0]
duration_minutes = [120, 120]
severity = [0.6, 0.6]
"""


def small_scenario(folder: Path, services: str = SERVICES) -> Path:
    """Write the scenario to a folder and return its file."""
    path = folder / "small.toml"
    path.write_text(_TEXT.format(services=services))
    return path
