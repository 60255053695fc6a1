"""What a step led to is told only by one whose partitions it still is."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import Reason, Rejection
from ruptura.core.contracts.record import Record
from ruptura.settings import Settings
from ruptura.worker.health import Health
from ruptura.worker.pace import Pace
from ruptura.worker.process import membership, processor, stepper
from ruptura.worker.process.intake import Intake
from ruptura.worker.process.processor import Processor
from ruptura.worker.routes.input_queue import QueuedBatch
from ruptura.worker.transport.batch import Batch

TICKETS_0 = TP("ruptura.tickets", 0)


class Topic:
    """A Faust topic whose broker has everything at once, unless it is held back."""

    def __init__(self) -> None:
        self.sent = 0
        self.is_held_back = False
        self._waiting: list[asyncio.Future[None]] = []

    async def send(self, **_: object) -> asyncio.Future[None]:
        self.sent += 1
        landed = asyncio.get_running_loop().create_future()
        self._waiting.append(landed)
        if not self.is_held_back:
            self.release()
        return landed

    def release(self) -> None:
        """Let the broker have all that it was sent."""
        self.is_held_back = False
        for landed in self._waiting:
            landed.set_result(None)
        self._waiting.clear()


class Scene:
    """A processor whose engine has three buckets to close, each with a dead letter."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._left = 3
        self._steps_left = -1
        self.topic = Topic()
        metrics = SimpleNamespace(
            pending=0,
            flush=self._at_once,
            apply=lambda effects: self.seen.append(f"told {effects.buckets}"),
            forget=lambda _channels: None,
            forget_source=lambda _topic, _partition: None,
            dead_lettered=lambda _count: None,
            jumped=None,
            state_refused=None,
            observe_processing=lambda _seconds, _records: None,
            observe_lag=lambda _now: self.seen.append("lag"),
        )
        self.app = app = SimpleNamespace(
            topic=lambda *_, **__: self.topic,
            should_stop=False,
            rebalancing=False,
            tables=SimpleNamespace(
                recovery=SimpleNamespace(completed=SimpleNamespace(is_set=lambda: True)),
                actives_ready=True,
            ),
            consumer=SimpleNamespace(commit_positions=self._committed),
        )
        engine = SimpleNamespace(
            due=lambda: (0, "aurora") if self._left else None,
            ingest=self._ingest,
            partitions=lambda: (),
            close=self._close,
            forget=self._forget,
            position=lambda *_: None,
            reconfigure=lambda _config: self.seen.append("reconfigured"),
        )
        self.now = 0.0
        self.health = Health(lambda: self.now)
        self._is_member: Callable[[], Awaitable[bool]] = self._yes
        made: Any = Processor
        self.subject = made(
            app,
            Settings(),
            Pace(),
            SimpleNamespace(changelogs=dict),
            metrics,
            self.health,
            engine,
            lambda: self.now,
            self._ask,
        )

    def answer(self, is_member: Callable[[], Awaitable[bool]]) -> None:
        """Say what the group answers when it is asked."""
        self._is_member = is_member

    def doubt(self) -> None:
        """Let it find that it has slept for longer than any session."""
        self.now += 1e6

    async def revoke(self) -> None:
        self.seen.append("revoked")
        await self.subject.revoke({TICKETS_0})

    def refill(self) -> None:
        """Let there be three buckets to close again."""
        self._left = 3

    async def step(self) -> None:
        assert math.isfinite(await self.subject.stepper.step_in_portions([]))
        await self.subject._sinks.flush()

    async def catch_up(self, steps: int) -> None:
        """Run, with records of which more come faster than they are stepped, a second a step."""
        self.subject._sources.intakes[TICKETS_0] = Intake(0)
        self._steps_left = steps

        async def stream() -> AsyncIterator[Any]:
            offset = 0
            while not self.app.should_stop:
                record = Record(*TICKETS_0, offset, 0.0, None, b"")
                yield SimpleNamespace(value=Batch(TICKETS_0, offset, offset + 1, [record], 1))
                offset += 1
                await asyncio.sleep(0.0)

        await asyncio.gather(self.subject.feed(stream()), self.subject.run())

    def _ingest(self, records: list[Record]) -> tuple[int, Effects]:
        self.now += 1.0
        self._steps_left -= 1
        self.app.should_stop = self._steps_left == 0
        return len(records), Effects()

    async def _committed(self, _positions: dict[TP, int]) -> bool:
        return True

    def _close(self, _partition: int, _service: str) -> Effects:
        number = 4 - self._left
        self._left -= 1
        self.seen.append(f"stepped {number}")
        record = Record(*TICKETS_0, number, 0.0, None, b"\xff")
        rejection = Rejection(record, Reason.MALFORMED_JSON, "at `$`")
        return Effects(buckets=number, rejections=[rejection])

    def _forget(self, _partition: int) -> tuple[()]:
        self._left = 0  # what is due goes with its partition
        return ()

    async def _at_once(self) -> None:
        return

    async def _ask(self) -> bool:
        return await self._is_member()

    async def _yes(self) -> bool:
        self.seen.append("asked")
        return True


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket a portion."""
    monkeypatch.setattr(stepper, "_PORTION_SECONDS", 0.0)


def play(scenario: Callable[[Scene], Awaitable[None]]) -> Scene:
    async def scene() -> Scene:
        made = Scene()
        await scenario(made)
        return made

    return asyncio.run(scene())


def test_each_portion_is_told_before_the_next_is_stepped() -> None:
    scene = play(Scene.step)
    assert scene.seen == [
        "stepped 1", "told 1", "stepped 2", "told 2", "stepped 3", "told 3",
    ]  # fmt: skip
    assert scene.topic.sent == 3


def test_the_engine_waits_while_too_many_documents_are_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processor, "_MOST_PENDING", 1)

    async def scenario(scene: Scene) -> None:
        scene.topic.is_held_back = True
        stepping = asyncio.ensure_future(scene.step())
        for _ in range(100):
            await asyncio.sleep(0.0)
        assert scene.seen[-1] == "told 2", "one more than may be under way"
        assert not stepping.done()
        scene.topic.release()
        await stepping

    assert play(scenario).seen[-1] == "told 3"


def test_of_partitions_that_are_taken_away_amid_a_step_nothing_more_is_told() -> None:
    async def scenario(scene: Scene) -> None:
        stepping = asyncio.ensure_future(scene.step())
        while "told 1" not in scene.seen:
            assert not stepping.done()
            await asyncio.sleep(0.0)
        await scene.revoke()
        await stepping

    scene = play(scenario)
    assert scene.seen == ["stepped 1", "told 1", "revoked"]
    assert scene.topic.sent == 1


def test_other_settings_wait_for_the_end_of_a_step() -> None:
    async def scenario(scene: Scene) -> None:
        record = Record(*TICKETS_0, 1, 0.0, None, b"")
        scene.subject._queue.put(QueuedBatch(0, [record], 1, lambda: None))
        stepping = asyncio.ensure_future(scene.subject._process_queued())
        while "told 1" not in scene.seen:
            await asyncio.sleep(0.0)
        assert not stepping.done()
        await scene.subject.stepper.reconfigure(SimpleNamespace())
        await stepping

    seen = play(scenario).seen
    assert seen.index("told 1") < seen.index("told 3") < seen.index("reconfigured")


def test_a_worker_that_catches_up_for_long_is_answered_and_shows_how_far_it_is() -> None:
    async def scenario(scene: Scene) -> None:
        # No session ends in this test, however long it takes.
        scene.subject._membership.end()
        await scene.catch_up(100)

    scene = play(scenario)
    assert scene.now >= 100.0
    assert scene.health.age("poll") <= 2.0
    assert scene.health.partitions == 1
    assert "lag" in scene.seen


def test_what_was_taken_away_before_a_step_does_not_silence_it() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.revoke()
        scene.refill()
        await scene.step()

    assert play(scenario).topic.sent == 3


def test_after_a_long_sleep_the_group_is_asked_before_anything_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(membership, "_SETTLE_SECONDS", 0.0)

    async def scenario(scene: Scene) -> None:
        answers = [False, True]

        async def unsettled() -> bool:
            scene.seen.append("asked")
            return answers.pop(0)

        scene.answer(unsettled)
        scene.doubt()
        await scene.step()

    assert play(scenario).seen[:6] == [
        "stepped 1", "asked", "asked", "told 1", "stepped 2", "told 2",
    ]  # fmt: skip


def test_who_learns_in_answer_that_partitions_are_gone_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(membership, "_SETTLE_SECONDS", 0.0)

    async def scenario(scene: Scene) -> None:
        async def replaced() -> bool:
            await scene.revoke()
            return False

        scene.answer(replaced)
        scene.doubt()
        await scene.step()

    scene = play(scenario)
    assert scene.seen == ["stepped 1", "revoked"]
    assert scene.topic.sent == 0


@pytest.mark.parametrize("is_taken_away", [False, True])
def test_what_is_taken_away_while_it_is_saved_is_not_committed(is_taken_away: bool) -> None:
    committed: list[dict[TP, int]] = []

    async def scenario(scene: Scene) -> None:
        async def write(_write: object) -> int:
            if is_taken_away:
                await scene.revoke()
            return 0

        async def commit(positions: dict[TP, int]) -> bool:
            committed.append(dict(positions))
            return True

        checkpointer = scene.subject._checkpointer
        draft = SimpleNamespace(
            is_complete=True, write=write, positions={TICKETS_0: 7}, services=0, forget=lambda _: 0
        )
        checkpointer._checkpoints = SimpleNamespace(
            begin=lambda *_: draft, is_due=lambda: True, forget=lambda _: None
        )
        scene.subject._app.consumer = SimpleNamespace(commit_positions=commit)
        await checkpointer.save()
        await scene.revoke()
        checkpointer._checkpoints.is_due = lambda: False
        await checkpointer.save()

    play(scenario)
    assert committed == [{} if is_taken_away else {TICKETS_0: 7}, {}]
