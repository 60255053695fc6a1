"""The command line: joins the shells, nothing else."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click
import msgspec

from ruptura import __version__
from ruptura.settings import Settings, SettingsError, load, load_with_origins

P = ParamSpec("P")
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=False, path_type=Path)
_OUT = click.Path(dir_okay=False, writable=True, path_type=Path)

USAGE_ERROR = 2
FAILURE = 1
INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    cli(prog_name="ruptura")


def _fail(error: Exception, code: int) -> NoReturn:
    click.echo(f"ruptura: {error}", err=True)
    sys.exit(code)


def _plainly(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what a user can mend into one line and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        from ruptura.shells.clients import KafkaUnavailable
        from ruptura.shells.recording import RecordingError

        try:
            command(*args, **kwargs)
        except SettingsError as error:
            _fail(error, USAGE_ERROR)
        except BrokenPipeError:
            # Whoever read our output has seen enough. Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(FAILURE)
        except (KafkaUnavailable, RecordingError) as error:
            _fail(error, FAILURE)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            _fail(OSError(f"{place}{error.strerror or error}"), FAILURE)
        except KeyboardInterrupt:
            click.echo("ruptura: interrupted", err=True)
            sys.exit(INTERRUPTED)

    return run


def _settings(path: Path | None) -> Settings:
    return load(path, os.environ)


def _keep_apart(inputs: Sequence[Path], outputs: Sequence[Path | None]) -> None:
    """Refuse to write over what is read, or to write two things to one file."""
    taken = [path.resolve() for path in inputs]
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in taken:
            raise click.UsageError(f"{path} is named twice: it would be overwritten")
        taken.append(path.resolve())


_config = click.option(
    "--config",
    "-c",
    type=_FILE,
    envvar="RUPTURA_CONFIG",
    help="Settings, TOML; without it defaults and RUPTURA_... variables.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ruptura")
def cli() -> None:
    """Early, quiet, explained warnings of breaks in customer service."""


@cli.command()
@click.argument("recordings", nargs=-1, required=True, type=_FILE)
@_config
@click.option("--alerts", type=_OUT, help="Write alert documents to a file, one a line.")
@click.option("--series", type=_OUT, help="Write every closed bucket of every series as CSV.")
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
@_plainly
def replay(
    recordings: tuple[Path, ...],
    config: Path | None,
    alerts: Path | None,
    series: Path | None,
    metrics_port: int | None,
    *,
    as_json: bool,
) -> None:
    """Replay RECORDINGS through the engine, merged by time.

    Time is driven by the recording alone: the same files and settings give the same alerts, byte
    for byte. Files may be compressed (.gz, .zst); anything that `kcat -C -J` printed will do.
    """
    from rich.console import Console

    from ruptura.shells.console import measuring
    from ruptura.shells.recording import RecordingError
    from ruptura.shells.replay import replay as run
    from ruptura.shells.replay import survey
    from ruptura.shells.report import Report, summary_lines

    _keep_apart(recordings, (alerts, series))
    settings = _settings(config)
    documents = sys.stdout.buffer if as_json or not sys.stdout.isatty() else None
    people = Console() if documents is None else None
    report = Report(
        console=people,
        documents=documents,
        alerts=alerts,
        series=series,
        metrics_port=metrics_port,
        max_channels=settings.worker.max_label_sets,
    )
    started = time.monotonic()
    found = survey(recordings)
    if not found.records:
        raise RecordingError(f"{', '.join(map(str, recordings))}: no records")
    with report:
        if report.metrics_url is not None:
            click.echo(f"metrics: {report.metrics_url}", err=True)
        with measuring("replaying", found.records, people) as progress:
            summary = run(
                recordings, settings, apply=report.apply, surveyed=found, progress=progress
            )
        for line in summary_lines(summary, time.monotonic() - started):
            click.echo(line, err=True)
        if report.metrics_url is not None:
            click.echo(f"serving {report.metrics_url} until Ctrl-C", err=True)
            with suppress(KeyboardInterrupt):
                signal.pause()


@cli.command("import")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--mapping", "-m", required=True, type=_FILE, help="How rows become events, TOML.")
@click.option(
    "--output", "-o", required=True, type=_OUT, help="The recording; .gz and .zst are compressed."
)
@_plainly
def import_(files: tuple[Path, ...], mapping: Path, output: Path) -> None:
    """Turn CSV exports of ticket systems and metrics into a recording."""
    from ruptura.shells.importing.convert import SourceError, import_csv
    from ruptura.shells.importing.mapping import MappingError

    _keep_apart((*files, mapping), (output,))
    try:
        summary = import_csv(mapping, files, output, sys.stderr)
    except MappingError as error:
        _fail(error, USAGE_ERROR)
    except SourceError as error:
        _fail(error, FAILURE)
    events = ", ".join(f"{n:,} {kind}" for kind, n in sorted(summary.events.items()))
    click.echo(f"{output}: {summary.rows:,} rows, {events or 'no events'}", err=True)
    if summary.faults:
        faults = ", ".join(f"{n:,} {reason}" for reason, n in sorted(summary.faults.items()))
        click.echo(f"not used: {faults}", err=True)
    if not summary.events:
        sys.exit(FAILURE)


@cli.command()
@_config
@_plainly
def worker(config: Path | None) -> None:
    """Consume events from Kafka, publish alerts, serve /metrics, /healthz and /readyz.

    The topics must exist: `ruptura topics create` makes them. Ends cleanly on SIGTERM.
    """
    from ruptura.shells import logs
    from ruptura.shells.worker import run_worker

    settings = _settings(config)
    logs.configure(settings.worker.log_level, settings.worker.log_format)
    sys.exit(run_worker(settings))


@cli.group()
def topics() -> None:
    """Create the topics, or compare them with the settings."""


@topics.command("create")
@_config
@_plainly
def topics_create(config: Path | None) -> None:
    """Create the topics that are absent; say what differs in the others."""
    from ruptura.shells import topics as shell

    _report(shell.create, shell.TopicsError, _settings(config))


@topics.command("check")
@_config
@_plainly
def topics_check(config: Path | None) -> None:
    """Say what differs from the settings; exit code 1 if anything does."""
    from ruptura.shells import topics as shell

    _report(shell.check, shell.TopicsError, _settings(config))


def _report(run: Callable[[Settings], Any], fault: type[Exception], settings: Settings) -> None:
    try:
        report = run(settings)
    except fault as error:
        _fail(error, FAILURE)
    for name in report.created:
        click.echo(f"created   {name}")
    differing = {difference.topic for difference in report.differences}
    for name in report.existing:
        if name not in differing:
            click.echo(f"in order  {name}")
    for difference in report.differences:
        click.echo(f"differs   {difference}")
    sys.exit(0 if report.ok else FAILURE)


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
@click.argument("recordings", nargs=-1, required=True, type=_FILE)
@_config
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
@_plainly
def publish(
    recordings: tuple[Path, ...],
    config: Path | None,
    speed: float | None,
    *,
    keep_partitions: bool,
    keep_timestamps: bool,
) -> None:
    """Publish RECORDINGS to Kafka with their spacing, merged by time."""
    from ruptura.shells import publish as shell
    from ruptura.shells.console import counting

    try:
        with counting("publishing") as progress:
            summary = shell.publish(
                _settings(config),
                recordings,
                speed,
                keep_partitions=keep_partitions,
                keep_timestamps=keep_timestamps,
                progress=progress,
            )
    except shell.PublishError as error:
        _fail(error, FAILURE)
    click.echo(_fields(summary), err=True)
    if summary.failed:
        sys.exit(FAILURE)


@cli.command()
@_config
@click.option(
    "--topics",
    "names",
    multiple=True,
    help="Topic to record; may be repeated. Default: the input topics.",
)
@click.option(
    "--output", "-o", required=True, type=_OUT, help="The recording; .gz and .zst are compressed."
)
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many records.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after so long.")
@click.option("--until-end", is_flag=True, help="Stop at the end that the topics have now.")
@click.option("--from-now", is_flag=True, help="Start with what comes now, not at the beginning.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@_plainly
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
    from ruptura.shells import record as shell
    from ruptura.shells.console import counting

    wanted = [part for name in names for part in name.split(",") if part]
    try:
        with counting("recording") as progress:
            summary = shell.record(
                _settings(config),
                wanted,
                output,
                count=count,
                seconds=seconds,
                from_beginning=not from_now,
                until_end=until_end,
                overwrite=overwrite,
                progress=progress,
            )
    except shell.RecordError as error:
        _fail(error, FAILURE)
    click.echo(_fields(summary), err=True)


def _fields(summary: msgspec.Struct) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name} {value}"
        for name, value in msgspec.structs.asdict(summary).items()
    )


@cli.command()
@_plainly
def demo() -> None:
    """Show Ruptura at work on a bundled recording, with an embedded broker."""
    from rich.console import Console

    from ruptura.shells.demo.run import run_demo

    sys.exit(run_demo(Console()))


@cli.group()
def config() -> None:
    """Check and show the settings."""


@config.command("check")
@_config
@_plainly
def config_check(config: Path | None) -> None:
    """Say in one line whether the settings hold; exit code 2 if not."""
    from ruptura.shells.config import check

    click.echo(check(config, os.environ))


@config.command("show")
@_config
@_plainly
def config_show(config: Path | None) -> None:
    """Print all settings in force and where each comes from, secrets masked."""
    from ruptura.shells.config import show

    settings, origins = load_with_origins(config, os.environ)
    click.echo(show(settings, origins), nl=False)


@config.command("reference")
def config_reference() -> None:
    """Print every key with default, unit, range and meaning, as Markdown."""
    from ruptura.shells.config import reference

    click.echo(reference(), nl=False)


@config.command("example")
def config_example() -> None:
    """Print a commented file with every key at its default."""
    from ruptura.shells.config import example

    click.echo(example(), nl=False)


@cli.group()
def schemas() -> None:
    """The JSON Schemas of the documents."""


@schemas.command("write")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def schemas_write(directory: Path) -> None:
    """Generate the schemas from the types into DIRECTORY."""
    from ruptura.shells.schemas import write

    for path in write(directory):
        click.echo(path)


@schemas.command("check")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def schemas_check(directory: Path) -> None:
    """Say which schemas in DIRECTORY differ from the types; exit code 1 if any does."""
    from ruptura.shells.schemas import drift

    lines = drift(directory)
    for line in lines:
        click.echo(line)
    sys.exit(FAILURE if lines else 0)
