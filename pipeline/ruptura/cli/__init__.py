"""The command line: arguments in, exit codes out, nothing else."""

from ruptura.cli import evaluations, operations, recordings  # what they define, they register
from ruptura.cli.base import cli

__all__ = ["cli", "evaluations", "main", "operations", "recordings"]


def main() -> None:
    """Run the command line."""
    cli(prog_name="ruptura")
