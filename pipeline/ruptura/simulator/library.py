"""The scenarios that come with the package."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "scenarios"


def shipped() -> dict[str, Path]:
    """Return the files of the shipped scenarios by name, in order of name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.toml"))}
