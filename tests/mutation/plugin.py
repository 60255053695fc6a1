"""A pytest plugin for mutants: what mutmut asks of pytest and Hypothesis.

mutmut 3.7 reads the id of a test where pytest 9.1 keeps none any more; 3.8 is mended, but wants a
newer click than Faust allows. It runs a test more than once in a process, of which Hypothesis
warns, and a mutant has to meet the same examples as the code beside it.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "mutants",
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("mutants")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put the id where mutmut looks for it."""
    item._nodeid = item.nodeid  # type: ignore[attr-defined]  # see above
