"""The rules of Prometheus: what they name exists, what they say is whole, each has its cases."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ruptura.worker.health import LIMITS
from tests.deploy.exposed_metrics import COLLECTED, PACKAGE, exposed
from tests.deploy.prometheus_rules import (
    PROMETHEUS,
    UNIT_TESTS,
    alerts,
    faults,
    queries,
    recorded,
    rules,
    unit_tests,
)

ALERTS = alerts()
CHANNEL_ALERTS = {"RupturaCritical", "RupturaWarning", "RupturaSilence", "RupturaBreachForecast"}


def test_all_metrics_of_the_code_are_known_here() -> None:
    makers = {path.stem for path in PACKAGE.rglob("*.py") if "MetricFamily(" in path.read_text()}
    assert {"counters", "channels", "health"} < makers <= COLLECTED
    assert len(exposed()) > 40


@pytest.mark.parametrize(
    "rule", rules(), ids=lambda rule: str(rule.get("alert") or rule.get("record"))
)
def test_every_metric_and_label_in_an_expression_exists(rule: dict[str, Any]) -> None:
    found = [fault for query in queries(rule) for fault in faults(query)]
    assert found == []


def test_a_mistake_in_an_expression_is_found() -> None:
    assert faults("rate(ruptura_events_lost_total[5m])") == ["no metric ruptura_events_lost_total"]
    assert faults('ruptura_channel_risk{chanel="x"}') == ["no label chanel of ruptura_channel_risk"]
    assert faults("sum by (topic) (ruptura_channel_risk)") == ["nothing has the label topic"]
    assert faults('ruptura_worker_beat_age_seconds{beat="heart"}') == [
        "ruptura_worker_beat_age_seconds never has beat=heart"
    ]
    assert faults('topic:ruptura_offset_jumps:increase15m{service="x"}') == [
        "no label service of topic:ruptura_offset_jumps:increase15m"
    ]
    assert faults('ruptura_alert_info{kind=~"surge|flood"}') == [
        "ruptura_alert_info never has kind=flood"
    ]
    assert faults("vector(1)") == ["names no metric"]


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(name: str) -> None:
    cases = [case for alert, case in unit_tests() if alert == name]
    firing = [case for case in cases if case["exp_alerts"]]
    assert firing
    assert [case for case in cases if not case["exp_alerts"]]
    annotations = set(ALERTS[name]["annotations"])
    for case in firing:
        for expected in case["exp_alerts"]:
            assert set(expected["exp_annotations"]) == annotations
            assert expected["exp_labels"]["severity"] in ("info", "warning", "critical")


def test_no_unit_test_is_about_an_alert_that_is_no_more() -> None:
    assert UNIT_TESTS
    assert {alert for alert, _ in unit_tests()} == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_why_and_where_to_read_on(name: str) -> None:
    annotations = ALERTS[name]["annotations"]
    wanted = {"summary", "description", "runbook_url", "dashboard_url"}
    if name in CHANNEL_ALERTS:
        wanted |= {"description_pt_br"}
    assert annotations.keys() == wanted
    # All say the same base, and each its own page.
    bases = {rule["annotations"]["runbook_url"].rsplit("/", 1)[0] for rule in ALERTS.values()}
    assert len(bases) == 1
    assert annotations["runbook_url"].endswith(f"/{name}.md")
    board = "ruptura-channel?" if name in CHANNEL_ALERTS else "ruptura-pipeline"
    assert f"/d/{board}" in annotations["dashboard_url"]
    assert "$value" in annotations["description"] or "query" in annotations["description"]


@pytest.mark.parametrize("name", sorted(CHANNEL_ALERTS))
def test_a_channel_alert_names_no_worker_and_bridges_a_move_without_waiting(name: str) -> None:
    rule = ALERTS[name]
    levels = "service, channel, severity, kind, exception, incident_id, incident_role"
    assert rule["expr"].startswith(f"max by ({levels}) (")
    assert rule["keep_firing_for"] == "3m"
    assert "for" not in rule, "Ruptura has waited already"


def test_every_open_alert_is_some_rules_business_and_only_ones() -> None:
    caught: dict[tuple[str, str], list[str]] = {}
    for name in CHANNEL_ALERTS:
        matchers = dict(re.findall(r'(severity|kind)=~?"([^"]*)"', ALERTS[name]["expr"]))
        for kind in exposed()["ruptura_alert_info"].values["kind"]:
            for severity in exposed()["ruptura_alert_info"].values["severity"]:
                if re.fullmatch(matchers.get("kind", ".*"), kind) and re.fullmatch(
                    matchers.get("severity", ".*"), severity
                ):
                    caught.setdefault((kind, severity), []).append(name)
    assert len(caught) == 8
    assert {len(names) for names in caught.values()} == {1}


@pytest.mark.parametrize("name", sorted(ALERTS.keys() - CHANNEL_ALERTS))
def test_an_alert_about_ruptura_itself_is_labelled_as_such(name: str) -> None:
    labels = ALERTS[name]["labels"]
    assert ALERTS[name]["keep_firing_for"] in ("3m", "5m"), "no flapping at the edge"
    assert labels.keys() == {"service", "kind", "severity"}
    assert (labels["service"], labels["kind"]) == ("ruptura", "pipeline")


def test_beats_are_too_old_when_health_says_so() -> None:
    told = {
        beat: float(limit)
        for name in ("RupturaWorkerStalled", "RupturaCheckpointsStalled")
        for beats, limit in re.findall(r'beat=~?"([a-z|]+)"} > (\d+)', ALERTS[name]["expr"])
        for beat in beats.split("|")
    }
    assert told == {beat: limit for beat, (limit, _) in LIMITS.items()}


def test_recorded_metrics_are_named_by_level_metric_and_operations() -> None:
    assert recorded()
    for name, metric in recorded().items():
        level, source, operations = name.split(":")
        assert operations
        assert source.startswith("ruptura_"), name
        # `job` is the level above all labels.
        assert metric.labels == (frozenset() if level == "job" else frozenset(level.split("_"))), (
            name
        )


def test_the_configuration_loads_the_rules_and_takes_its_own_labels_off() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert config["rule_files"] == ["rules/*.yml"]
    assert {job["job_name"] for job in config["scrape_configs"]} >= {"ruptura"}
    [relabel] = config["alerting"]["alert_relabel_configs"]
    assert relabel["action"] == "labeldrop"
    named = set(re.findall(r"\$externalLabels\.(\w+)", str(ALERTS)))
    assert named == config["global"]["external_labels"].keys()
    assert all(re.fullmatch(relabel["regex"], label) for label in named)
