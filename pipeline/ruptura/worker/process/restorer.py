"""The state of a partition that comes to this worker: restored, claimed, and read on from.

Others may still write to the changelog, and the partition may go again, while this goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

import structlog
from faust.types import TP

from ruptura.core.engine import Engine
from ruptura.worker.checkpoints.changelog import StateTable
from ruptura.worker.checkpoints.checkpoint import Checkpoints

_RESTORE_SECONDS: Final = 0.01  # of states, before the event loop may breathe

_log = structlog.get_logger("ruptura.worker")


class Restorer:
    """Gives the engine the saved state of partitions.

    Args:
        engine: Is restored.
        checkpoints: Restores it.
        table: Holds what the changelog said.
        drop: Called with a partition whose records and state do not count any more.
        refused: Called with why, and how many, entries of the changelog were refused.
        forwarded: Topics whose records are sent on, and so are in no state.

    Attributes:
        epochs: As what we write to the changelog, by partition; of those that are restored.
    """

    def __init__(
        self,
        engine: Engine,
        checkpoints: Checkpoints,
        table: StateTable,
        drop: Callable[[int], None],
        refused: Callable[[str, int], None],
        forwarded: Collection[str] = (),
    ) -> None:
        self._engine = engine
        self._checkpoints = checkpoints
        self._table = table
        self._drop = drop
        self._refused = refused
        self._forwarded = frozenset(forwarded)
        self.epochs: dict[int, int] = {}

    async def restore(
        self,
        partition: int,
        ends: Mapping[TP, int],
        generation: int,
        are_ours: Callable[[], bool],
    ) -> bool:
        """Restore a partition and claim its changelog; a part of a state is dropped again.

        Args:
            partition: Its number.
            ends: Of its topics, the offsets after their last records.
            generation: Of the group, when the partition was given to us.
            are_ours: Whether it still is ours; asked again and again.

        Returns:
            Whether it is restored, and still ours.
        """
        until = time.monotonic() + _RESTORE_SECONDS
        for _ in self._restore_in_steps(partition, ends):
            if time.monotonic() >= until:
                await asyncio.sleep(0.0)
                until = time.monotonic() + _RESTORE_SECONDS
            if not are_ours():
                self._drop(partition)
                return False
        if not are_ours():
            self._drop(partition)
            return False
        epoch = self._table.changelog(partition).takeover(generation)
        await self._claim(partition, epoch)
        if not are_ours():
            self._drop(partition)
            return False
        self.epochs[partition] = epoch
        return True

    def forget(self, partition: int) -> None:
        """Let go of a partition."""
        self.epochs.pop(partition, None)
        self._drop(partition)

    def start(self, tp: TP, committed: int | None, first: int, end: int) -> int:
        """Return where to read on: where the state says; else at the earliest record.

        What the state does not reflect is reflected nowhere. So with a changelog without a clock
        (it was deleted, or the group is new), all that the topic still holds is read again. Only
        where a state is there and does not fit (it was shaped by other settings) the past is left
        alone, and reading goes on where the group was: its alerts were published already.

        Args:
            tp: The topic partition; its state is restored.
            committed: Offset from which the group would read on; None: it has none.
            first: Offset of its earliest record.
            end: Offset after its last record.
        """
        position = self._engine.position(tp.topic, tp.partition)
        has_clock = tp.partition in self._checkpoints.with_clock
        entries = self._table.changelog(tp.partition).entries
        _, clock = self._checkpoints.clock_of(tp.partition, entries)
        is_refused = clock is not None and not has_clock
        # With repartition the state knows sources, not the topics through which they come.
        is_elsewhere = tp.topic in self._forwarded or (bool(self._forwarded) and has_clock)
        if (
            position is None
            and (is_refused or is_elsewhere)
            and committed is not None
            and committed <= end
        ):
            position = committed
        elif position is None and committed:
            _log.warning(
                "no state of what was read before; reading again from the earliest record",
                topic=tp.topic,
                partition=tp.partition,
                committed=committed,
                earliest=first,
            )
        return max(position or 0, first)

    def _restore_in_steps(self, partition: int, ends: Mapping[TP, int]) -> Iterator[None]:
        changelog = self._table.changelog(partition)
        services, refused = yield from self._checkpoints.restore_in_steps(
            partition, changelog.entries
        )
        for reason, count in (
            ("unfit", refused),
            ("outdated", changelog.outdated),
            ("foreign", changelog.foreign),
        ):
            self._refused(reason, count)
        _log.info(
            "partition adopted",
            partition=partition,
            services=services,
            refused=refused,
            epoch=changelog.epoch,
            outdated=changelog.outdated,
            foreign=changelog.foreign,
        )
        changelog.outdated = changelog.foreign = 0
        for tp, end in ends.items():
            position = self._engine.position(tp.topic, partition)
            if position is not None and position > end:
                # Records of a recreated topic would be taken for old ones, and skipped.
                _log.warning(
                    "state dropped: it reflects more records than the topic holds",
                    topic=tp.topic,
                    partition=partition,
                    position=position,
                    end=end,
                )
                self._drop(partition)
                break

    async def _claim(self, partition: int, epoch: int) -> None:
        """Write the clock as it was restored once more, as the first entry of our epoch.

        What a former owner still has under way and lands after it is outdated then. What lands
        before it may be newer than our state; but our clock is the last one, and a service that
        reflects more than the clock skips by its offsets what it has.
        """
        entries = self._table.changelog(partition).entries
        key, value = self._checkpoints.clock_of(partition, entries)
        await (await self._table.write(partition, key, value, epoch))
