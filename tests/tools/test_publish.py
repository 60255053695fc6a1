"""The order and the pace of publishing; delivery is proved in integration."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.contracts.record import Record
from ruptura.files.recording import RecordingError, to_line
from ruptura.settings import TopicSettings
from ruptura.tools.publish import Pace, PublishError, in_order, renames


def envelope_line(partition: int, offset: int, milliseconds: int) -> bytes:
    record = Record("t", partition, offset, milliseconds / 1000, b"k", b"v")
    return to_line(record) + b"\n"


def write(path: Path, places: list[tuple[int, int, int]]) -> Path:
    """A recording of (partition, offset, milliseconds)."""
    content = b"".join(envelope_line(*place) for place in places)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def order(tmp_path: Path, *recordings: Path) -> list[tuple[int, int, int]]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return [(e.partition, e.offset, time) for time, e in in_order(recordings, scratch)]


def test_several_files_are_merged_by_time_and_the_first_named_goes_first(tmp_path):
    one = write(tmp_path / "one.jsonl", [(0, 0, 10), (0, 1, 30), (0, 2, 30)])
    two = write(tmp_path / "two.jsonl.gz", [(1, 0, 20), (1, 1, 30)])
    assert order(tmp_path, one, two) == [
        (0, 0, 10), (1, 0, 20), (0, 1, 30), (0, 2, 30), (1, 1, 30),
    ]  # fmt: skip
    assert list((tmp_path / "scratch").iterdir()) == []  # nothing had to be sorted


def test_a_recording_of_one_partition_after_the_other_is_put_in_order(tmp_path):
    path = write(tmp_path / "kcat.jsonl", [(0, 0, 10), (0, 1, 40), (1, 0, 20), (1, 1, 30)])
    assert order(tmp_path, path) == [(0, 0, 10), (1, 0, 20), (1, 1, 30), (0, 1, 40)]


def test_a_record_whose_clock_runs_backwards_stays_behind_the_one_before(tmp_path):
    path = write(tmp_path / "in.jsonl", [(0, 0, 50), (0, 1, 10), (1, 0, 40), (0, 2, 60)])
    assert order(tmp_path, path) == [(1, 0, 40), (0, 0, 50), (0, 1, 50), (0, 2, 60)]


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=20),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_whatever_the_files_times_never_fall_and_partitions_keep_their_order(
    tmp_path_factory, files
):
    folder = tmp_path_factory.mktemp("order")
    paths = []
    for number, places in enumerate(files):
        # Offsets tell file and line; partitions of different files are different ones.
        lines = [
            (10 * number + partition, index, time) for index, (partition, time) in enumerate(places)
        ]
        paths.append(write(folder / f"{number}.jsonl", lines))
    found = order(folder, *paths)
    assert [time for *_, time in found] == sorted(time for *_, time in found)
    assert len(found) == sum(map(len, files))
    for source in {partition for partition, *_ in found}:
        offsets = [offset for partition, offset, _ in found if partition == source]
        assert offsets == sorted(set(offsets))


def test_what_is_no_recording_is_refused_with_its_line(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(envelope_line(0, 0, 1) + b"no JSON\n")
    with pytest.raises(RecordingError, match=r"in\.jsonl:2: not a recorded record"):
        order(tmp_path, path)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def test_the_pace_is_the_spacing_of_the_recording_divided_by_the_speed():
    clock = Clock()
    pace = Pace(10, clock)
    assert pace.delay(500.0) == 0.0  # the first is sent at once
    assert pace.delay(560.0) == 6.0
    clock.time += 5.0
    assert pace.delay(560.0) == 1.0


def test_who_is_late_does_not_wait_until_the_time_is_made_up():
    clock = Clock()
    pace = Pace(1, clock)
    pace.delay(0.0)
    clock.time += 30.0
    assert pace.delay(10.0) == 0.0
    assert pace.delay(29.0) == 0.0
    assert pace.delay(31.0) == 1.0


def test_without_a_speed_nothing_waits():
    pace = Pace(None, Clock())
    assert [pace.delay(time) for time in (0.0, 1e9)] == [0.0, 0.0]


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_must_be_above_zero(speed):
    with pytest.raises(PublishError, match="the speed must be above 0"):
        Pace(speed, Clock())


def test_default_names_become_those_of_the_settings():
    assert renames(TopicSettings(tickets="acme.tickets", dead_letter="acme.dead")) == {
        "ruptura.tickets": "acme.tickets",
        "ruptura.channel-metrics": "ruptura.channel-metrics",
        "ruptura.alerts": "ruptura.alerts",
        "ruptura.dead-letter": "acme.dead",
    }
