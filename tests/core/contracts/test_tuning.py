"""What numbers a state may hold when it comes back."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.contracts.tuning import are_finite


@given(st.lists(st.floats(), max_size=8))
def test_numbers_are_finite_if_each_of_them_is_one_in_range(numbers: list[float]) -> None:
    assert are_finite(array("d", numbers)) == all(abs(number) <= 1e60 for number in numbers)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1.1e60, -1.1e60, 1.7e308])
@pytest.mark.parametrize("others", [[], [1.0], [math.inf], [-math.inf], [1e60, -1e60]])
@pytest.mark.parametrize("first", [True, False])
def test_one_that_is_not_is_found_among_others(
    odd: float, others: list[float], first: bool
) -> None:
    assert not are_finite([odd, *others] if first else [*others, odd])
