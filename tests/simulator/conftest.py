"""Small contact centres for tests of the simulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ruptura.assembly.registry import series_registry
from ruptura.simulator import Scenario, load_scenario

PLAIN = """
description = "One channel, nothing happens."
begins = 2026-03-02T00:00:00Z
days = 3
warm_up_days = 1

[services.shop]
"""

CHANNEL = """
[[channels]]
service = "shop"
name = "chat"
contacts_per_hour = 60
week = [1, 1, 1, 1, 1, 1, 1]
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a scenario file."""

    def write(text: str, name: str = "small") -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def scenario(write: Write) -> Callable[..., Scenario]:
    """Load a scenario: one plain channel with these lines, and what follows it."""

    def make(lines: str = "", rest: str = "", name: str = "small") -> Scenario:
        return load_scenario(write(f"{PLAIN}{CHANNEL}{lines}\n{rest}", name), series_registry())

    return make


@pytest.fixture
def busy(write: Write) -> Path:
    """Write a scenario with a bot, siblings, metrics and a rupture."""
    return write(
        f"""{PLAIN}{CHANNEL}
spill = {{ voice = 0.2 }}
bot = {{}}
metrics = ["requests", "errors_ratio", "queue_oldest_seconds", "bot_fallback_ratio"]

[[channels]]
service = "shop"
name = "voice"
contacts_per_hour = 20
hours = ["mon-sat 08:00-20:00"]
metrics = ["agents_available"]

[[ruptures]]
name = "outage"
kind = "outage"
channels = ["chat", "voice"]
day = [1, 2]
hour = [9.0, 15.0]
duration_minutes = [30, 60]
severity = [0.9, 1.0]
""",
        "busy",
    )
