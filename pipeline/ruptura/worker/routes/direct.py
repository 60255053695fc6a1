"""The direct route: producers key by service, so that records go to the engine as they are read.

What the saved state reflects is committed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from faust.types import TP

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Record, Tick
from ruptura.worker.routes.input_queue import QueuedBatch
from ruptura.worker.routes.route import Position
from ruptura.worker.transport.batch import Batch


class DirectRoute:
    """The way of records from their topic to the engine.

    Args:
        position: Of the engine.
    """

    forwarded: Collection[str] = ()
    outruns_queue = True

    def __init__(self, position: Position) -> None:
        self._position = position

    def receive(self, batch: Batch, records: Sequence[Record]) -> QueuedBatch | None:
        """Return the records for the engine."""
        return QueuedBatch(batch.tp.partition, records, batch.size, batch.release)

    def positions(self, held: Collection[TP]) -> dict[TP, int]:
        """Return the offsets after the last records that the state reflects."""
        return {
            tp: position
            for tp in held
            if (position := self._position(tp.topic, tp.partition)) is not None
        }

    def pass_time(self, watermarks: Mapping[TP, float]) -> Sequence[Tick]:
        """Return the watermarks as ticks."""
        return [Tick(tp.topic, tp.partition, now) for tp, now in watermarks.items()]

    def revoke(self, revoked: Collection[TP]) -> None:
        """Do nothing: no partition leaves anything here."""

    async def run(self) -> None:
        """Do nothing beside the engine."""

    def in_terms_of_topics(self, effects: Effects) -> Effects:
        """Return the effects themselves: topics are the sources."""
        return effects
