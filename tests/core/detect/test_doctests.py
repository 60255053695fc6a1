"""The examples in the docstrings of detection are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from ruptura.core import detect

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(detect.__path__, f"{detect.__name__}.")
    if not module.ispkg
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_show_what_happens(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    found = [doctest.DocTestFinder().find(importlib.import_module(name)) for name in MODULES]
    assert sum(bool(test.examples) for tests in found for test in tests) >= 4
