"""Commands about recordings: replay, import, simulate, publish, record."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from ruptura.cli.base import (
    FAILURE,
    FILE,
    OUT,
    USAGE_ERROR,
    cli,
    config_option,
    fail,
    keep_apart,
    plainly,
    read_settings,
    state_in_option,
)


@cli.command()
@click.argument("recordings", nargs=-1, required=True, type=FILE)
@config_option
@click.option("--alerts", type=OUT, help="Write alert documents to a file, one a line.")
@click.option("--series", type=OUT, help="Write every closed bucket of every series as CSV.")
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Serve /metrics on loopback "
    "while replaying, and until Ctrl-C afterwards; 0 takes a free port.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Alert documents on stdout, one a line; the default where stdout is not a terminal.",
)
@state_in_option
@click.option("--state-out", type=OUT, help="Write what was learned, for --state-in.")
@plainly
def replay(
    recordings: tuple[Path, ...],
    config: Path | None,
    alerts: Path | None,
    series: Path | None,
    metrics_port: int | None,
    state_in: Path | None,
    state_out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Replay RECORDINGS through the engine, merged by time.

    Time is driven by the recording alone: the same files and settings give the same alerts, byte
    for byte. Files may be compressed (.gz, .zst); anything that `kcat -C -J` printed will do.
    """
    from rich.console import Console

    from ruptura.files.recording import RecordingError
    from ruptura.outputs.progress import measuring
    from ruptura.outputs.report import Report
    from ruptura.outputs.texts.summary import summary_lines
    from ruptura.tools.replay import replay as run
    from ruptura.tools.replay import survey

    keep_apart((*recordings, *filter(None, (state_in,))), (alerts, series, state_out))
    settings = read_settings(config)
    documents = sys.stdout.buffer if as_json or not sys.stdout.isatty() else None
    people = Console() if documents is None else None
    started = time.monotonic()
    found = survey(recordings)
    if not found.records:
        raise RecordingError(f"{', '.join(map(str, recordings))}: no records")
    with Report(
        console=people,
        documents=documents,
        alerts=alerts,
        series=series,
        metrics_port=metrics_port,
        max_channels=settings.worker.max_label_sets,
    ) as report:
        if report.metrics_url is not None:
            click.echo(f"metrics: {report.metrics_url}", err=True)
        with measuring("replaying", found.records, people) as progress:
            summary = run(
                recordings,
                settings,
                sink=report,
                surveyed=found,
                progress=progress,
                state_in=state_in,
                state_out=state_out,
            )
        for line in summary_lines(summary, time.monotonic() - started):
            click.echo(line, err=True)
        if report.metrics_url is not None:
            click.echo(f"serving {report.metrics_url} until Ctrl-C", err=True)
            with suppress(KeyboardInterrupt):
                signal.pause()


@cli.command("import")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--mapping", "-m", required=True, type=FILE, help="How rows become events, TOML.")
@click.option(
    "--output", "-o", required=True, type=OUT, help="The recording; .gz and .zst are compressed."
)
@plainly
def import_(files: tuple[Path, ...], mapping: Path, output: Path) -> None:
    """Turn CSV exports of ticket systems and metrics into a recording."""
    from ruptura.tools.importing.convert import SourceError, import_csv
    from ruptura.tools.importing.mapping import MappingError

    keep_apart((*files, mapping), (output,))
    try:
        summary = import_csv(mapping, files, output, sys.stderr)
    except MappingError as error:
        fail(error, USAGE_ERROR)
    except SourceError as error:
        fail(error, FAILURE)
    events = ", ".join(f"{n:,} {kind}" for kind, n in sorted(summary.events.items()))
    click.echo(f"{output}: {summary.rows:,} rows, {events or 'no events'}", err=True)
    if summary.faults:
        faults = ", ".join(f"{n:,} {reason}" for reason, n in sorted(summary.faults.items()))
        click.echo(f"not used: {faults}", err=True)
    if not summary.events:
        sys.exit(FAILURE)


