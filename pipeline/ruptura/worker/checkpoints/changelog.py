"""The Faust table behind the state: its changelog is read fenced, and written by us.

Faust's own tables know nothing of writers that have been replaced, and would write each change as
it happens. Its recovery and its standby replicas are used as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable
from typing import Any

import faust
from faust.types import TP

from ruptura.worker.checkpoints.fenced_changelog import FencedChangelog, epoch_header, epoch_of


class StateTable(faust.Table[bytes, bytes]):
    """The state of the partitions that are ours, and of those that we stand by for."""

    logger = logging.getLogger("faust.tables.ruptura")  # level and form of Faust's own

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._changelogs: dict[int, FencedChangelog] = {}
        self._topic: Any = None

    def changelog(self, partition: int) -> FencedChangelog:
        """Return what is known of a partition; complete once Faust has recovered it."""
        return self._changelogs.setdefault(partition, FencedChangelog())

    def changelogs(self) -> dict[int, FencedChangelog]:
        """Return those that are held."""
        return self._changelogs

    def persisted_offset(self, tp: TP) -> int | None:
        """Tell Faust from where to go on reading."""
        held = self._changelogs.get(tp.partition)
        return None if held is None or held.offset < 0 else held.offset

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Take entries that Faust has read."""
        for event in batch:
            message = event.message
            headers = message.headers
            pairs = headers.items() if isinstance(headers, dict) else headers
            self.changelog(message.partition).apply(
                message.offset, message.key, message.value, epoch_of(pairs)
            )

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Drop what is held of partitions that are neither ours nor stood by for."""
        held = {tp.partition for tp in active_tps | standby_tps}
        for partition in set(self._changelogs) - held:
            del self._changelogs[partition]
        await super().on_recovery_completed(active_tps, standby_tps)

    async def write(
        self, partition: int, key: bytes, value: bytes | None, epoch: int
    ) -> Awaitable[object]:
        """Send an entry; what is returned is done once the broker has it."""
        if self._topic is None:
            self._topic = self.app.topic(
                self.changelog_topic_name,
                key_type=bytes,
                value_type=bytes,
                key_serializer="raw",
                value_serializer="raw",
                acks=False,
            )
        sent: Awaitable[Any] = await self._topic.send(
            key=key,
            value=value,
            partition=partition,
            headers=epoch_header(epoch),
            force=True,
        )

        async def landed() -> None:
            metadata = await sent
            held = self._changelogs.get(partition)
            # Otherwise another worker has written too, and Faust is to read on from there.
            if held is not None and metadata.offset == held.offset + 1:
                held.apply(metadata.offset, key, value, epoch)

        return landed()
