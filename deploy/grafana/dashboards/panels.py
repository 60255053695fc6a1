"""Panels in the manner of this project: always a description, a unit and the data source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Final, Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as styles
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.frame import DATASOURCE

GREEN, AMBER, RED, BLUE, GREY = "green", "orange", "red", "blue", "#8e8e8e"

STATES: Final = ("warming up", "normal", "warning", "critical")
"""States of a channel by the number that `queries.STATE` gives them."""


class _Panel(Protocol):
    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def datasource(self, datasource: model.DataSourceRef) -> Self: ...
    def unit(self, unit: str) -> Self: ...
    def height(self, h: int) -> Self: ...
    def span(self, w: int) -> Self: ...
    def with_target(self, target: Builder[variants.Dataquery]) -> Self: ...


P = TypeVar("P", bound=_Panel)


def lines(
    title: str,
    text: str,
    unit: str,
    queries: Mapping[str, str],
    *,
    width: int = 12,
    height: int = 8,
) -> timeseries.Panel:
    """Curves over time.

    Args:
        title, text: Of the panel.
        unit: Grafana's id of the unit.
        queries: Range queries by legend, which may hold `{{label}}`.
        width: In 24ths of the screen.
        height: In rows of the grid.
    """
    panel = _dress(timeseries.Panel(), title, text, unit, width, height)
    for ref, (legend, expr) in zip(ascii_uppercase, queries.items(), strict=False):
        panel.with_target(_query(ref, expr).range().legend_format(legend))
    return (
        panel.line_width(1)
        .fill_opacity(8)
        .show_points(styles.VisibilityMode.NEVER)
        .span_nulls(False)
        .tooltip(common.VizTooltipOptions().mode(styles.TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(styles.LegendDisplayMode.LIST)
            .placement(styles.LegendPlacement.BOTTOM)
        )
    )


def number(
    title: str, text: str, unit: str, expr: str, *, width: int = 4, legend: str = ""
) -> stat.Panel:
    """One number, as it stands now.

    Args:
        title, text, unit: Of the panel.
        expr: An instant query.
        width: In 24ths of the screen.
        legend: Of the value, where it is a name that counts.
    """
    panel = _dress(stat.Panel(), title, text, unit, width, 4)
    panel.with_target(_query("A", expr).instant().legend_format(legend or title))
    return (
        panel.graph_mode(styles.BigValueGraphMode.NONE)
        .color_mode(styles.BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def bars(
    title: str,
    text: str,
    unit: str,
    queries: Mapping[str, str],
    *,
    width: int = 12,
    height: int = 8,
) -> bargauge.Panel:
    """Horizontal bars, one for each series, as they stand now; arguments as those of `lines`."""
    panel = _dress(bargauge.Panel(), title, text, unit, width, height)
    for ref, (legend, expr) in zip(ascii_uppercase, queries.items(), strict=False):
        panel.with_target(_query(ref, expr).instant().legend_format(legend))
    return (
        panel.orientation(styles.VizOrientation.HORIZONTAL)
        .display_mode(styles.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def states(
    title: str, text: str, legend: str, expr: str, *, height: int = 9
) -> statetimeline.Panel:
    """A band of colour for each channel; a query gives the numbers of `STATES`."""
    panel = _dress(statetimeline.Panel(), title, text, "none", 24, height)
    panel.with_target(_query("A", expr).range().legend_format(legend))
    return (
        panel.mappings(state_names())
        .merge_values(True)
        .show_value(styles.VisibilityMode.NEVER)
        .row_height(0.85)
        .fill_opacity(85)
        .line_width(0)
        .per_page(20)
    )


def rows(
    title: str,
    text: str,
    unit: str,
    queries: Sequence[str],
    names: Mapping[str, str],
    *,
    width: int = 24,
    height: int = 8,
) -> table.Panel:
    """A table of what holds now, a row for each set of labels.

    Args:
        title, text: Of the panel.
        unit: Of the columns that have no other.
        queries: Instant queries, with the same labels; their values are `Value` where there is
            one query, else `Value #A`, `Value #B` and so on.
        names: Headings of the columns to show, by field, in their order.
        width: In 24ths of the screen.
        height: In rows of the grid.
    """
    panel = _dress(table.Panel(), title, text, unit, width, height)
    for ref, expr in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(_query(ref, expr).instant().format(PromQueryFormat.TABLE))
    if len(queries) > 1:
        panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        model.DataTransformerConfig(
            id_val="filterFieldsByName", options={"include": {"names": list(names)}}
        )
    )
    order = {field: place for place, field in enumerate(names)}
    return panel.with_transformation(
        model.DataTransformerConfig(
            id_val="organize", options={"indexByName": order, "renameByName": dict(names)}
        )
    )


def row(title: str) -> build.Row:
    """A heading over the panels that follow."""
    return build.Row(title)


def thresholds(*steps: tuple[float | None, str]) -> build.ThresholdsConfig:
    """Colours from a value on; the first step is without one."""
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )


def dashed_thresholds() -> common.GraphThresholdsStyleConfig:
    """Thresholds as dashed lines in a graph."""
    return common.GraphThresholdsStyleConfig().mode(styles.GraphThresholdsStyleMode.DASHED)


def state_names() -> list[model.ValueMapping]:
    """Names and colours of the states of a channel."""
    colors = (GREY, GREEN, AMBER, RED)
    return [
        model.ValueMap(
            {
                str(value): model.ValueMappingResult(text=name, color=color, index=value)
                for value, (name, color) in enumerate(zip(STATES, colors, strict=True))
            }
        )
    ]


def words(colors: Mapping[str, str]) -> list[model.ValueMapping]:
    """Colours of words in a table."""
    return [
        model.ValueMap(
            {
                word: model.ValueMappingResult(color=color, index=place)
                for place, (word, color) in enumerate(colors.items())
            }
        )
    ]


def setting(name: str, value: object) -> model.DynamicConfigValue:
    """A property of a field that an override sets."""
    return model.DynamicConfigValue(id_val=name, value=value)


def colored_cell() -> model.DynamicConfigValue:
    """Show a cell's colour as its background."""
    return setting("custom.cellOptions", {"type": "color-background", "mode": "basic"})


def link(title: str, url: str, *, away: bool = False) -> model.DynamicConfigValue:
    """Make a column a link.

    Args:
        title: What it says.
        url: Where to; may hold `${__data.fields.<column>}`.
        away: Whether it opens a tab of its own.
    """
    return setting("links", [{"title": title, "url": url, "targetBlank": away}])


def numbered(made: model.Dashboard) -> model.Dashboard:
    """Give each panel the number by which links and annotations know it."""
    for number_, panel in enumerate(made.panels or (), start=1):
        panel.id_val = number_
    return made


def _dress(panel: P, title: str, text: str, unit: str, width: int, height: int) -> P:
    return (
        panel.title(title)
        .description(text)
        .datasource(DATASOURCE)
        .unit(unit)
        .height(height)
        .span(width)
    )


def _query(ref: str, expr: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(ref).expr(expr).datasource(DATASOURCE)
