"""Figures as pictures; needs matplotlib, which the extra `plots` brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ruptura.evaluation.contenders import RUPTURA
from ruptura.evaluation.figures import EARLY_SECONDS, Figures, lead
from ruptura.evaluation.labelled import Part
from ruptura.evaluation.matching import Verdict
from ruptura.evaluation.nab import PROFILES, Outcome


class NoPlotsError(Exception):
    """There is no matplotlib; the text is one line that says what to do."""


def check_plots() -> None:
    """Raise NoPlotsError if nothing can be drawn, before hours of work are done."""
    _axes(1)


def draw_simulated(
    folder: Path, figures: Mapping[str, Figures], verdicts: Mapping[str, Sequence[Verdict]]
) -> list[Path]:
    """Draw how often each contender is right and wrong, and how early Ruptura is.

    Args:
        folder: Made if absent.
        figures: By contender.
        verdicts: By contender, one for each trial.

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
        axes.set_ylabel("F1 by segment")

    return [_save(folder / "labelled.png", draw)]


def draw_nab(folder: Path, outcomes: Mapping[str, Mapping[str, Outcome]]) -> list[Path]:
    """Draw the figures of the benchmark by profile."""

    def draw(axes: Any) -> None:
        groups = {
            profile.name: [rows[profile.name].value for rows in outcomes.values()]
            for profile in PROFILES
        }
        _bars(axes, list(outcomes), groups)
        axes.set_ylabel("NAB score")

    return [_save(folder / "nab.png", draw)]


def _right_and_wrong(axes: Any, figures: Mapping[str, Figures]) -> None:
    for name, row in figures.items():
        if row.recall is None or row.false_alarms_per_channel_week is None:
            continue
        at = row.false_alarms_per_channel_week, row.recall
        axes.scatter(*at, marker="*" if name == RUPTURA else "o", s=120 if name == RUPTURA else 50)
        axes.annotate(name, at, xytext=(6, 4), textcoords="offset points")
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xlim(left=0.0)
    axes.set_ylim(0.0, 1.05)
    axes.set_xlabel("false alarms per channel and week")
    axes.set_ylabel("ruptures found")


def _leads(axes: Any, verdicts: Mapping[str, Sequence[Verdict]]) -> None:
    for name, each in verdicts.items():
        leads = sorted(
            seconds / 60.0
            for verdict in each
            for rupture in verdict.ruptures
            if rupture.is_gradual and (seconds := lead(rupture)) is not None
        )
        felt = sum(
            rupture.is_gradual and rupture.breach is not None
            for verdict in each
            for rupture in verdict.ruptures
        )
        if not leads:
            continue
        share = np.arange(len(leads), 0, -1) / felt
        axes.step(leads, share, where="pre", label=name, linewidth=3 if name == RUPTURA else 1)
    axes.axvline(EARLY_SECONDS / 60.0, linestyle=":", color="grey")
    axes.set_ylim(0.0, 1.05)
    axes.set_xlabel("minutes before customers feel it")
    axes.set_ylabel("gradual ruptures told by then")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")


def _bars(axes: Any, names: Sequence[str], groups: Mapping[str, Sequence[float]]) -> None:
    width = 0.8 / max(len(groups), 1)
    at = np.arange(len(names))
    for index, (label, values) in enumerate(groups.items()):
        axes.bar(at + index * width, values, width, label=label)
    axes.set_xticks(at + width * (len(groups) - 1) / 2.0, names, rotation=20, ha="right")
    axes.legend(fontsize="small")


def _axes(size: float) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - is optional
        from matplotlib.figure import Figure  # noqa: PLC0415 - is optional
    except ImportError:
        raise NoPlotsError(
            "--plots needs matplotlib, which is not installed: install ruptura[plots]"
        ) from None
    figure = Figure(figsize=(8.0 * size, 5.0 * size), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(path: Path, draw: Callable[[Any], None]) -> Path:
    figure, axes = _axes(1)
    draw(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
