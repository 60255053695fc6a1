"""What all commands share: how they fail, read settings, and name files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import NoReturn, ParamSpec

import click

from ruptura import __version__
from ruptura.settings import Settings, SettingsError, load_with_origins

P = ParamSpec("P")
FILE = click.Path(exists=True, dir_okay=False, allow_dash=False, path_type=Path)
OUT = click.Path(dir_okay=False, writable=True, path_type=Path)

USAGE_ERROR = 2
FAILURE = 1
INTERRUPTED = 130


def fail(error: Exception, code: int) -> NoReturn:
    """Say what is wrong in one line, and end."""
    click.echo(f"ruptura: {error}", err=True)
    sys.exit(code)


def plainly(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what a user can mend into one line and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        from ruptura.assembly.history import HistoryError
        from ruptura.clients import KafkaUnavailable
        from ruptura.files.recording import RecordingError

        try:
            command(*args, **kwargs)
        except SettingsError as error:
            fail(error, USAGE_ERROR)
        except BrokenPipeError:
            # Whoever read our output has seen enough. Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(FAILURE)
        except (HistoryError, KafkaUnavailable, RecordingError) as error:
            fail(error, FAILURE)
        except OSError as error:
            prefix = f"{error.filename}: " if error.filename else ""
            fail(OSError(f"{prefix}{error.strerror or error}"), FAILURE)
        except KeyboardInterrupt:
            click.echo("ruptura: interrupted", err=True)
            sys.exit(INTERRUPTED)

    return run


def read_settings(path: Path | None) -> Settings:
    """Return the settings of a file and the environment, and say what to warn of.

    Raises:
        SettingsError: they do not hold.
    """
    loaded = load_with_origins(path, os.environ)
    warn(loaded.warnings)
    return loaded.settings


def warn(warnings: Sequence[str]) -> None:
    """Say on a line each what is to be warned of."""
    for warning in warnings:
        click.echo(f"ruptura: warning: {warning}", err=True)


def keep_apart(inputs: Sequence[Path], outputs: Sequence[Path | None]) -> None:
    """Refuse to write over what is read, or to write two things to one file."""
    taken = [path.resolve() for path in inputs]
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in taken:
            raise click.UsageError(f"{path} is named twice: it would be overwritten")
        taken.append(path.resolve())


config_option = click.option(
    "--config",
    "-c",
    type=FILE,
    envvar="RUPTURA_CONFIG",
    help="Settings, TOML; without it defaults and RUPTURA_... variables.",
)

state_in_option = click.option(
    "--state-in",
    type=FILE,
    help="What `replay --state-out` wrote under the same settings: channels that begin "
    "need no warm-up.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ruptura")
def cli() -> None:
    """Early, quiet, explained warnings of breaks in customer service."""
