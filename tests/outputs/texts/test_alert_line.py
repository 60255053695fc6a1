"""An alert in one line: what, where, how sure, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from rich.text import Text

from ruptura.core.contracts.document import Alert, AlertSignal, Message
from ruptura.outputs.texts.alert_line import alert_line

BEGIN = datetime(2026, 3, 2, 14, 5, tzinfo=UTC)
FEWER = AlertSignal("requests", "below", 12.0, 40.0, 30.0, 50.0, 1e-9, BEGIN)
ALERT = Alert(
    alert_id="a", incident_id="i", sequence=0, status="warning", reason="opened",
    service="loja", channel="voice", kind="silence", risk=0.75, started_at=BEGIN,
    updated_at=BEGIN + timedelta(minutes=3), signals=[FEWER], causes=[], actions=[],
    message=Message("", ""), labels={},
)  # fmt: skip


def line(zone: ZoneInfo | None = None, **changes: Any) -> str:
    return Text.from_markup(alert_line(msgspec.structs.replace(ALERT, **changes), zone)).plain


def test_it_says_when_what_where_how_sure_and_why() -> None:
    told = " ".join(line().split())
    assert told == (
        "2026-03-02 14:08Z warning silence loja/voice risk 0.75 "
        "requests ↓ 12 (expected 40, 30 to 50), evidence 1e-09"
    )


def test_times_are_those_of_the_zone() -> None:
    assert line(ZoneInfo("America/Sao_Paulo")).startswith("2026-03-02 11:08 ")


def test_a_series_is_told_once_with_its_strongest_statement() -> None:
    silent = msgspec.structs.replace(FEWER, observed=None, score=1e-12)
    errors = msgspec.structs.replace(FEWER, series="errors_ratio", direction="above")
    told = line(signals=[silent, FEWER, errors])
    assert told.count("requests") == 1
    assert "requests ↓ nothing" in told
    assert "errors_ratio ↑ 12" in told


def test_the_end_says_how_long_it_lasted() -> None:
    told = line(status="resolved", reason="recovered", ended_at=BEGIN + timedelta(minutes=3))
    assert told.endswith("recovered after 0:03:00")
