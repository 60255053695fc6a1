"""What a replay leaves behind."""

from __future__ import annotations

import io
import urllib.request
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from ruptura.core.contracts.document import Alert
from ruptura.core.contracts.effects import Effects, SeriesPoint
from ruptura.core.contracts.facts import AlertFacts
from ruptura.core.decide.lifecycle import Lifecycle, Transition, alert_facts
from ruptura.outputs.report import Report
from ruptura.outputs.summary import Summary
from ruptura.outputs.texts.alerts import alert_document
from ruptura.outputs.texts.summary import summary_lines


def _alert() -> AlertFacts:
    state = Lifecycle(
        onset=1_750_000_020.0,
        last_notified_at=1_750_000_140.0,
        last_notified_risk=0.75,
        kind="surge",
    )
    return alert_facts(state, Transition("warning", "opened"), "loja", "voice", {})


def _point(**changes: object) -> SeriesPoint:
    point = SeriesPoint(
        "loja", "voice", "tickets.opened", 1_750_000_020.0, 7.0, 3.0, 0.5, 8.0, 0.04, 0.2
    )
    return msgspec.structs.replace(point, **changes)


def test_a_document_goes_to_the_pipe_and_to_the_file_alike(tmp_path: Path) -> None:
    pipe = io.BytesIO()
    path = tmp_path / "alerts.jsonl"
    with Report(console=None, documents=pipe, alerts=path) as report:
        report.apply(Effects(alerts=[_alert()]))
    assert pipe.getvalue() == path.read_bytes()
    assert msgspec.json.decode(pipe.getvalue(), type=Alert) == alert_document(_alert())


def test_people_get_a_line_that_says_when_what_where_and_how_sure() -> None:
    screen = io.StringIO()
    with Report(console=Console(file=screen, width=200), documents=None) as report:
        report.apply(Effects(alerts=[_alert()]))
    line = screen.getvalue()
    for part in ("2025-06-15 15:09Z", "warning", "surge", "loja/voice", "risk 0.75"):
        assert part in line


def test_the_table_leaves_open_what_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    warming = _point(expected=None, lower=None, upper=None, score=None, evidence=None)
    with Report(console=None, documents=None, series=path) as report:
        report.apply(Effects(points=[warming, _point()]))
    assert path.read_text().splitlines() == [
        "service,channel,series,start,observed,expected,lower,upper,score,evidence",
        "loja,voice,tickets.opened,2025-06-15T15:07:00Z,7.0,,,,,",
        "loja,voice,tickets.opened,2025-06-15T15:07:00Z,7.0,3.0,0.5,8.0,0.04,0.2",
    ]


def test_metrics_are_served_on_loopback_while_the_report_is_open() -> None:
    with Report(console=None, documents=None, metrics_port=0) as report:
        report.apply(Effects(consumed={"ruptura.tickets": 3}))
        assert report.metrics_url is not None
        assert report.metrics_url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(report.metrics_url) as answer:  # noqa: S310  # our own loopback
            text = answer.read().decode()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["ruptura_events_consumed_total", "ruptura.tickets"] == 3.0


def test_the_summary_names_reasons_and_kinds() -> None:
    summary = Summary(
        records=2_000,
        rejected={"malformed_json": 2, "future_event": 1},
        alerts={"silence": 1},
        documents={"warning": 1},
        misrouted=4,
    )
    lines = summary_lines(summary, 0.5)
    assert lines[0] == "events      2,000 in 0.5 s (4,000 events/s)"
    assert "rejected    3 (future_event 1, malformed_json 2)" in lines
    assert "alerts      1 (silence 1)" in lines
    assert any(line.startswith("misrouted   4") for line in lines)
