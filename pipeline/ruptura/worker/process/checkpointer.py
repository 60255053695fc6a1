"""The way of a worker's state to Kafka: documents first, then the state, then the positions.

Nothing is committed that is not saved, nor anything of partitions that were taken away meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from faust.types import TP

from ruptura.outputs.sink import Sink
from ruptura.worker.checkpoints.changelog import StateTable
from ruptura.worker.checkpoints.checkpoint import Checkpoint, Checkpoints
from ruptura.worker.health import Health
from ruptura.worker.process.membership import Membership
from ruptura.worker.process.sources import Sources

_PAUSE_SECONDS: Final = 0.05  # between two looks at whether a checkpoint is due
_MOST_UNSAVED: Final = 200_000  # records; then a checkpoint is due whatever the time
_COLLECT_SECONDS: Final = 0.005  # of states for a checkpoint, before the loop may step again
_LONGEST_PAUSE_SECONDS: Final = 10.0  # between checkpoints, after one that took long
_CHECKPOINT_SHARE: Final = 0.2  # of the time; with large states checkpoints come less often

_log = structlog.get_logger("ruptura.worker")


class Checkpointer:
    """Takes checkpoints between two steps of the engine, and commits what they reflect.

    Args:
        every_seconds: From the begin of a checkpoint to that of the next, where they are quick.
        checkpoints: Know the engine.
        stepping: Held by whoever steps the engine.
        positions: Gives the offsets after the last records that the engine reflects now.
        sink: Has the documents that the steps led to.
        table: Keeps the state.
        sources: Where records come from, and positions go.
        membership: Nothing is written while it is doubtful.
        health: Gets the heartbeats of checkpoints and commits.

    Attributes:
        unsaved: Records stepped since the last checkpoint began; whoever steps adds to it.
    """

    def __init__(
        self,
        every_seconds: float,
        checkpoints: Checkpoints,
        stepping: asyncio.Lock,
        positions: Callable[[], dict[TP, int]],
        sink: Sink,
        table: StateTable,
        sources: Sources,
        membership: Membership,
        health: Health,
    ) -> None:
        self._every_seconds = every_seconds
        self._checkpoints = checkpoints
        self._stepping = stepping
        self._positions = positions
        self._sink = sink
        self._table = table
        self._sources = sources
        self._membership = membership
        self._health = health
        self._saving = asyncio.Lock()
        self._draft: Checkpoint | None = None
        self._saved: dict[TP, int] = {}
        self.unsaved = 0

    def forget(self, partition: int) -> None:
        """Leave the state of a partition out, also of the checkpoint that is being taken."""
        self._checkpoints.forget(partition)
        if self._draft is not None:
            self._draft.forget(partition)

    def revoke(self, revoked: set[TP]) -> None:
        """Commit nothing more of partitions that another worker may own now."""
        for tp in revoked:
            self._saved.pop(tp, None)

    async def run(self, should_stop: Callable[[], bool]) -> None:
        """Save whenever it is due, until the worker stops; raises what keeps it from saving."""
        due = 0.0
        while not should_stop():
            await asyncio.sleep(_PAUSE_SECONDS)
            is_due = time.monotonic() >= due or self.unsaved >= _MOST_UNSAVED
            if not is_due or not self._sources.are_settled:
                continue
            started = time.monotonic()
            await self.save()
            ended = time.monotonic()
            pause = (ended - started) * (1.0 / _CHECKPOINT_SHARE - 1.0)
            pause = min(pause, _LONGEST_PAUSE_SECONDS)
            due = max(started + self._every_seconds, ended + pause)

    async def save(self) -> None:
        """Make documents and state safe, then commit the positions that they reflect."""
        async with self._saving:
            positions = self._positions()
            if self._sink.pending or self._checkpoints.is_due() or positions != self._saved:
                await self._take()
            self._health.heartbeat("checkpoint")
            if await self._sources.consumer.commit_positions(self._saved):
                self._health.heartbeat("commit")

    async def _take(self) -> None:
        async with self._stepping:
            losses = self._membership.losses
            draft = self._checkpoints.begin(self._positions(), self._sources.epochs)
            self._draft, self.unsaved = draft, 0
        while not draft.is_complete:
            async with self._stepping:
                until = time.monotonic() + _COLLECT_SECONDS
                while not draft.is_complete and time.monotonic() < until:
                    draft.collect()
            await asyncio.sleep(0.0)
        await self._sink.flush()
        size = await draft.write(self._write)
        self._draft = None
        if losses == self._membership.losses:  # else the next owner may not have what we wrote
            self._saved |= draft.positions
        _log.debug("checkpoint", services=draft.services, bytes=size)

    async def _write(
        self, partition: int, key: bytes, value: bytes | None, epoch: int
    ) -> Awaitable[object]:
        while self._membership.is_doubtful:
            await asyncio.sleep(_PAUSE_SECONDS)
        return await self._table.write(partition, key, value, epoch)
