"""Whatever was written when the worker died, restoring it and reading on gives the state of one
that never died."""

from __future__ import annotations

import random
from functools import cache

import pytest
from faust.types import TP

from ruptura.core.contracts.record import Record
from ruptura.worker.checkpoints.checkpoint import PART_BYTES, Checkpoint, Checkpoints
from tests.assembly.three_services import (
    Outcome,
    apply,
    entries_of,
    feed,
    fresh,
    restored,
    stream,
)

# Each dies several times, at other places.
SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.quality) for seed in range(3, 12))]


@cache
def expected() -> Outcome:
    """What is to come of an engine that never died."""
    undisturbed = fresh()
    feed(undisturbed, stream())
    outcome = Outcome.of(undisturbed)
    assert len(outcome.points) > 100
    return outcome


class Run:
    """An engine that reads on, saves in portions, and dies now and then."""

    def __init__(self, told: list[Record], part_bytes: int, chance: random.Random) -> None:
        self._told = told
        self._chance = chance
        self._part_bytes = part_bytes
        self.changelog: dict[bytes, bytes] = {}
        self.engine = fresh()
        self.checkpoints = Checkpoints(self.engine, part_bytes)
        self.at = self.crashes = self.between = 0

    @property
    def is_over(self) -> bool:
        return self.at >= len(self._told)

    def read(self, most: int) -> None:
        until = min(self.at + self._chance.randint(1, most), len(self._told))
        feed(self.engine, self._told[self.at : until])
        self.at = until

    def draft(self) -> Checkpoint:
        """A checkpoint, with steps of the engine between its portions."""
        position = self.engine.position("ruptura.tickets", 0) or 0
        draft = self.checkpoints.begin({TP("ruptura.tickets", 0): position})
        while not draft.is_complete:
            if self._chance.random() < 0.5 and not self.is_over:
                self.read(40)
                self.between += 1
            draft.collect()
        assert draft.positions == {TP("ruptura.tickets", 0): position}
        return draft

    def crash(self) -> None:
        self.crashes += 1
        self.engine = fresh()
        self.checkpoints = Checkpoints(self.engine, self._part_bytes)
        assert self.checkpoints.restore(0, self.changelog)[1] == 0
        self.at = self.engine.position("ruptura.tickets", 0) or 0


@pytest.mark.parametrize("part_bytes", [PART_BYTES, 500])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_at_any_entry_of_a_checkpoint_in_portions_changes_nothing(
    seed: int, part_bytes: int
) -> None:
    chance = random.Random(seed)
    told = stream()
    run = Run(told, part_bytes, chance)
    while not run.is_over:
        run.read(60)
        if chance.random() < 0.6:
            waves = run.draft().waves
            for wave in waves:
                chance.shuffle(wave)  # within a wave, entries arrive in any order
            written = [entry for wave in waves for entry in wave]
            is_cut = chance.random() < 0.4
            apply(run.changelog, written[: chance.randint(0, len(written))] if is_cut else written)
            if is_cut:
                run.crash()
        elif chance.random() < 0.3:
            run.crash()
    assert run.crashes
    assert run.between, "no step came between two portions: nothing was tried"
    assert Outcome.of(run.engine) == expected()


@pytest.mark.parametrize("part_bytes", [PART_BYTES, 500])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_between_any_two_entries_changes_nothing(seed: int, part_bytes: int) -> None:
    chance = random.Random(seed)
    told = stream()
    subject = fresh()
    checkpoints = Checkpoints(subject, part_bytes)
    changelog: dict[bytes, bytes] = {}
    at = crashes = 0
    while at < len(told):
        until = min(at + chance.randint(1, 120), len(told))
        feed(subject, told[at:until])
        at = until
        if chance.random() < 0.6:
            written = entries_of(checkpoints.take())
            if chance.random() < 0.3:
                # In the middle of it; within a wave, entries arrive in any order.
                wave_ends = chance.randint(0, len(written))
                apply(changelog, written[:wave_ends])
            else:
                apply(changelog, written)
                continue
        if chance.random() < 0.5:
            crashes += 1
            subject = restored(changelog, part_bytes)
            checkpoints = Checkpoints(subject, part_bytes)
            checkpoints.restore(0, changelog)
            at = subject.position("ruptura.tickets", 0) or 0
    assert crashes
    assert Outcome.of(subject) == expected()
