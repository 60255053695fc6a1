"""Commands of operations: worker, topics, demo, config, schemas."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ruptura.cli.base import (
    FAILURE,
    cli,
    config_option,
    fail,
    plainly,
    read_settings,
    state_in_option,
    warn,
)
from ruptura.settings import Settings, load_with_origins
from ruptura.tools.topic_options import (
    OUTPUT_RETENTION_SECONDS,
    REPLICATION_FACTOR,
    RETENTION_SECONDS,
    TopicOptions,
)


@cli.command()
@config_option
@state_in_option
@plainly
def worker(config: Path | None, state_in: Path | None) -> None:
    """Consume events from Kafka, publish alerts, serve /metrics, /healthz and /readyz.

    The topics must exist: `ruptura topics create` makes them. Ends cleanly on SIGTERM.

    When the settings file changes, or on SIGHUP, the settings are loaded again: thresholds,
    objectives, calendars and plans change between two steps, and nothing learned is lost. A file
    that does not hold, or changes a key that needs a restart (`config reference` says which), is
    refused whole: the log says why, and the metric ruptura_settings_reload_successful is 0.
    """
    from ruptura.worker import logs
    from ruptura.worker.start import run_worker

    loaded = load_with_origins(config, os.environ)
    settings = loaded.settings
    logs.configure(settings.worker.log_level, settings.worker.log_format)
    sys.exit(run_worker(settings, state_in, config, warnings=loaded.warnings))


@cli.group()
def topics() -> None:
    """Create the topics, or compare them with the settings."""


def topics_options(command: Callable[..., None]) -> Callable[..., None]:
    """Take what topics are created with; what is not given has a default, and is not compared."""
    for option, default, highest, what in (
        (
            "--output-retention-seconds",
            OUTPUT_RETENTION_SECONDS,
            315_360_000,
            "Of alerts, dead letters",
        ),
        ("--retention-seconds", RETENTION_SECONDS, 315_360_000, "Of the input topics"),
        ("--replication-factor", REPLICATION_FACTOR, 10, "Copies of each record"),
    ):
        lowest = 3600 if "seconds" in option else 1
        text = f"{what}; {default:,} where topics are created without it."
        command = click.option(option, type=click.IntRange(lowest, highest), help=text)(command)
    return command


@topics.command("create")
@config_option
@topics_options
@plainly
def topics_create(config: Path | None, **options: int | None) -> None:
    """Create the topics that are absent; say what differs in the others.

    Copies and retention of topics that exist are compared where an option gives them.
    """
    from ruptura.tools import topics as tool

    _report(tool.create, read_settings(config), options)


@topics.command("check")
@config_option
@topics_options
@plainly
def topics_check(config: Path | None, **options: int | None) -> None:
    """Say what differs from the settings and the options; exit code 1 if anything does."""
    from ruptura.tools import topics as tool

    _report(tool.check, read_settings(config), options)


def _report(
    run: Callable[[Settings, TopicOptions], Any], settings: Settings, options: dict[str, int | None]
) -> None:
    from ruptura.tools.topics import TopicsError

    try:
        report = run(settings, TopicOptions(**options))
    except TopicsError as error:
        fail(error, FAILURE)
    for name in report.created:
        click.echo(f"created   {name}")
    differing = {difference.topic for difference in report.differences}
    for name in report.existing:
        if name not in differing:
            click.echo(f"in order  {name}")
    for difference in report.differences:
        click.echo(f"differs   {difference}")
    sys.exit(0 if report.ok else FAILURE)


@cli.command()
@plainly
def demo() -> None:
    """Show Ruptura at work on a bundled recording, with an embedded broker."""
    from rich.console import Console

    from ruptura.tools.demo.run import run_demo

    sys.exit(run_demo(Console()))


@cli.group()
def config() -> None:
    """Check and show the settings."""


@config.command("check")
@config_option
@plainly
def config_check(config: Path | None) -> None:
    """Say in one line whether the settings hold; exit code 2 if not."""
    from ruptura.tools.config import valid

    loaded = load_with_origins(config, os.environ)
    warn(loaded.warnings)
    click.echo(valid(loaded))


@config.command("show")
@config_option
@plainly
def config_show(config: Path | None) -> None:
    """Print all settings in force and where each comes from, secrets masked."""
    from ruptura.tools.config import show

    loaded = load_with_origins(config, os.environ)
    warn(loaded.warnings)
    click.echo(show(loaded.settings, loaded.origins), nl=False)


@config.command("reference")
def config_reference() -> None:
    """Print every key with default, unit, range, meaning, and when it takes effect, as Markdown."""
    from ruptura.tools.config import reference

    click.echo(reference(), nl=False)


@config.command("example")
def config_example() -> None:
    """Print a commented file with every key at its default."""
    from ruptura.tools.config import example

    click.echo(example(), nl=False)


@cli.group()
def schemas() -> None:
    """The JSON Schemas of the documents."""


@schemas.command("write")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def schemas_write(directory: Path) -> None:
    """Generate the schemas from the types into DIRECTORY."""
    from ruptura.tools.schemas import write

    for path in write(directory):
        click.echo(path)


@schemas.command("check")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def schemas_check(directory: Path) -> None:
    """Say which schemas in DIRECTORY differ from the types; exit code 1 if any does."""
    from ruptura.tools.schemas import drift

    lines = drift(directory)
    for line in lines:
        click.echo(line)
    sys.exit(FAILURE if lines else 0)
