"""The command line: joins the shells, nothing else."""

from ruptura.cli import evaluations, operations, recordings  # what they define, they register
from ruptura.cli.base import cli

__all__ = ["cli", "evaluations", "main", "operations", "recordings"]


def main() -> None:
    """Run the command line."""
    cli(prog_name="ruptura")
