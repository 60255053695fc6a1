"""Run the benchmarks: print a table, write build/bench.json.

python -m tests.bench [--only NAME ...] [--runs N] [--baselines PYTHON]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.bench import figures, growth, ingest, latency, memory, replay_events, restore, throughput
from tests.bench.broker import Ground
from tests.bench.children import ROOT, BenchError
from tests.bench.figures import NAMES, Outcome, absent
from tests.integration.kafka_server import KafkaServer, KafkaServerError

GROWTH = "cost-as-channels-grow"
_BENCHMARKS = {
    throughput.measure: NAMES[:4],
    replay_events.measure: ("replay-events",),
    ingest.measure: ("ingest-records",),
    latency.measure: ("alert-latency-p99-1k", "alert-latency-p99-20k"),
    memory.measure: ("bytes-per-series",),
    restore.measure: ("restore-10k-channels",),
    growth.measure: (GROWTH,),
}


@click.command()
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([*NAMES, GROWTH]),
    help="Measure only this; can be given again.",
)
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="For medians.")
@click.option(
    "--baselines",
    default=ROOT / "build" / "baselines" / "bin" / "python",
    type=click.Path(path_type=Path),
    help="Interpreter of the environment with Quix Streams and Bytewax.",
)
@click.option("--output", default=ROOT / "build" / "bench.json", type=click.Path(path_type=Path))
def main(only: tuple[str, ...], runs: int, baselines: Path, output: Path) -> None:
    """Measure Ruptura beside others, on a Kafka of its own."""
    names = frozenset(only or (*NAMES, GROWTH))
    try:
        complete = _run(names, runs, baselines, output)
    except KafkaServerError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(0 if complete else 1)


def _run(names: frozenset[str], runs: int, baselines: Path, output: Path) -> bool:
    """Tell whether all of it could be measured."""
    failed = False
    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    whole = Outcome()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with KafkaServer(ROOT / "build", folder / "kafka", heap="768m") as kafka:
            ground = Ground(kafka.bootstrap_servers, folder, sys.executable, baselines, runs)
            for measure, covers in _BENCHMARKS.items():
                if names.isdisjoint(covers):
                    continue

                def say(text: str) -> None:
                    console.print(f"[{time.monotonic() - started:6.1f} s] {text}", markup=False)

                say(", ".join(sorted(names.intersection(covers))))
                try:
                    found = measure(ground, names, say)
                except (BenchError, AssertionError) as error:  # the latter of a worker that fails
                    say(f"failed: {error}")
                    failed = True
                    first = str(error).splitlines()[0]
                    found = Outcome([absent(n, "", first) for n in covers if n in names & {*NAMES}])
                whole.entries.extend(found.entries)
                whole.rows.extend(found.rows)
                figures.write(output, found.entries)
    show(whole, Console(width=140 if not sys.stdout.isatty() else None))
    console.print(f"{output}; {time.monotonic() - started:.0f} s")
    return not failed


def show(outcome: Outcome, console: Console) -> None:
    """Print entries, and below them what else was measured."""
    table = Table("name", "value", "unit", "reference", "its value", "ratio")
    for entry in outcome.entries:
        table.add_row(
            entry.name,
            _number(entry.value),
            entry.unit,
            entry.reference,
            _number(entry.reference_value),
            "" if entry.ratio is None else f"{entry.ratio:.3g}",
        )
    if outcome.entries:
        console.print(table)
    details = Table("what", "value", "unit", "note")
    for row in outcome.rows:
        details.add_row(row.what, _number(row.value), row.unit, row.note)
    if outcome.rows:
        console.print(details)


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
