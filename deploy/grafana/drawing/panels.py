"""Each kind of panel, drawn into axes of matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from drawing import look
from drawing.source import Curve

Panel = Mapping[str, Any]
Clock = Callable[[float], float]


def draw(axes: Any, panel: Panel, curves: Sequence[Curve], clock: Clock) -> None:
    """Draw a panel.

    Args:
        axes: Of matplotlib.
        panel: As in the file of the dashboard.
        curves: What its queries yield.
        clock: From Unix time to the time axis.
    """
    if panel["type"] in _TIMED:
        _TIMED[panel["type"]](axes, panel, curves, clock)
    else:
        axes.axis("off")
        _STILL[panel["type"]](axes, panel, curves)


def _lines(axes: Any, panel: Panel, curves: Sequence[Curve], clock: Clock) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults.get("custom", {})
    if custom.get("drawStyle") == "bars":
        _stacked(axes, curves, clock)
    else:
        _plotted(axes, panel, curves, clock)
    if (custom.get("scaleDistribution") or {}).get("type") == "log":
        axes.set_yscale("log")
    if (custom.get("thresholdsStyle") or {}).get("mode") == "dashed":
        _thresholds(axes, defaults["thresholds"]["steps"])
    if defaults.get("max") == 1 and defaults.get("min") == 0:
        axes.set_ylim(-0.02, 1.05)
    unit = defaults["unit"]
    if unit != "sci":
        axes.yaxis.set_major_formatter(lambda value, _: look.text(value, unit).replace(".0%", "%"))
    _legend(axes)


def _plotted(axes: Any, panel: Panel, curves: Sequence[Curve], clock: Clock) -> None:
    for number, curve in enumerate(curves):
        found = look.override(panel, curve.legend)
        hue = look.CURVES[number % len(look.CURVES)]
        if "color" in found:
            hue = look.color(found["color"]["fixedColor"])
        lower = [other for other in curves if other.legend == found.get("custom.fillBelowTo")]
        if lower:
            _band(axes, lower[0], curve, hue, clock)
        elif found.get("custom.lineWidth") != 0:
            _line(axes, curve, found, hue, clock)
        if "max" in found:
            axes.set_ylim(-0.02, found["max"] * 1.05)


def _thresholds(axes: Any, steps: Sequence[Mapping[str, Any]]) -> None:
    for step in steps:
        if step["value"] is not None:
            hue = "red" if step["color"] == "transparent" else step["color"]
            axes.axhline(step["value"], color=look.color(hue), linestyle=":", linewidth=1.2)


def _line(axes: Any, curve: Curve, found: Mapping[str, Any], hue: str, clock: Clock) -> None:
    is_right = found.get("custom.axisPlacement") == "right"
    target = axes.twinx() if is_right else axes
    if is_right:
        target.set_ylabel(curve.legend, fontsize=7)
        target.tick_params(labelsize=7)
        target.set_ylim(0, max(curve.values) * 1.15 or 1)
        axes.plot([], [], color=hue, label=f"{curve.legend} (right)")
    style = "--" if "custom.lineStyle" in found else "-"
    width = 2.2 if found.get("custom.lineWidth") == 2 else 1.4
    times = [clock(at) for at in curve.times]
    target.plot(times, curve.values, style, color=hue, linewidth=width, label=curve.legend)


def _band(axes: Any, lower: Curve, upper: Curve, hue: str, clock: Clock) -> None:
    low = dict(zip(lower.times, lower.values, strict=True))
    floor = [low.get(at, math.nan) for at in upper.times]
    times = [clock(at) for at in upper.times]
    axes.fill_between(
        times, floor, upper.values, color=hue, alpha=0.2, linewidth=0, label="expected band"
    )


def _stacked(axes: Any, curves: Sequence[Curve], clock: Clock) -> None:
    up: dict[float, float] = {}
    down: dict[float, float] = {}
    for number, curve in enumerate(curves):
        bottoms = []
        for at, value in zip(curve.times, curve.values, strict=True):
            side = up if value >= 0 else down
            bottoms.append(side.get(at, 0.0))
            side[at] = side.get(at, 0.0) + value
        width = clock(curve.times[1]) - clock(curve.times[0]) if len(curve.times) > 1 else 1.0
        axes.bar(
            [clock(at) for at in curve.times],
            curve.values,
            width,
            bottoms,
            alpha=0.75,
            color=look.CURVES[number % len(look.CURVES)],
            label=curve.legend,
        )
    axes.axhline(0, color="#505860", linewidth=0.8)


def _states(axes: Any, panel: Panel, curves: Sequence[Curve], clock: Clock) -> None:
    mappings = panel["fieldConfig"]["defaults"]["mappings"]
    for place, curve in enumerate(curves):
        step = min(b - a for a, b in zip(curve.times, curve.times[1:], strict=False))
        for at, value in zip(curve.times, curve.values, strict=True):
            _, hue = look.mapped(value, mappings)
            axes.barh(place, clock(at + step) - clock(at), 0.75, clock(at), color=hue, linewidth=0)
    axes.set_yticks(range(len(curves)), [curve.legend for curve in curves])
    axes.set_ylim(len(curves) - 0.4, -0.6)
    for found in mappings[0]["options"].values():
        axes.plot([], [], "s", color=look.color(found["color"]), label=found["text"])
    _legend(axes)


def _number(axes: Any, panel: Panel, curves: Sequence[Curve]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    if not curves:
        axes.text(
            0.5,
            0.45,
            defaults.get("noValue", "no data"),
            ha="center",
            va="center",
            fontsize=13,
            color="#505860",
        )
        return
    value = curves[0].values[-1]
    words, hue = look.mapped(value, defaults.get("mappings"))
    words = words or look.text(value, defaults["unit"])
    if panel["options"].get("textMode") == "name":
        words = curves[0].legend
    hue = hue or look.by_threshold(value, defaults)
    if panel["options"].get("colorMode") == "background":
        axes.axis("on")
        axes.set(facecolor=hue, xticks=[], yticks=[])
        hue = "white"
    axes.text(0.5, 0.45, words, ha="center", va="center", fontsize=24, color=hue, weight="bold")


def _bars(axes: Any, panel: Panel, curves: Sequence[Curve]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    if not curves:
        axes.text(0.5, 0.5, defaults.get("noValue", "no data"), ha="center", va="center")
        return
    axes.axis("on")
    values = [curve.values[-1] for curve in curves]
    axes.barh(
        [curve.legend for curve in curves],
        values,
        color=[look.by_threshold(value, defaults) for value in values],
        height=0.6,
    )
    for place, value in enumerate(values):
        axes.text(max(value, 0.0), place, f" {value:+.1f}", va="center", fontsize=8)
    axes.axvline(0, color="#505860", linewidth=0.8)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.tick_params(labelsize=8)


def _table(axes: Any, panel: Panel, curves: Sequence[Curve]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    shape = panel["transformations"][-1]["options"]
    fields = sorted(shape["indexByName"], key=shape["indexByName"].get)
    headings = [shape["renameByName"][name] for name in fields]
    merged: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for curve in curves:
        row = merged.setdefault(tuple(sorted(curve.labels.items())), dict(curve.labels))
        row[f"Value #{curve.ref}"] = curve.values[-1]
    if not merged:
        axes.text(0.5, 0.5, defaults.get("noValue", "no data"), ha="center", va="center")
        return
    rows = [[row.get(name, "") for name in fields] for row in merged.values()]
    for key in panel.get("options", {}).get("sortBy") or ():
        place = headings.index(key["displayName"])
        rows.sort(
            key=lambda row: row[place] if row[place] != "" else math.inf,
            reverse=bool(key.get("desc")),
        )
    room = int(panel["gridPos"]["h"] * 1.35)
    texts, hues = [], []
    for values in rows[:room]:
        cells = [
            _cell(value, look.override(panel, name), defaults["unit"])
            for name, value in zip(headings, values, strict=True)
        ]
        texts.append([cell[0] for cell in cells])
        hues.append([cell[1] for cell in cells])
    if len(headings) == 1:
        lines = [
            part
            for [cell] in texts
            for line in cell.split("\n")
            for part in textwrap.wrap(line, int(panel["gridPos"]["w"] * 7.5))
        ]
        axes.text(0.01, 0.95, "\n".join(lines), va="top", fontsize=9, linespacing=1.5)
        return
    widths = [
        max(len(heading), *(len(words[place]) for words in texts)) + 2
        for place, heading in enumerate(headings)
    ]
    made = axes.table(
        texts,
        cellColours=hues,
        colLabels=headings,
        colColours=["#eef1f4"] * len(headings),
        colWidths=[0.98 * width / sum(widths) for width in widths],
        loc="upper center",
        cellLoc="left",
    )
    made.auto_set_font_size(False)
    made.set_fontsize(8)
    made.scale(1.0, 1.15)
    for cell in made.get_celld().values():
        cell.set_edgecolor("#d5dae0")


def _cell(value: object, settings: Mapping[str, Any], unit: str) -> tuple[str, str]:
    words, hue = look.mapped(value, settings.get("mappings"))
    if words is None:
        words = (
            look.text(value, settings.get("unit", unit)) if isinstance(value, float) else str(value)
        )
        if len(words) == 36 and words.count("-") == 4:
            words = f"{words[:8]}…"
    if hue is None and "thresholds" in settings and isinstance(value, float):
        hue = look.by_threshold(value, settings)
    return words, f"{hue}66" if hue else "white"


def _legend(axes: Any) -> None:
    _, names = axes.get_legend_handles_labels()
    if names:
        axes.legend(fontsize=7, loc="lower right", bbox_to_anchor=(1, 1), ncols=6, frameon=False)


_TIMED: Final[dict[str, Callable[[Any, Panel, Sequence[Curve], Clock], None]]] = {
    "timeseries": _lines,
    "state-timeline": _states,
}
_STILL: Final[dict[str, Callable[[Any, Panel, Sequence[Curve]], None]]] = {
    "stat": _number,
    "bargauge": _bars,
    "table": _table,
}
