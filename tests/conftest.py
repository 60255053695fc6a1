"""Fixtures for the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the months of replay: begun last, one processor would do them while others wait.

    `make test` hands tests out in this order.
    """
    items.sort(key=lambda item: ROOT / "tests" / "replay" not in item.path.parents)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real recorded data, which is not part of the repository."""
    path = Path(os.environ.get("RUPTURA_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"recorded data not found at {path}; set RUPTURA_DATA")
    return path
