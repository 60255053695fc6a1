"""What the demo's screen makes of /metrics and of alerts."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from rich.console import Console, RenderableType

from ruptura.core.contracts.document import Alert, AlertSignal, Message
from ruptura.core.contracts.effects import ChannelPoint, Effects, SeriesPoint
from ruptura.outputs.prometheus.metrics import Metrics
from ruptura.tools.demo.screen import (
    ChannelSample,
    Sample,
    SeriesSample,
    alert_counts,
    channel_lines,
    channel_table,
    clock,
    is_change,
    live_screen,
    quantity,
    read_sample,
    risk_bar,
    shown_series,
)

ONSET = datetime(2016, 3, 7, 12, 20, tzinfo=UTC)
ZONE = ZoneInfo("America/Sao_Paulo")


@pytest.fixture
def metrics() -> Callable[[Effects], str]:
    """From the effects of a step to the text of /metrics, through the real exporter."""

    def render(effects: Effects) -> str:
        exporter = Metrics(CollectorRegistry(), max_channels=100)
        exporter.apply(effects)
        return exporter.render().decode()

    return render


def alert(**changes: Any) -> Alert:
    signal = AlertSignal("tickets.opened", "above", 9, 3.2, 0.1, 14, 1e-6, ONSET)
    fields: dict[str, Any] = {
        "alert_id": "a",
        "incident_id": "i",
        "sequence": 0,
        "status": "warning",
        "reason": "opened",
        "service": "service-desk",
        "channel": "voice",
        "kind": "surge",
        "risk": 0.57,
        "started_at": ONSET,
        "updated_at": ONSET + timedelta(minutes=5),
        "signals": [signal],
        "causes": [],
        "actions": [],
        "message": Message("", ""),
        "labels": {},
    }
    return Alert(**fields | changes)


def sample(**channel: Any) -> Sample:
    return Sample(1234, ONSET.timestamp(), {("service-desk", "voice"): ChannelSample(**channel)})


def drawn(what: RenderableType, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_scrape_is_read_as_the_exporter_wrote_it(metrics: Callable[[Effects], str]) -> None:
    text = metrics(
        Effects(
            consumed={"ruptura.tickets": 40, "ruptura.channel-metrics": 2},
            points=[
                SeriesPoint("desk", 'vo"ice', "tickets.opened", 0, 9, 3.2, 0.1, 14, 1e-3, 1e-6),
                SeriesPoint("desk", 'vo"ice', "tickets.backlog", 0, 5),
            ],
            channels=[ChannelPoint("desk", 'vo"ice', 300, 0.97, "critical")],
            event_times={("ruptura.tickets", 0): 100.0, ("ruptura.tickets", 3): 250.0},
        )
    )
    read = read_sample(text)
    assert (read.consumed, read.newest) == (42, 250.0)
    assert read.channels == {
        ("desk", 'vo"ice'): ChannelSample(
            0.97,
            "critical",
            {
                "tickets.opened": SeriesSample(9, 3.2, 0.1, 14, 1e-6),
                "tickets.backlog": SeriesSample(observed=5),
            },
        )
    }


def test_before_the_first_event_there_is_nothing_to_show(
    metrics: Callable[[Effects], str],
) -> None:
    assert read_sample(metrics(Effects())) == Sample(0, None, {})
    assert clock(None, ZONE) == "no events yet"


def test_the_clock_tells_the_weekday_in_the_zone_of_the_story() -> None:
    assert clock(ONSET.timestamp(), ZONE) == "Mon 2016-03-07 09:20"


@pytest.mark.parametrize(
    ("state", "series", "shown"),
    [
        ("normal", {"tickets.backlog": 1.0, "tickets.opened": 1e-9}, "tickets.opened"),
        ("normal", {"requests": 1.0, "errors_ratio": 1.0}, "errors_ratio"),
        ("critical", {"tickets.backlog": 1e-9, "tickets.opened": 1.0}, "tickets.backlog"),
        ("warning", {"a": None, "b": 0.5}, "b"),
    ],
    ids=["demand", "first by name", "strangest in an alert", "without evidence last"],
)
def test_a_channel_shows_the_series_that_matters(
    state: str, series: dict[str, float | None], shown: str
) -> None:
    samples = {name: SeriesSample(evidence=evidence) for name, evidence in series.items()}
    found = shown_series(ChannelSample(0.5, state, samples))
    assert found is not None
    assert found[0] == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (3, "3"),
        (0.25, "0.25"),
        (12.34, "12.3"),
        (9990.4, "9990"),
        (12_345, "12.3k"),
        (1_821_749.3, "1.82M"),
        (-4.5e9, "-4.50G"),
    ],
)
def test_quantities_are_short(value: float | None, text: str) -> None:
    assert quantity(value) == text


@given(st.floats(-1e12, 1e12))
def test_no_quantity_breaks_the_table(value: float) -> None:
    assert len(quantity(value)) <= 9
    assert "e" not in quantity(value)


@given(st.floats(0, 1))
def test_a_risk_is_a_bar_of_fixed_width_that_never_rounds_up_to_certainty(risk: float) -> None:
    assert len(risk_bar(risk)) == len("█████ 1.00")
    assert risk_bar(risk).endswith("1.00") == (risk == 1.0)


def test_a_row_tells_observed_expected_risk_and_state() -> None:
    values = {"tickets.opened": SeriesSample(9, 3.2, 0.1, 14, 1e-6)}
    shown = drawn(channel_table(sample(risk=0.97, state="critical", series=values)))
    [row] = [line for line in shown.splitlines() if "service-desk" in line]
    assert row.split() == (
        [
            "service-desk",
            "voice",
            "tickets.opened",
            "9",
            "3.20",
            "(0.10",
            "to",
            "14)",
            "█████",
            "0.97",
            "critical",
        ]
    )


def test_a_channel_that_warms_up_says_so() -> None:
    [_, row] = channel_lines(sample(series={"tickets.opened": SeriesSample(observed=2)}))
    assert row.split() == [
        "service-desk",
        "voice",
        "tickets.opened",
        "2",
        "-",
        "░░░░░",
        "0.00",
        "warming",
        "up",
    ]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_screen_fits_the_terminal(width: int) -> None:
    shown = drawn(
        live_screen(
            sample=sample(risk=0.97, state="critical", series={"tickets.opened": SeriesSample(9)}),
            act="Monday: " + "a long text " * 30,
            published=40,
            total=100,
            alerts=[alert(sequence=number) for number in range(100)],
            zone=ZONE,
            metrics_url="http://127.0.0.1:6066/metrics",
            width=width,
            height=24,
        ),
        width,
    )
    lines = shown.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= width
    for told in ("Mon 2016-03-07 09:20", "1,234 of 100 events", "/metrics", "critical", "0.97"):
        assert told in shown


def test_the_newest_changes_of_status_stand_under_the_table() -> None:
    shown = drawn(
        live_screen(
            sample=sample(),
            act="",
            published=0,
            total=1,
            alerts=[
                alert(),
                alert(reason="updated", risk=0.61),
                alert(status="resolved", reason="recovered", updated_at=ONSET + timedelta(hours=8)),
            ],
            zone=ZONE,
            metrics_url="",
            width=120,
            height=40,
        )
    )
    under = [line for line in shown.splitlines() if line.startswith("2016")]
    assert [line.split()[2] for line in under] == ["warning", "resolved"]
    assert "09:25" in under[0]
    assert "8:00:00" in under[1]


def test_alerts_are_counted_once_and_their_documents_each() -> None:
    documents = [
        alert(),
        alert(reason="escalated", status="critical"),
        alert(reason="recovered", status="resolved"),
        alert(kind="silence", status="critical"),
    ]
    assert alert_counts(documents) == [
        "alerts     2 (silence 1, surge 1)",
        "documents  4 (critical 2, resolved 1, warning 1)",
    ]
    assert [is_change(alert(reason=reason)) for reason in ("opened", "updated")] == [True, False]
