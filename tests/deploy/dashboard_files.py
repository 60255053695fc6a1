"""The committed dashboards, as Grafana would read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
UIDS = ("ruptura-overview", "ruptura-channel", "ruptura-pipeline", "ruptura-exceptions")


class Query(msgspec.Struct, frozen=True):
    """A query of a dashboard.

    Attributes:
        place: Dashboard, panel (or variable, or annotation) and letter, for messages.
        expr: PromQL, with Grafana's variables.
        is_range: Whether it is asked over time, or only of the end.
    """

    place: str
    expr: str
    is_range: bool


def dashboard(uid: str) -> dict[str, Any]:
    """The committed file of a dashboard."""
    found: dict[str, Any] = json.loads((GRAFANA / "json" / f"{uid}.json").read_text())
    return found


def panels(uid: str) -> list[dict[str, Any]]:
    """The panels that show something: all but headings."""
    found = [panel for panel in dashboard(uid)["panels"] if panel["type"] != "row"]
    assert found, uid
    return found


def marks(uid: str) -> list[dict[str, Any]]:
    """What is marked in the graphs of a dashboard; perhaps nothing."""
    found: list[dict[str, Any]] = dashboard(uid)["annotations"].get("list", [])
    return found


def queries(uid: str) -> Iterator[Query]:
    """All queries of panels and annotations; those of variables are `variable_queries`."""
    for panel in panels(uid):
        for target in panel["targets"]:
            place = f"{uid} / {panel['title']} / {target['refId']}"
            yield Query(place, target["expr"], bool(target.get("range")))
    for annotation in marks(uid):
        yield Query(f"{uid} / annotation {annotation['name']}", annotation["expr"], True)


def variable_queries(uid: str) -> dict[str, str]:
    """The queries `label_values(selector, label)` of the variables, by name."""
    return {
        variable["name"]: variable["query"]["query"]
        for variable in dashboard(uid)["templating"]["list"]
        if variable["type"] == "query"
    }


def urls(uid: str) -> list[str]:
    """Every address that a dashboard links to, from wherever in it."""
    found: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("url"), str):
                found.append(value["url"])
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    look(dashboard(uid))
    assert found, uid
    return found
