"""The Faust table behind the state: its changelog is read into ledgers, and written by us.

Faust's own tables know nothing of writers that have been replaced, and would write each change as
it happens. Its recovery and its standby replicas are used as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable
from typing import Any

import faust
from faust.types import TP

from ruptura.worker.checkpoints.fenced_changelog import Ledger, epoch_header, epoch_of


class StateTable(faust.Table[bytes, bytes]):
    """The state of the partitions that are ours, and of those that we stand by for."""

    logger = logging.getLogger("faust.tables.ruptura")  # level and form of Faust's own

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ledgers: dict[int, Ledger] = {}
        self._topic: Any = None

    def ledger(self, partition: int) -> Ledger:
        """Return what is known of a partition; complete once Faust has recovered it."""
        return self._ledgers.setdefault(partition, Ledger())

    def ledgers(self) -> dict[int, Ledger]:
        """Return those that are held."""
        return self._ledgers

    def persisted_offset(self, tp: TP) -> int | None:
        """Tell Faust from where to go on reading."""
        held = self._ledgers.get(tp.partition)
        return None if held is None or held.offset < 0 else held.offset

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Take entries that Faust has read."""
        for event in batch:
            message = event.message
            headers = message.headers
            pairs = headers.items() if isinstance(headers, dict) else headers
            self.ledger(message.partition).apply(
                message.offset, message.key, message.value, epoch_of(pairs)
            )

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Drop what is held of partitions that are neither ours nor stood by for."""
        held = {tp.partition for tp in active_tps | standby_tps}
        for partition in set(self._ledgers) - held:
            del self._ledgers[partition]
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
            held = self._ledgers.get(partition)
            # Otherwise another worker has written too, and Faust is to read on from there.
            if held is not None and metadata.offset == held.offset + 1:
                held.apply(metadata.offset, key, value, epoch)

        return landed()
