"""The arithmetic of the benchmarks, and the file that they write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.children import BenchError, Seen, rate
from tests.bench.figures import NAMES, Entry, absent, against, percentile, write

numbers = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50)


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50.0), (99, 99.0), (100, 100.0), (0.5, 1.0), (98.01, 99.0)]
)
def test_a_percentile_of_one_to_a_hundred_is_its_rank(percent: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == expected


@given(numbers, st.floats(0.1, 100.0))
def test_a_percentile_is_one_of_the_values_and_enough_do_not_exceed_it(
    values: list[float], percent: float
) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100.0 * len(values) - 1e-6
    assert sum(value < found for value in values) < percent / 100.0 * len(values) + 1e-6


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_a_percentile_of_nothing_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


def test_a_ratio_is_the_median_of_the_ratios_of_the_runs() -> None:
    entry = against("replay-events", "events/s", "other", [(10.0, 1.0), (30.0, 10.0), (20.0, 5.0)])
    # The ratio of the medians would be 20 / 5; those of the runs are 10, 3 and 4.
    assert entry == Entry("replay-events", 20.0, "events/s", "other", 5.0, 4.0)
    uneven = against("replay-events", "events/s", "other", [(10.0, 1.0), (90.0, 30.0), (20.0, 9.0)])
    assert (uneven.value, uneven.reference_value, uneven.ratio) == (20.0, 9.0, 3.0)


@pytest.mark.parametrize("pairs", [[], [(1.0, 0.0)]])
def test_nothing_is_compared_with_nothing(pairs: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="nothing to compare with"):
        against("replay-events", "events/s", "other", pairs)


def test_a_rate_leaves_out_the_start_and_the_wait_at_the_end() -> None:
    looks = [
        Seen(0.0, 0.5, 0),  # the interpreter starts, the group settles
        Seen(10.0, 2.0, 1_000),
        Seen(11.0, 2.5, 2_000),
        Seen(12.0, 3.0, 5_000),
        Seen(30.0, 4.0, 5_000),  # all is there already
    ]
    found = rate(looks)
    assert (found.records, found.seconds, found.cpu) == (4_000, 2.0, 1.0)
    assert (found.per_second, found.per_cpu_second) == (2_000.0, 4_000.0)


def test_a_rate_of_what_stands_still_is_refused() -> None:
    with pytest.raises(BenchError, match="no progress"):
        rate([Seen(0.0, 0.0, 0), Seen(1.0, 0.1, 500), Seen(2.0, 0.2, 500)])


def test_the_file_is_a_list_of_entries_in_a_fixed_order(tmp_path: Path) -> None:
    path = tmp_path / "build" / "bench.json"
    late = against("alert-latency-p99-1k", "ms", "aim", [(100.0, 250.0)])
    write(path, [late, absent("worker-vs-bytewax", "events/s", "not installed")])
    assert json.loads(path.read_bytes()) == [
        {
            "name": "worker-vs-bytewax",
            "value": None,
            "unit": "events/s",
            "reference": "not installed",
            "reference_value": None,
            "ratio": None,
        },
        {
            "name": "alert-latency-p99-1k",
            "value": 100.0,
            "unit": "ms",
            "reference": "aim",
            "reference_value": 250.0,
            "ratio": 0.4,
        },
    ]


def test_a_part_of_the_benchmarks_renews_its_own_entries_only(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    write(path, [absent(name, "s", "first") for name in NAMES])
    write(path, [absent(NAMES[3], "s", "second")])
    references = [entry["reference"] for entry in json.loads(path.read_bytes())]
    assert references == ["second" if n == 3 else "first" for n in range(len(NAMES))]


def test_an_entry_of_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="worker-vs-stock-fuast"):
        write(tmp_path / "bench.json", [absent("worker-vs-stock-fuast", "events/s", "")])
