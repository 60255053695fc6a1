"""Each record once and in order, whatever Faust clears, delivers twice, or leaves out."""

from __future__ import annotations

from collections import deque
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.shells.intake import AGAIN_SECONDS, STALL_SECONDS, Intake


def test_records_in_order_are_taken() -> None:
    intake = Intake(5)
    assert [intake.judge(offset) for offset in (5, 6, 7)] == ["take"] * 3
    assert intake.following == 8


def test_what_was_taken_is_skipped_when_it_comes_again() -> None:
    intake = Intake(5)
    assert [intake.judge(offset) for offset in (5, 6, 3, 5, 6, 7)] == [
        "take", "take", "skip", "skip", "skip", "take",
    ]  # fmt: skip


def test_a_jump_is_sought_back_from_once_and_what_was_under_way_is_skipped() -> None:
    intake = Intake(0)
    assert [intake.judge(offset) for offset in (57, 58, 59)] == ["seek", "skip", "skip"]
    assert [intake.judge(offset) for offset in range(60)] == ["take"] * 60
    assert intake.jumps == 1
    assert not intake.has_gaps


def test_a_jump_that_comes_again_is_the_broker_s_and_later_ones_are_believed() -> None:
    intake = Intake(0)
    assert [intake.judge(offset) for offset in (0, 3, 4)] == ["take", "seek", "skip"]
    assert [intake.judge(offset) for offset in (3, 4, 3, 4)] == ["seek", "skip", "seek", "skip"]
    assert [intake.judge(offset) for offset in (3, 4, 9)] == ["take"] * 3
    assert intake.following == 10
    assert intake.jumps == 1


def test_a_nearer_record_after_a_jump_is_sought_back_from_too() -> None:
    intake = Intake(0)
    assert [intake.judge(offset) for offset in (57, 12, 57)] == ["seek", "seek", "skip"]
    assert [intake.judge(offset) for offset in (0, 1)] == ["take", "take"]


@given(st.data())
def test_a_lossy_reader_loses_nothing_in_the_end(data: st.DataObject) -> None:
    """The reader clears what it has fetched at random, and may be sought; the log has no gaps."""
    chance = Random(data.draw(st.integers(0, 2**32)))
    end = data.draw(st.integers(0, 60))
    first = data.draw(st.integers(0, end))
    intake = Intake(first)
    taken: list[int] = []
    position, clears = chance.randint(0, first), chance.randint(0, 3)
    queue: deque[int] = deque()
    idle = 0
    now = 0.0
    while intake.following < end:
        if position < end and chance.random() < 0.6:
            size = chance.randint(1, 20)
            queue.extend(range(position, min(position + size, end)))
            position = min(position + size, end)
        # Faust clears its queues when it resumes, before anything was taken in order.
        if clears and not taken and chance.random() < 0.3:
            clears -= 1
            queue.clear()
        for _ in range(min(len(queue), chance.randint(1, 20))):
            verdict = intake.judge(offset := queue.popleft())
            if verdict == "take":
                taken.append(offset)
            elif verdict == "seek":
                position = intake.following
        if not queue and position == end:
            now += AGAIN_SECONDS
            if intake.look(end, position, now) == "seek":
                position = intake.following
        idle += 1
        assert idle < 5000
    assert taken == list(range(first, end))


def test_a_partition_at_its_end_is_there() -> None:
    assert Intake(5).is_at(5)
    assert not Intake(5).is_at(6)


def test_records_lost_at_the_end_are_read_again_after_a_while() -> None:
    intake = Intake(5)
    assert intake.look(9, 9, 100.0) == "wait"
    assert intake.look(9, 9, 100.0 + STALL_SECONDS - 0.1) == "wait"
    assert intake.look(9, 9, 100.0 + STALL_SECONDS) == "seek"
    assert [intake.judge(offset) for offset in (5, 6, 7, 8)] == ["take"] * 4
    assert intake.is_at(9)


def test_a_reader_that_moves_or_is_under_way_is_left_alone() -> None:
    intake = Intake(5)
    intake.look(9, 9, 0.0)
    intake.judge(5)
    assert intake.look(9, 9, STALL_SECONDS) == "wait"
    intake.look(9, 7, 2 * STALL_SECONDS)  # the fetch is not there yet
    assert intake.look(9, 9, 2.5 * STALL_SECONDS) == "wait"


def test_an_end_without_records_counts_as_reached_once_it_was_read_again() -> None:
    intake = Intake(5)
    verdicts = [intake.look(7, 7, n * STALL_SECONDS) for n in range(3)]
    assert verdicts == ["wait", "seek", "wait"]
    assert intake.is_at(7)
    assert not intake.is_at(8)
    assert intake.look(7, 7, STALL_SECONDS + AGAIN_SECONDS) == "seek"  # now and then, all the same
    assert intake.judge(7) == "seek"  # nor is anything taken on trust


@pytest.mark.parametrize("end", [0, 5])
def test_an_empty_partition_is_at_its_end(end: int) -> None:
    assert Intake(end).is_at(end)
