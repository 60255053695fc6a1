"""Pictures of the overview and of a channel, from what a Prometheus has seen.

For documents, and for whoever has no Grafana at hand: the files of the dashboards are read, their
queries asked, their panels drawn where Grafana would put them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from drawing.panels import draw
from drawing.source import Source

JSON = Path(__file__).parent / "json"
ROW_INCHES, WIDTH_INCHES = 0.38, 16.0


@click.command()
@click.argument("address")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--start", type=float, required=True, help="Unix time.")
@click.option("--end", type=float, required=True, help="Unix time.")
@click.option("--service", required=True)
@click.option("--channel", required=True)
@click.option("--series", required=True)
@click.option("--speed", default=1.0, help="Times as fast as recorded, for the time axis.")
def main(
    address: str,
    folder: Path,
    start: float,
    end: float,
    service: str,
    channel: str,
    series: str,
    speed: float,
) -> None:
    """Draw overview.png and channel.png into FOLDER from the Prometheus at ADDRESS."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, chosen in (
        ("overview", {"service": ".*"}),
        ("channel", {"service": service, "channel": channel, "series": series}),
    ):
        source = Source(address.rstrip("/"), start, end, chosen)
        dashboard = json.loads((JSON / f"ruptura-{name}.json").read_text(encoding="utf-8"))
        _save(folder / f"{name}.png", dashboard, source, speed)


def _save(path: Path, dashboard: dict[str, Any], source: Source, speed: float) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow, and --help needs none

    def clock(at: float) -> float:
        return (at - source.start) * speed / 60.0

    panels = dashboard["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) + 2
    figure = Figure(figsize=(WIDTH_INCHES, height * ROW_INCHES), facecolor="white")
    chosen = "   ".join(f"{k}: {v}" for k, v in source.chosen.items() if v != ".*")
    figure.text(0.012, 1 - 1.2 / height, f"{dashboard['title']}   {chosen}", fontsize=15)
    for panel in panels:
        at = panel["gridPos"]
        left, top = at["x"] / 24, 1 - (at["y"] + 2) / height
        title = source.substituted(panel["title"])
        if panel["type"] == "row":
            figure.text(0.012, top - 0.7 / height, title, fontsize=12, weight="bold")
            continue
        is_graph = panel["type"] in {"timeseries", "state-timeline", "bargauge"}
        margin = {"state-timeline": 0.09, "bargauge": 0.16}.get(panel["type"], 0.035)
        axes = figure.add_axes(
            (
                left + (margin if is_graph else 0.012),
                top - (at["h"] - (0.9 if is_graph else 0.2)) / height,
                at["w"] / 24 - (margin + 0.025 if is_graph else 0.024),
                (at["h"] - (2.0 if is_graph else 1.3)) / height,
            )
        )
        axes.set_title(title, fontsize=10, loc="left")
        draw(axes, panel, source.curves(panel["targets"]), clock)
        if panel["type"] in {"timeseries", "state-timeline"}:
            axes.set_xlim(0, clock(source.end))
            axes.tick_params(labelsize=7)
            axes.grid(visible=True, alpha=0.25)
            axes.set_xlabel("minutes", fontsize=7, labelpad=1)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
