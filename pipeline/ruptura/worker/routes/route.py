"""How records of the input topics come to the engine of a worker, and what may be committed then.

A record either goes to the engine as it is read (`direct`), or is sent on to the partition of its
service first, by way of Kafka (`repartitioned`). The processor knows this protocol alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from faust.types import TP

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Record, Tick
from ruptura.worker.routes.input_queue import QueuedBatch
from ruptura.worker.transport.batch import Batch

Position = Callable[[str, int], int | None]
"""Of a source in a partition: the next offset that the state does not reflect, if any is known."""


class WorkerRoute(Protocol):
    """The way of records through one worker.

    Attributes:
        forwarded: Those of the topics that are read whose records are sent on, and so are in no
            state.
        outruns_queue: Whether idle watermarks would reach the engine ahead of what waits in the
            queue, and so hold only once it is empty.
    """

    forwarded: Collection[str]
    outruns_queue: bool

    def receive(self, batch: Batch, records: Sequence[Record]) -> QueuedBatch | None:
        """Take over records; return what is for the engine, None where they are sent on.

        Args:
            batch: Holds them; its memory is in use until they are through.
            records: Those of the batch that were not received before.
        """

    def positions(self, held: Collection[TP]) -> dict[TP, int]:
        """Return the offsets after the last records that are through.

        Args:
            held: The topic partitions that are ours.
        """

    def pass_time(self, watermarks: Mapping[TP, float]) -> Sequence[Tick]:
        """Take over how far time has passed for partitions that were read to their end.

        Args:
            watermarks: Times of the broker in seconds since the Unix epoch.

        Returns:
            What is for the engine at once; none where it comes behind the records.
        """

    def revoke(self, revoked: Collection[TP]) -> None:
        """Let go of topic partitions; call when the queue has let go of them."""

    async def run(self) -> None:
        """Do what is to be done beside the engine, until the app stops.

        Raises:
            KafkaError: the brokers refuse what is sent on, now and for ever.
        """

    def in_terms_of_topics(self, effects: Effects) -> Effects:
        """Return effects with topics where the engine says sources."""