@cli.command()
@click.argument("scenario")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--output", "-o", required=True, type=OUT, help="The recording; .gz and .zst are compressed."
)
@click.option("--labels", type=OUT, help="Write what happened when, as JSON.")
@plainly
def simulate(scenario: str, seed: int, output: Path, labels: Path | None) -> None:
    """Write a recording of a simulated contact centre: SCENARIO is a name or a TOML file."""
    from ruptura.tools import simulate as tool

    scenario_file = Path(scenario)
    keep_apart([scenario_file] if scenario_file.is_file() else [], (output, labels))
    try:
        summary = tool.run_simulation(scenario, seed, output, labels)
    except tool.ScenarioError as error:
        fail(error, USAGE_ERROR)
    records = ", ".join(f"{count:,} of {topic}" for topic, count in summary.by_topic.items())
    click.echo(
        f"{output}: {summary.records:,} records ({records}); "
        f"{summary.ruptures} ruptures, {summary.quiet} non-events",
        err=True,
    )


def _speed(_context: click.Context, _option: click.Parameter, value: str) -> float | None:
    if value == "max":
        return None
    try:
        speed = float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number nor max") from None
    if not 0.0 < speed < float("inf"):
        raise click.BadParameter(f"{value} is not above 0")
    return speed


@cli.command()
@click.argument("recordings", nargs=-1, required=True, type=FILE)
@config_option
@click.option(
    "--speed",
    default="1",
    callback=_speed,
    show_default=True,
    help="Times as fast as recorded, or max.",
)
@click.option("--keep-partitions", is_flag=True, help="Send to the recorded partitions.")
@click.option(
    "--keep-timestamps",
    is_flag=True,
    help="Keep the recorded times of the records; "
    "a broker deletes what is older than its retention.",
)
@plainly
def publish(
    recordings: tuple[Path, ...],
    config: Path | None,
    speed: float | None,
    *,
    keep_partitions: bool,
    keep_timestamps: bool,
) -> None:
    """Publish RECORDINGS to Kafka with their spacing, merged by time."""
    from ruptura.outputs.progress import counting
    from ruptura.tools import publish as tool

    try:
        with counting("publishing") as progress:
            summary = tool.publish(
                read_settings(config),
                recordings,
                speed,
                keep_partitions=keep_partitions,
                keep_timestamps=keep_timestamps,
                progress=progress,
            )
    except tool.PublishError as error:
        fail(error, FAILURE)
    click.echo(_fields(summary), err=True)
    if summary.failed:
        sys.exit(FAILURE)


@cli.command()
@config_option
@click.option(
    "--topics",
    "names",
    multiple=True,
    help="Topic to record; may be repeated. Default: the input topics.",
)
@click.option(
    "--output", "-o", required=True, type=OUT, help="The recording; .gz and .zst are compressed."
)
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many records.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after so long.")
@click.option("--until-end", is_flag=True, help="Stop at the end that the topics have now.")
@click.option("--from-now", is_flag=True, help="Start with what comes now, not at the beginning.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@plainly
def record(
    config: Path | None,
    names: Sequence[str],
    output: Path,
    count: int | None,
    seconds: float | None,
    *,
    until_end: bool,
    from_now: bool,
    overwrite: bool,
) -> None:
    """Record topics to a file until a count, a time, their end or Ctrl-C."""
    from ruptura.outputs.progress import counting
    from ruptura.tools import record as tool

    wanted = [part for name in names for part in name.split(",") if part]
    try:
        with counting("recording") as progress:
            summary = tool.record(
                read_settings(config),
                wanted,
                output,
                count=count,
                seconds=seconds,
                from_beginning=not from_now,
                until_end=until_end,
                overwrite=overwrite,
                progress=progress,
            )
    except tool.RecordError as error:
        fail(error, FAILURE)
    click.echo(_fields(summary), err=True)


def _fields(summary: msgspec.Struct) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name} {value}"
        for name, value in msgspec.structs.asdict(summary).items()
    )
