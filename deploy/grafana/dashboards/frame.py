"""What all dashboards have in common: time, variables, links at the top, annotations."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.addresses import TITLES, runbook

DATASOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")


def frame(uid: str, description: str) -> build.Dashboard:
    """Begin a dashboard: its variables are kept by the links to the others.

    Args:
        uid: Of the dashboard.
        description: What it answers, for the list of dashboards.
    """
    begun = (
        build.Dashboard(TITLES[uid])
        .uid(uid)
        .description(description)
        .tags(["ruptura"])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(
            build.DatasourceVariable("datasource")
            .label("Data source")
            .description("The Prometheus that scrapes the workers.")
            .type("prometheus")
        )
    )
    for other, title in TITLES.items():
        if other != uid:
            begun.link(
                build.DashboardLink(title.removeprefix("Ruptura / "))
                .type(model.DashboardLinkType.LINK)
                .icon("dashboard")
                .url(f"/d/{other}")
                .include_vars(True)
                .keep_time(True)
            )
    return begun


def runbook_link(alert: str) -> build.DashboardLink:
    """A link at the top of a dashboard or of a panel to the page of an alert."""
    return (
        build.DashboardLink(f"Runbook {alert}")
        .type(model.DashboardLinkType.LINK)
        .icon("doc")
        .url(runbook(alert))
        .target_blank(True)
    )


def values(name: str, label: str, text: str, selector: str) -> build.QueryVariable:
    """A variable of the values that a label has now.

    Args:
        name: Of the variable and of the label.
        label: What a person sees.
        text: What it chooses.
        selector: Of the series whose labels count.
    """
    return (
        build.QueryVariable(name)
        .label(label)
        .description(text)
        .datasource(DATASOURCE)
        .query({"query": f"label_values({selector}, {name})", "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
    )


def several(variable: build.QueryVariable) -> build.QueryVariable:
    """Let a variable stand for several values, at first for all."""
    return (
        variable.multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
    )


class PrometheusAnnotation(model.AnnotationQuery):
    """An annotation with the keys of Grafana's Prometheus data source, which the SDK leaves out.

    Args:
        name: Shown beside the switch at the top.
        expr: The query; a run of steps with samples becomes a region.
        title, text: With `{{label}}`.
        tags: Labels that become tags.
        color: Of the region.
    """

    def __init__(
        self, *, name: str, expr: str, title: str, text: str, tags: tuple[str, ...], color: str
    ) -> None:
        super().__init__(name=name, datasource=DATASOURCE, icon_color=color, expr=expr)
        self._formats = {"titleFormat": title, "textFormat": text, "tagKeys": ",".join(tags)}

    def to_json(self) -> dict[str, object]:
        """Return the keys of the SDK and our own."""
        return super().to_json() | self._formats | {"step": "30s"}


class Annotation(Builder[model.AnnotationQuery]):
    """Hands a finished annotation to the builder of a dashboard."""

    def __init__(self, made: PrometheusAnnotation) -> None:
        self._made = made

    def build(self) -> model.AnnotationQuery:
        """Return it."""
        return self._made
