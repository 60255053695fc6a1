"""Figures as pictures; needs matplotlib, which the extra `plots` brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ruptura.evaluation.baselines import RUPTURA
from ruptura.evaluation.figures import EARLY_SECONDS, Figures, lead
from ruptura.evaluation.labelled import Part
from ruptura.evaluation.matching import Judged, Verdict
from ruptura.evaluation.nab import PROFILES, Outcome


class NoPlotsError(Exception):
    """There is no matplotlib; the text is one line that says what to do."""


def check_plots() -> None:
    """Raise NoPlotsError if nothing can be drawn, before hours of work are done."""
    _axes(1)


def draw_simulated(
    folder: Path, figures: Mapping[str, Figures], verdicts: Mapping[str, Sequence[Verdict]]
) -> list[Path]:
    """Draw how often each detector is right and wrong, and how early it tells.

    Args:
        folder: Made if absent.
        figures: By detector.
        verdicts: By detector, one for each trial.

    Returns:
        The files written.
    """
    return [
        _save(folder / "recall-and-false-alarms.png", lambda axes: _right_and_wrong(axes, figures)),
        _save(folder / "lead.png", lambda axes: _leads(axes, verdicts)),
    ]


def draw_labelled(folder: Path, parts: Mapping[str, Part]) -> list[Path]:
    """Draw F1 by segment on the first parts and on the rest."""

    def draw(axes: Any) -> None:
        groups = {
            "first part": [part.first.f1 or 0.0 for part in parts.values()],
            "rest": [part.rest.f1 or 0.0 for part in parts.values()],
        }
        _bars(axes, list(parts), groups)
        axes.set_title("Labelled anomalies: higher is better")
        axes.set_ylabel("F1 by segment, 0 to 1")

    return [_save(folder / "labelled.png", draw)]


def draw_nab(folder: Path, outcomes: Mapping[str, Mapping[str, Outcome]]) -> list[Path]:
    """Draw the figures of the benchmark by profile."""

    def draw(axes: Any) -> None:
        groups = {
            profile.name: [rows[profile.name].value for rows in outcomes.values()]
            for profile in PROFILES
        }
        _bars(axes, list(outcomes), groups)
        axes.set_title("Numenta Anomaly Benchmark: higher is better")
        axes.set_ylabel("score; 0: never an alarm, 100: perfect")

    return [_save(folder / "nab.png", draw)]


def _right_and_wrong(axes: Any, figures: Mapping[str, Figures]) -> None:
    most = 1.0
    if not any(row.ruptures for row in figures.values()):
        _lack(axes, "no ruptures to find")
    for index, (name, row) in enumerate(figures.items()):
        if row.recall is None or row.false_alarms_per_channel_week is None:
            continue
        most = max(most, row.false_alarms_per_channel_week)
        axes.scatter(
            row.false_alarms_per_channel_week,
            row.recall,
            color=f"C{index}",
            marker="*" if name == RUPTURA else "o",
            s=250 if name == RUPTURA else 60,
            clip_on=False,  # whole even at 0 or 100 %
            zorder=3 if name == RUPTURA else 2,
            label=f"{name}: {row.found} of {row.ruptures}, "
            f"{row.false_alarms_per_channel_week:.2g} a week",
        )
    axes.set_title("Ruptures found and false alarms: top left is best")
    axes.set_xscale("symlog", linthresh=0.1)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.set_xlim(0.0, 2.0 * most)
    axes.set_xlabel("false alarms per channel and week (logarithmic from 0.1)")
    axes.set_ylim(0.0, 1.05)
    axes.yaxis.set_major_formatter(_percent)
    axes.set_ylabel("ruptures found")
    axes.grid(alpha=0.3)
    _legend(axes)


def _leads(axes: Any, verdicts: Mapping[str, Sequence[Verdict]]) -> None:
    felt = {name: _gradual_and_felt(each) for name, each in verdicts.items()}
    warned = {
        name: np.sort(
            [-each / 60.0 for rupture in felt[name] if (each := lead(rupture)) is not None]
        )
        for name in felt
        if felt[name]
    }
    early = -EARLY_SECONDS / 60.0
    every = np.concatenate([[2.0 * early, -early], *warned.values()])
    margin = 0.05 * (every.max() - every.min())
    begin, end = every.min() - margin, every.max() + margin
    for index, name in enumerate(verdicts):
        if name not in warned:
            continue
        count = len(felt[name])
        share = np.arange(len(warned[name]) + 1) / count
        axes.step(
            [begin, *warned[name], end],
            [*share, share[-1]],
            where="post",
            color=f"C{index}",
            linewidth=3 if name == RUPTURA else 1,
            zorder=3 if name == RUPTURA else 2,
            label=f"{name}: {np.sum(warned[name] <= early)} of {count} early",
        )
    if not warned:
        _lack(axes, "no gradual ruptures that customers felt")
    axes.axvline(0.0, color="black", linewidth=1, label="customers feel it")
    axes.axvspan(
        begin, early, color="green", alpha=0.08, label=f"early: {-early:g} min or more before"
    )
    axes.set_title("Gradual ruptures: warned of before customers feel them?")
    axes.set_xlim(begin, end)
    axes.set_xlabel("minutes before (-) or after customers feel it")
    axes.set_ylim(0.0, 1.05)
    axes.yaxis.set_major_formatter(_percent)
    axes.set_ylabel("found by then")
    axes.grid(alpha=0.3)
    _legend(axes)


def _gradual_and_felt(verdicts: Sequence[Verdict]) -> list[Judged]:
    return [
        rupture
        for verdict in verdicts
        for rupture in verdict.ruptures
        if rupture.is_gradual and rupture.breach is not None
    ]


def _bars(axes: Any, names: Sequence[str], groups: Mapping[str, Sequence[float]]) -> None:
    width = 0.8 / max(len(groups), 1)
    at = np.arange(len(names))
    for index, (label, values) in enumerate(groups.items()):
        axes.bar(at + index * width, values, width, label=label)
    axes.set_xticks(at + width * (len(groups) - 1) / 2.0, names, rotation=20, ha="right")
    axes.axhline(0.0, color="black", linewidth=1)
    _legend(axes)


def _percent(share: float, _: int) -> str:
    return f"{share:.0%}"


def _legend(axes: Any) -> None:
    """Explain beneath the axes, where nothing can be covered."""
    if axes.get_legend_handles_labels()[0]:
        axes.figure.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)


def _lack(axes: Any, what: str) -> None:
    axes.text(0.5, 0.5, what, transform=axes.transAxes, ha="center")


def _axes(size: float) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - is optional
        from matplotlib.figure import Figure  # noqa: PLC0415 - is optional
    except ImportError:
        raise NoPlotsError(
            "--plots needs matplotlib, which is not installed: install ruptura[plots]"
        ) from None
    figure = Figure(figsize=(8.0 * size, 6.0 * size), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(path: Path, draw: Callable[[Any], None]) -> Path:
    figure, axes = _axes(1)
    draw(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
