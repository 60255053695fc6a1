"""Only what is saved is committed, and only of partitions that are still ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from ruptura.core.contracts.effects import Effects
from ruptura.worker.health import Health
from ruptura.worker.process import checkpointer as module
from ruptura.worker.process.checkpointer import Checkpointer
from ruptura.worker.process.membership import Membership

OURS, THEIRS = TP("ruptura.tickets", 0), TP("ruptura.tickets", 1)


class Sink:
    """Documents that are on their way until it is flushed."""

    pending = 0

    def __init__(self, seen: list[object]) -> None:
        self._seen = seen

    def apply(self, effects: Effects) -> None:
        raise AssertionError(effects)

    async def flush(self) -> None:
        self._seen.append("documents")


class Draft:
    """A checkpoint of three services."""

    services = 3

    def __init__(self, scene: Scene, positions: dict[TP, int]) -> None:
        self._scene = scene
        self._missing = 3
        self.positions = positions

    @property
    def is_complete(self) -> bool:
        return not self._missing

    def collect(self) -> None:
        assert self._scene.stepping.locked(), "the engine may be amid a step"
        self._missing -= 1

    def forget(self, partition: int) -> None:
        self._scene.seen.append(f"left {partition} out")

    async def write(self, write: Callable[..., Awaitable[object]]) -> int:
        await write(0, b"key", b"value", 3)
        self._scene.amid()
        return 5


class Scene:
    """A checkpointer, and what happens in which order."""

    def __init__(self, every_seconds: float = 0.0) -> None:
        self.seen: list[object] = []
        self.positions = {OURS: 7, THEIRS: 9}
        self.amid: Callable[[], None] = lambda: None
        self.stepping = asyncio.Lock()
        self.now = 0.0
        self.membership = Membership(45.0, self._unasked, lambda: self.now)
        checkpoints: Any = SimpleNamespace(
            begin=lambda positions, _epochs: Draft(self, positions),
            is_due=lambda: False,
            forget=lambda partition: self.seen.append(f"forgot {partition}"),
        )
        consumer = SimpleNamespace(commit_positions=self._commit)
        sources: Any = SimpleNamespace(epochs={}, consumer=consumer, are_settled=True)
        self.subject = Checkpointer(
            every_seconds,
            checkpoints,
            self.stepping,
            lambda: dict(self.positions),
            Sink(self.seen),
            SimpleNamespace(write=self._write),  # type: ignore[arg-type]  # a stand-in
            sources,
            self.membership,
            Health(lambda: 0.0),
        )

    async def _unasked(self) -> bool:
        raise AssertionError

    async def _write(self, *_: object) -> None:
        self.seen.append("state")

    async def _commit(self, positions: dict[TP, int]) -> bool:
        self.seen.append(dict(positions))
        return True

    def lose(self) -> None:
        """Lose a partition, as in a rebalance."""
        self.membership.lose()
        self.subject.revoke({THEIRS})


def play(
    scenario: Callable[[Scene], Awaitable[object]], every_seconds: float = 0.0
) -> list[object]:
    async def scene() -> list[object]:
        made = Scene(every_seconds)
        async with asyncio.timeout(60.0):
            await scenario(made)
        return made.seen

    return asyncio.run(scene())


def test_documents_are_safe_before_the_state_and_the_state_before_the_positions() -> None:
    assert play(lambda scene: scene.subject.save()) == ["documents", "state", {OURS: 7, THEIRS: 9}]


def test_where_nothing_has_changed_nothing_is_written_again() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.subject.save()
        scene.seen.clear()
        await scene.subject.save()
        scene.positions[OURS] = 8
        await scene.subject.save()

    unchanged, *later = play(scenario)
    assert unchanged == {OURS: 7, THEIRS: 9}
    assert later == ["documents", "state", {OURS: 8, THEIRS: 9}]


def test_a_partition_that_is_taken_away_is_not_committed_again() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.subject.save()
        scene.lose()
        del scene.positions[THEIRS]
        await scene.subject.save()

    assert play(scenario)[-1] == {OURS: 7}


def test_what_is_saved_amid_a_rebalance_is_not_committed() -> None:
    async def scenario(scene: Scene) -> None:
        scene.amid = scene.lose
        await scene.subject.save()

    assert play(scenario) == ["documents", "state", {}]


def test_a_partition_that_is_taken_away_is_left_out_of_the_checkpoint_that_is_taken() -> None:
    async def scenario(scene: Scene) -> None:
        scene.amid = lambda: scene.subject.forget(1)
        await scene.subject.save()
        scene.subject.forget(0)

    told = [each for each in play(scenario) if isinstance(each, str)]
    # Once it is written there is nothing to be left out of.
    assert told == ["documents", "state", "forgot 1", "left 1 out", "forgot 0"]


def test_while_it_is_doubtful_that_we_are_in_the_group_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)

    async def scenario(scene: Scene) -> None:
        scene.now = 1e6  # slept for longer than any session
        saving = asyncio.ensure_future(scene.subject.save())
        for _ in range(100):
            await asyncio.sleep(0.0)
        assert scene.seen == ["documents"]
        scene.membership.see()
        await saving

    assert play(scenario)[1:] == ["state", {OURS: 7, THEIRS: 9}]


def test_many_records_are_saved_before_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)

    async def scenario(scene: Scene) -> None:
        subject = scene.subject
        looks = 0

        def should_stop() -> bool:
            nonlocal looks
            looks += 1
            if looks == 50:
                assert scene.seen.count("state") == 1, "the first is due at once, no other since"
                scene.positions[OURS] += 1
                subject.unsaved = module._MOST_UNSAVED
            return looks == 100

        await subject.run(should_stop)
        assert subject.unsaved == 0

    assert play(scenario, every_seconds=1e6).count("state") == 2
