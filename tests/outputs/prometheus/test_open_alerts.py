"""Gauges of open alerts: an alert is there with all its labels, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ruptura.core.contracts.document import AlertSignal
from ruptura.core.contracts.effects import ChannelPoint, Effects, OpenAlert
from ruptura.core.contracts.facts import Prior, Term
from ruptura.outputs.prometheus.metrics import Metrics

SIGNAL = AlertSignal(
    series="tickets.exceptions_product",
    direction="above",
    observed=12.0,
    expected=1.0,
    lower=0.0,
    upper=4.0,
    score=1e-9,
    since=datetime(2026, 3, 2, 14, 5, tzinfo=UTC),
)
RARE = Prior(1e-4)
CAUSES = (
    Term("prior", -9.25, RARE),
    Term("surge:tickets.opened", 4.0, RARE),
    Term("surge:tickets.opened", 2.5, RARE),
)


def opened(**changes: Any) -> OpenAlert:
    fields: dict[str, Any] = {
        "alert_id": "a-1",
        "incident_id": "i-1",
        "incident_role": "primary",
        "severity": "warning",
        "kind": "surge",
        "exception": "product",
        "causes": CAUSES,
        "signals": [SIGNAL],
    }
    return OpenAlert(**{**fields, **changes})


def shown(*steps: tuple[str, OpenAlert | None], name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and values of a metric after steps that close a bucket of a channel each."""
    metrics = Metrics(CollectorRegistry(), 100)
    for channel, alert in steps:
        point = ChannelPoint("shop", channel, 60.0, 0.7, "warning", alert=alert)
        metrics.apply(Effects(channels=[point]))
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name == f"ruptura_alert_{name}"
    ]


def test_an_open_alert_is_1_with_its_identity_as_labels() -> None:
    labels = {
        "service": "shop",
        "channel": "voice",
        "severity": "warning",
        "kind": "surge",
        "exception": "product",
        "alert_id": "a-1",
        "incident_id": "i-1",
        "incident_role": "primary",
    }
    assert shown(("voice", opened()), name="info") == [(labels, 1.0)]


def test_an_alert_without_an_exception_has_an_empty_label() -> None:
    [(labels, _)] = shown(("voice", opened(exception=None)), name="info")
    assert labels["exception"] == ""


def test_an_escalation_takes_the_place_of_the_warning() -> None:
    found = shown(("voice", opened()), ("voice", opened(severity="critical")), name="info")
    assert [labels["severity"] for labels, _ in found] == ["critical"]


def test_an_alert_that_has_ended_is_gone_and_those_of_other_channels_are_not() -> None:
    steps = ("voice", opened()), ("app", opened(alert_id="a-2")), ("voice", None)
    assert [labels["alert_id"] for labels, _ in shown(*steps, name="info")] == ["a-2"]
    for name in ("explanation_info", "cause_log_odds"):
        assert {labels["channel"] for labels, _ in shown(*steps, name=name)} == {"app"}


def test_it_is_explained_in_each_language() -> None:
    found = shown(("voice", opened()), name="explanation_info")
    series = "tickets.exceptions_product"
    assert {labels["language"]: labels["text"] for labels, _ in found} == {
        "en": f"{series} above normal since 14:05 UTC; last bucket 12, 1 expected.",
        "pt-BR": f"{series} acima do normal desde 14:05 UTC; último intervalo 12, esperado 1.",
    }
    assert {value for _, value in found} == {1.0}


def test_several_lines_come_through_the_text_format() -> None:
    signals = [msgspec.structs.replace(SIGNAL, series=name) for name in ("a", "b", "c")]
    [(labels, _), _] = shown(("voice", opened(signals=signals)), name="explanation_info")
    assert labels["text"].count("\n") == 2


def test_terms_of_one_cause_are_added_up() -> None:
    found = shown(("voice", opened()), name="cause_log_odds")
    assert {labels["cause"]: value for labels, value in found} == {
        "prior": -9.25,
        "surge:tickets.opened": 6.5,
    }
