"""Commands that measure how early and how quiet detection is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from ruptura.cli.base import FILE, USAGE_ERROR, cli, fail, plainly

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_PLOTS = click.Path(file_okay=False, path_type=Path)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON document, no tables.")
_plots = click.option("--plots", type=_PLOTS, help="Draw pictures into a folder.")
_jobs = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="the processors",
    help="Processes that work at the same time.",
)


@cli.group()
def evaluate() -> None:
    """Measure how early and how quiet detection is, beside baselines."""


@evaluate.command("nab")
@click.argument("folder", type=_FOLDER)
@click.option("--windows", type=FILE, required=True, help="Labelled windows, JSON.")
@_json
@_plots
@_jobs
@plainly
def evaluate_nab(
    folder: Path, windows: Path, plots: Path | None, jobs: int, *, as_json: bool
) -> None:
    """Score detectors on the Numenta Anomaly Benchmark in FOLDER."""
    from ruptura.evaluation import run as evaluation

    try:
        evaluation.evaluate_nab(folder, windows, evaluation.Output(as_json, plots, jobs))
    except evaluation.EvaluationError as error:
        fail(error, USAGE_ERROR)


@evaluate.command("labelled")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@_json
@_plots
@_jobs
@plainly
def evaluate_labelled(path: Path, plots: Path | None, jobs: int, *, as_json: bool) -> None:
    """Score detectors on CSV files with timestamp, value and label in PATH, folder or archive."""
    from ruptura.evaluation import run as evaluation

    try:
        evaluation.evaluate_labelled(path, evaluation.Output(as_json, plots, jobs))
    except evaluation.EvaluationError as error:
        fail(error, USAGE_ERROR)


@evaluate.command("simulated")
@click.argument("scenarios", nargs=-1)
@click.option("--seeds", default="1..3", show_default=True, help="A or A..B, both included.")
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    help="Run only this baseline; may be repeated. Default: all; `none` for none.",
)
@_json
@_plots
@_jobs
@plainly
def evaluate_simulated(
    scenarios: Sequence[str],
    seeds: str,
    baselines: Sequence[str],
    plots: Path | None,
    jobs: int,
    *,
    as_json: bool,
) -> None:
    """Watch simulated SCENARIOS (names, files or folders; default: all that are shipped)."""
    from ruptura.evaluation import run as evaluation

    wanted = None if not baselines else [name for name in baselines if name != "none"]
    try:
        numbers = evaluation.parse_seeds(seeds)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--seeds") from None
    try:
        evaluation.evaluate_simulated(
            scenarios, numbers, evaluation.Output(as_json, plots, jobs), wanted
        )
    except evaluation.EvaluationError as error:
        fail(error, USAGE_ERROR)
