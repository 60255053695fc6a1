"""The committed dashboards are what the code makes, whole, and link to what exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import json_text
from dashboards.addresses import RUNBOOKS
from dashboards.queries import open_alerts
from tests.deploy.dashboard_files import (
    GRAFANA,
    ROOT,
    UIDS,
    dashboard,
    panels,
    queries,
    urls,
    variable_queries,
)

GENERATE = GRAFANA / "generate.py"
KNOWN = {"datasource", "service", "channel", "series", "instance"}
BUILT_IN = {"__rate_interval", "__range", "__url_time_range", "__data"}

of_each = pytest.mark.parametrize("uid", UIDS)


def test_the_committed_files_are_what_the_code_makes() -> None:
    done = subprocess.run(
        [sys.executable, str(GENERATE), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), "run: python deploy/grafana/generate.py"


def test_there_is_a_file_for_each_dashboard_and_no_other() -> None:
    assert sorted(path.stem for path in (GRAFANA / "json").iterdir()) == sorted(UIDS)
    assert [dashboard(uid)["uid"] for uid in UIDS] == list(UIDS)


@of_each
def test_the_model_of_grafana_reads_a_file_and_loses_nothing_of_it(uid: str) -> None:
    found = dashboard(uid)
    again = json.loads(json_text(Dashboard.from_json(found)))
    for annotation in found["annotations"].get("list", []):
        # Keys of the Prometheus data source, which the SDK does not know.
        for key in ("titleFormat", "textFormat", "tagKeys", "step"):
            assert annotation.pop(key)
    assert again == found


@of_each
def test_panels_have_numbers_of_their_own_and_do_not_overlap(uid: str) -> None:
    everything = dashboard(uid)["panels"]
    assert Counter(panel["id"] for panel in everything) == Counter(range(1, len(everything) + 1))
    taken: Counter[tuple[int, int]] = Counter()
    for panel in everything:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken.update(
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
    assert max(taken.values()) == 1


@of_each
def test_every_panel_says_what_it_shows_in_which_unit_and_from_where(uid: str) -> None:
    for panel in panels(uid):
        assert panel["title"]
        assert len(panel["description"]) > 15, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        for source in (panel, *panel["targets"]):
            assert source["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@of_each
def test_every_curve_has_a_legend(uid: str) -> None:
    for panel in panels(uid):
        if panel["type"] != "table":
            legends = [target["legendFormat"] for target in panel["targets"]]
            assert all(legends), panel["title"]
            assert len(set(legends)) == len(legends), panel["title"]


@of_each
def test_a_dashboard_opens_on_the_last_hours_in_the_time_zone_of_who_looks(uid: str) -> None:
    found = dashboard(uid)
    assert found["time"] == {"from": "now-6h", "to": "now"}
    assert (found["refresh"], found["timezone"]) == ("30s", "browser")
    assert found["description"]


@of_each
def test_only_variables_that_the_dashboard_has_are_used(uid: str) -> None:
    has = {variable["name"] for variable in dashboard(uid)["templating"]["list"]}
    assert has <= KNOWN
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard(uid)["panels"])))
    for query in variable_queries(uid).values():
        used |= set(re.findall(r"\$\{?(\w+)", query))
    assert used <= has | BUILT_IN
    assert has <= used, "a variable that nothing uses"


def test_a_channel_is_chosen_within_its_service_and_a_series_within_its_channel() -> None:
    chosen = variable_queries("ruptura-channel")
    assert list(chosen) == ["service", "channel", "series"]
    assert 'service="$service"' in chosen["channel"]
    assert 'service="$service", channel="$channel"' in chosen["series"]


@of_each
def test_links_to_dashboards_lead_to_one_that_is_there_and_keep_what_was_chosen(uid: str) -> None:
    ours = [url for url in urls(uid) if url.startswith("/")]
    for url in ours:
        found = re.fullmatch(r"/d/([\w-]+)(?:\?(.*))?", url)
        assert found, url
        assert found[1] in UIDS
        for name, value in re.findall(r"var-(\w+)=([^&]+)", found[2] or ""):
            there = {variable["name"] for variable in dashboard(found[1])["templating"]["list"]}
            assert name in there, url
            assert value.startswith("$"), url
        assert not found[2] or found[2].endswith("${__url_time_range}"), url
    at_the_top = [link for link in dashboard(uid)["links"] if link["url"].startswith("/")]
    assert {link["url"].removeprefix("/d/") for link in at_the_top} == set(UIDS) - {uid}
    assert all(link["includeVars"] and link["keepTime"] for link in at_the_top)


def runbooks(uid: str) -> set[str]:
    """Names of the alerts to whose runbooks a dashboard leads, through a column too."""
    names = set()
    for url in urls(uid):
        if url.startswith("http"):
            assert url.startswith(f"{RUNBOOKS}/"), url
            name = url.removeprefix(f"{RUNBOOKS}/").removesuffix(".md")
            if name == "${__data.fields.Runbook}":
                names |= set(re.findall(r"Ruptura\w+", open_alerts("")))
            else:
                names.add(name)
    return names


@of_each
def test_links_to_runbooks_lead_to_pages_that_are_there(uid: str) -> None:
    names = runbooks(uid)
    assert names
    assert all(re.fullmatch(r"Ruptura[A-Z]\w+", name) for name in names)
    folder = ROOT / "deploy" / "runbooks"
    assert {name for name in names if not (folder / f"{name}.md").is_file()} == set()


def test_the_base_of_the_runbooks_is_set_in_one_place() -> None:
    code = "from dashboards.addresses import runbook; print(runbook('RupturaLag'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=GRAFANA,
        env={"RUPTURA_RUNBOOKS": "https://runbooks.example/"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "https://runbooks.example/RupturaLag.md\n"
    named = [path for path in GRAFANA.rglob("*.py") if "github.com" in path.read_text()]
    assert [path.name for path in named] == ["addresses.py"]


@of_each
def test_queries_see_a_channel_once_though_two_workers_show_it(uid: str) -> None:
    for query in queries(uid):
        if "ruptura_" in query.expr:
            assert re.search(r"\b(max|min|sum|count) ?(by )?\(", query.expr), query.place


def provisioned(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((GRAFANA / "provisioning" / name).read_text())
    assert found["apiVersion"] == 1
    return found


def test_a_data_source_and_the_dashboards_are_provisioned() -> None:
    [source] = provisioned("datasources/prometheus.yaml")["datasources"]
    assert source["type"] == "prometheus"
    assert source["isDefault"]
    [provider] = provisioned("dashboards/ruptura.yaml")["providers"]
    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False, "else what is changed there is lost at a restart"
