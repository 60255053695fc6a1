"""Each record once and in order, whatever Faust clears, delivers twice, or leaves out."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.worker.process.intake import PATIENCE_SECONDS, STALL_SECONDS, Decision, Intake


def decide(intake: Intake, start: int, next_offset: int, now: float = 0.0) -> Decision:
    """Judge a batch and take it, as the processor does."""
    decision = intake.decide(start, next_offset, now)
    if decision == "take":
        intake.next_offset = next_offset
    return decision


def test_batches_that_run_on_are_taken() -> None:
    intake = Intake(5)
    assert [decide(intake, 5, 8), decide(intake, 8, 9), decide(intake, 9, 90)] == ["take"] * 3
    assert intake.next_offset == 90
    assert intake.jumps == 0


def test_gaps_within_a_batch_are_the_brokers() -> None:
    # Compacted records and markers: the batch says that there is nothing else from 5 to 500.
    intake = Intake(5)
    assert decide(intake, 5, 500) == "take"
    assert decide(intake, 500, 501) == "take"


def test_what_was_taken_is_skipped_when_it_comes_again() -> None:
    intake = Intake(5)
    assert decide(intake, 5, 8) == "take"
    assert [decide(intake, 5, 8), decide(intake, 0, 3), decide(intake, 8, 8)] == ["skip"] * 3


def test_of_a_batch_that_reaches_back_the_rest_is_taken() -> None:
    intake = Intake(5)
    assert intake.decide(0, 9, 0.0) == "take"
    assert intake.next_offset == 5, "whoever takes it says how far"


def test_a_jump_is_sought_back_from_once_and_what_was_under_way_is_skipped() -> None:
    intake = Intake(0)
    assert [decide(intake, at, at + 9) for at in (57, 66, 75)] == ["seek", "skip", "skip"]
    assert intake.jumps == 1
    assert [decide(intake, at, at + 10) for at in range(0, 80, 10)] == ["take"] * 8
    assert intake.jumps == 1


def test_after_a_while_what_lies_ahead_is_no_leftover_but_another_jump() -> None:
    intake = Intake(0)
    assert decide(intake, 57, 60, 100.0) == "seek"
    assert decide(intake, 60, 63, 100.0 + PATIENCE_SECONDS - 0.01) == "skip"
    assert decide(intake, 60, 63, 100.0 + PATIENCE_SECONDS) == "seek"
    assert decide(intake, 60, 63, 100.0 + PATIENCE_SECONDS + 0.01) == "skip"
    assert intake.jumps == 2


def test_a_new_intake_waits_for_its_first_seek_without_calling_it_a_jump() -> None:
    intake = Intake(40, sought_at=10.0)  # as adopted: read from 40, while 90 was fetched before
    assert decide(intake, 90, 95, 10.5) == "skip"
    assert decide(intake, 40, 95, 10.6) == "take"
    assert intake.jumps == 0


def test_a_jump_after_the_seek_was_answered_is_noticed_at_once() -> None:
    intake = Intake(0, sought_at=10.0)
    assert decide(intake, 0, 5, 10.1) == "take"
    assert decide(intake, 9, 12, 10.2) == "seek"


def test_a_stale_batch_from_before_does_not_end_the_patience() -> None:
    intake = Intake(10, sought_at=0.0)
    assert decide(intake, 0, 10, 0.1) == "skip"
    assert decide(intake, 50, 60, 0.2) == "skip"


class LossyReader:
    """A log with gaps, read in batches by a consumer whose queue is cleared at random."""

    def __init__(self, chance: Random, offsets: list[int], end: int) -> None:
        self._chance = chance
        self._offsets = offsets
        self._queue: deque[tuple[int, int]] = deque()
        self.end = end
        self.position = chance.randint(0, end)
        self.losses = chance.randint(0, 6)

    def read(self) -> None:
        if self.position < self.end and self._chance.random() < 0.6:
            next_offset = min(self.position + self._chance.randint(1, 20), self.end)
            self._queue.append((self.position, next_offset))
            self.position = next_offset

    def lose(self) -> None:
        if self.losses and self._queue and self._chance.random() < 0.3:
            self.losses -= 1
            if self._chance.random() < 0.5:
                self._queue.clear()
            else:
                self._queue.pop()  # the tail, after which nothing may come

    def deliver(self) -> list[tuple[int, int]]:
        count = min(len(self._queue), self._chance.randint(0, 4))
        return [self._queue.popleft() for _ in range(count)]

    def between(self, start: int, next_offset: int) -> list[int]:
        first, last = bisect_left(self._offsets, start), bisect_left(self._offsets, next_offset)
        return self._offsets[first:last]


@settings(deadline=None)  # other work on the machine is no fault
@given(st.integers(0, 2**32))
def test_a_lossy_reader_loses_nothing_in_the_end_and_doubles_nothing(seed: int) -> None:
    """Batches are lost before they are delivered, come twice, late after a seek, or are empty."""
    chance = Random(seed)
    end = chance.randint(0, 80)
    offsets = sorted(chance.sample(range(end), chance.randint(0, end)))
    first = chance.randint(0, end)
    reader, intake = LossyReader(chance, offsets, end), Intake(first)
    taken: list[int] = []
    now = 0.0
    for _ in range(5_000):
        if intake.is_at(end):
            break
        reader.read()
        reader.lose()
        batches = reader.deliver()
        if batches and chance.random() < 0.1:
            batches.append(chance.choice(batches))
        for start, next_offset in batches:
            decision = intake.decide(start, next_offset, now)
            if decision == "take":
                taken += [o for o in reader.between(start, next_offset) if o >= intake.next_offset]
                intake.next_offset = next_offset
            elif decision == "seek":
                reader.position = intake.next_offset
        if intake.check_progress(end, reader.position, now) == "seek":
            reader.position = intake.next_offset
        now += chance.random()
    assert intake.is_at(end)
    assert taken == [offset for offset in offsets if offset >= first]


@settings(deadline=None)  # other work on the machine is no fault
@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_whatever_comes_the_position_is_only_moved_by_who_takes(at: int, a: int, b: int) -> None:
    intake = Intake(at)
    decision = intake.decide(min(a, b), max(a, b), 0.0)
    assert intake.next_offset == at
    assert (decision == "take") == (min(a, b) <= at < max(a, b))


@pytest.mark.parametrize("end", [0, 5])
def test_a_partition_at_its_end_is_there(end: int) -> None:
    assert Intake(end).is_at(end)
    assert not Intake(end).is_at(end + 1)


def test_a_batch_lost_at_the_end_is_read_again_after_a_while() -> None:
    intake = Intake(5)
    assert intake.check_progress(9, 9, 100.0) == "skip"
    assert intake.check_progress(9, 9, 100.0 + STALL_SECONDS - 0.1) == "skip"
    assert intake.check_progress(9, 9, 100.0 + STALL_SECONDS) == "seek"
    assert decide(intake, 5, 9, 100.0 + STALL_SECONDS) == "take"
    assert intake.is_at(9)


def test_an_end_that_stays_out_of_reach_is_sought_now_and_then_and_not_all_the_time() -> None:
    intake = Intake(5)
    verdicts = [intake.check_progress(9, 9, second) for second in range(16)]
    assert [second for second, decision in enumerate(verdicts) if decision == "seek"] == [5, 10, 15]


def test_a_reader_that_moves_or_is_under_way_is_left_alone() -> None:
    intake = Intake(5)
    intake.check_progress(9, 9, 0.0)
    decide(intake, 5, 6)
    assert intake.check_progress(9, 9, STALL_SECONDS) == "skip"
    intake.check_progress(9, 7, 2 * STALL_SECONDS)  # the fetch is not there yet
    assert intake.check_progress(9, 9, 2.5 * STALL_SECONDS) == "skip"
