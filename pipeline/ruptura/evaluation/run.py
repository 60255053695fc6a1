"""Evaluations: detectors over benchmarks, labelled series and simulations, printed as tables."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from ruptura.assembly.registry import series_registry
from ruptura.evaluation import nab, plots, tables
from ruptura.evaluation.baselines import RUPTURA, baseline_makers
from ruptura.evaluation.figures import Figures, figures
from ruptura.evaluation.labelled import LabelledSeries, Part, Scores, report, run_scorer
from ruptura.evaluation.labelled_files import LabelledDataError, read_labelled
from ruptura.evaluation.matching import Verdict
from ruptura.evaluation.nab_files import NabDataError, NabFile, read_nab
from ruptura.evaluation.plots import NoPlotsError
from ruptura.evaluation.simulated import Trial, run_trial, settings_of
from ruptura.evaluation.univariate import univariate_detectors
from ruptura.simulator import load_scenario, shipped

_SEEDS = re.compile(r"(\d{1,9})(?:\.\.(\d{1,9}))?")
_NAB_STEP_SECONDS = 300.0
_FOLDS = 5
_FILE_COLUMNS = 140

T = TypeVar("T")
Key = TypeVar("Key")
Work = Mapping[Key, Callable[[], T]]


class EvaluationError(Exception):
    """An evaluation cannot be made; the text is one line."""


class Output(msgspec.Struct, frozen=True):
    """Where the figures go.

    Attributes:
        as_json: One JSON document on stdout, in place of tables.
        plots: Folder for pictures; None for none.
        jobs: Processes that work at the same time, 1 or more.
    """

    as_json: bool = False
    plots: Path | None = None
    jobs: int = 1


def evaluate_simulated(
    scenarios: Sequence[str],
    seeds: Sequence[int],
    output: Output,
    baselines: Sequence[str] | None = None,
) -> None:
    """Let Ruptura and the baselines watch simulations, and report how each of them did.

    Args:
        scenarios: Names of shipped scenarios, files or folders of files; none: all shipped.
        seeds: Of the simulations, each with each scenario.
        output: Where the figures go.
        baselines: Names of those to run; None for all.

    Raises:
        EvaluationError: a scenario is unknown or refused, a baseline is unknown, or pictures are
            wanted and cannot be drawn.
    """
    paths = _scenario_paths(scenarios)
    names = _baseline_names(baselines)
    with _in_one_line():
        _check_plots(output)
        for path in paths:
            settings_of(load_scenario(path, series_registry()))
    trials = simulated_trials(paths, seeds, names, output.jobs)
    verdicts = _by_detector(trials)
    found = {name: figures(each) for name, each in verdicts.items()}
    by_scenario = {
        path.stem: {
            name: figures(each)
            for name, each in _by_detector(t for t in trials if t.scenario == path.stem).items()
        }
        for path in paths
    }
    drawn = plots.draw_simulated(output.plots, found, verdicts) if output.plots else []
    if output.as_json:
        _print_json({"contenders": found, "scenarios": by_scenario, "trials": trials})
        return
    console = _console()
    title = f"{len(paths)} scenarios, {len(seeds)} seeds, {_weeks(found):.0f} channel-weeks"
    console.print(tables.figures_table(title, found))
    console.print()
    own: dict[str, Figures] = {name: rows[RUPTURA] for name, rows in by_scenario.items()}
    console.print(tables.figures_table(f"{RUPTURA}, by scenario", own, "scenario"))
    _print_drawn(drawn)


def simulated_trials(
    paths: Sequence[Path], seeds: Sequence[int], baselines: Sequence[str], jobs: int
) -> list[Trial]:
    """Return a trial of each scenario with each seed, by scenario, in so many processes.

    Raises:
        ValueError: a scenario is refused.
    """
    work = {
        (path, seed): partial(_trial, path, seed, baselines) for path in paths for seed in seeds
    }
    return list(_run(work, "simulating", jobs).values())


def evaluate_labelled(path: Path, output: Output) -> None:
    """Let the detectors score labelled series, and report how each of them did.

    Args:
        path: A folder of CSV files, or a tar archive of one.
        output: Where the figures go.

    Raises:
        EvaluationError: the data cannot be used, or pictures cannot be drawn.
    """
    with _in_one_line():
        _check_plots(output)
        series = read_labelled(path)
    parts = labelled_parts(series, output.jobs)
    drawn = plots.draw_labelled(output.plots, parts) if output.plots else []
    if output.as_json:
        _print_json({"contenders": parts})
        return
    console = _console()
    without = sum(not each.labels.any() for each in series)
    title = f"{len(series)} series, {without} of them without a label"
    console.print(tables.labelled_table(title, parts))
    _print_drawn(drawn)


def labelled_parts(
    series: Sequence[LabelledSeries], jobs: int, names: Sequence[str] | None = None
) -> dict[str, Part]:
    """Return how detectors did on labelled series, by name, in so many processes.

    Args:
        series: The data.
        jobs: Processes that work at the same time, 1 or more.
        names: Of the detectors; None for all.
    """
    known = univariate_detectors()
    names = list(known) if names is None else names
    scores = _scores([(each, each.step_seconds) for each in series], names, jobs)
    return {
        name: report(list(zip(series, scores[name], strict=True)), known[name].threshold)
        for name in names
    }


def evaluate_nab(folder: Path, windows: Path, output: Output) -> None:
    """Let the detectors score files of the Numenta Anomaly Benchmark, by its rules.

    Args:
        folder: Of the data.
        windows: The labelled windows, JSON.
        output: Where the figures go.

    Raises:
        EvaluationError: the data cannot be used, or pictures cannot be drawn.
    """
    with _in_one_line():
        _check_plots(output)
        files = read_nab(folder, windows)
    names = list(univariate_detectors())
    scores = _scores([(_unlabelled(file), _NAB_STEP_SECONDS) for file in files], names, output.jobs)
    outcomes: dict[str, dict[str, nab.Outcome]] = {}
    unseen: dict[str, float] = {}
    for name, each in scores.items():
        judged = [nab.Judged(s, file.windows) for file, s in zip(files, each, strict=True)]
        outcomes[name] = {p.name: nab.best(judged, p) for p in nab.PROFILES}
        if len(files) >= _FOLDS:
            unseen[name] = nab.cross_validated(judged, nab.STANDARD, folds=_FOLDS)
    drawn = plots.draw_nab(output.plots, outcomes) if output.plots else []
    if output.as_json:
        _print_json({"contenders": outcomes, "cross_validated": unseen})
        return
    console = _console()
    title = f"{len(files)} files, one threshold for all of them"
    console.print(tables.nab_table(title, outcomes, unseen))
    _print_drawn(drawn)


def parse_seeds(text: str) -> range:
    """Return the seeds of `A..B`, both included, or of a single `A`; else ValueError."""
    match = _SEEDS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is neither a seed nor a range of them, such as 1..5")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    if last < first:
        raise ValueError(f"{text!r} ends before it begins")
    return range(first, last + 1)


def _scenario_paths(scenarios: Sequence[str]) -> list[Path]:
    known = shipped()
    paths: list[Path] = []
    for name in scenarios or list(known):
        path = Path(name)
        if name in known:
            paths.append(known[name])
        elif path.is_dir():
            paths.extend(sorted(path.glob("*.toml")))
        elif path.is_file():
            paths.append(path)
        else:
            raise EvaluationError(
                f"{name}: neither a file, a folder nor a shipped scenario ({', '.join(known)})"
            )
    if not paths:
        raise EvaluationError("no scenarios: none is shipped, and none was named")
    return list(dict.fromkeys(paths))


def _baseline_names(wanted: Sequence[str] | None) -> tuple[str, ...]:
    known = baseline_makers()
    for name in wanted or ():
        if name not in known:
            raise EvaluationError(f"{name}: no such baseline; known are {', '.join(known)}")
    return tuple(known) if wanted is None else tuple(wanted)


def _trial(path: Path, seed: int, names: Sequence[str]) -> Trial:
    known = baseline_makers()
    return run_trial(path, seed, {name: known[name] for name in names})


def _scores(
    series: Sequence[tuple[LabelledSeries, float]], names: Sequence[str], jobs: int
) -> dict[str, list[Scores]]:
    """Return the scores of detectors, by name, in the order of the series."""
    work = {
        (name, index): partial(_score, name, each, step)
        for name in names
        for index, (each, step) in enumerate(series)
    }
    scored = _run(work, "scoring", jobs)
    return {name: [scored[name, index] for index in range(len(series))] for name in names}


def _score(name: str, series: LabelledSeries, step_seconds: float) -> Scores:
    return run_scorer(univariate_detectors()[name].make(step_seconds), series)


def _unlabelled(file: NabFile) -> LabelledSeries:
    return LabelledSeries(file.name, file.times, file.values, file.values != file.values)


def _by_detector(trials: Iterable[Trial]) -> dict[str, list[Verdict]]:
    verdicts: dict[str, list[Verdict]] = {}
    for trial in trials:
        for name, verdict in trial.verdicts.items():
            verdicts.setdefault(name, []).append(verdict)
    return verdicts


def _weeks(found: Mapping[str, Figures]) -> float:
    return found[RUPTURA].channel_weeks


def _run(work: Work[Key, T], verb: str, jobs: int) -> dict[Key, T]:
    """Do pieces of work in so many processes; the outcome is in the order of the pieces."""
    with RichProgress(
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task(verb, total=len(work))
        if jobs == 1:
            done = {}
            for key, piece in work.items():
                done[key] = piece()
                bar.advance(task)
            return done
        # A fork would copy the bar's thread half.
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            futures: dict[Future[T], Key] = {pool.submit(piece): key for key, piece in work.items()}
            finished: dict[Key, T] = {}
            for future in as_completed(futures):
                finished[futures[future]] = future.result()
                bar.advance(task)
        return {key: finished[key] for key in work}


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except (LabelledDataError, NabDataError, NoPlotsError, ValueError) as error:
        raise EvaluationError(" ".join(str(error).split())) from error


def _check_plots(output: Output) -> None:
    if output.plots is not None:
        plots.check_plots()


def _console() -> Console:
    """Return the terminal; a file or pipe gets lines as long as tables are wide."""
    return Console() if sys.stdout.isatty() else Console(width=_FILE_COLUMNS)


def _print_json(document: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


def _print_drawn(paths: Iterable[Path]) -> None:
    for path in paths:
        print(path)  # noqa: T201 - what a user asked for, on stdout
