"""The route with repartition: a worker sends records on, and takes in what has arrived.

What it reads of the input topics goes to the forwarder, and is committed when the brokers have
the copies. What it reads of the internal topics goes to the engine, each record once, and is
committed when the saved state reflects it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from faust.types import TP

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.core.ingest.routing import Repartitioned
from ruptura.settings import KafkaSettings
from ruptura.worker.routes.forwarder import Forwarder, Shipment
from ruptura.worker.routes.input_queue import QueuedBatch
from ruptura.worker.routes.route import Position
from ruptura.worker.transport.batch import Batch


class RepartitionedRoute:
    """The way of records through Kafka to the partition of their service.

    Args:
        routing: Says what goes where.
        kafka: How to reach the brokers.
        position: Of the engine.
        is_over: Whether the app stops.

    Attributes:
        forwarded: The input topics.
        repeated: How many copies were dropped because they had come before.
    """

    outruns_queue = False

    def __init__(
        self,
        routing: Repartitioned,
        kafka: KafkaSettings,
        position: Position,
        is_over: Callable[[], bool],
    ) -> None:
        self._routing = routing
        self._forwarder = Forwarder(routing, kafka, is_over)
        self._position = position
        self._next_offsets: dict[tuple[str, int], int] = {}  # of sources in our partitions
        self._done: dict[TP, int] = {}
        self.forwarded: Collection[str] = frozenset(routing.topics)
        self.repeated = 0

    def receive(self, batch: Batch, records: Sequence[Record]) -> QueuedBatch | None:
        """Send records of input topics on; return what has arrived of them for the engine."""
        tp = batch.tp

        def done() -> None:
            batch.release()
            self._done[tp] = batch.next_offset

        if tp.topic in self._routing.topics:
            self._forwarder.put(Shipment(tp, records, landed=done, dropped=batch.release))
            return None
        return QueuedBatch(tp.partition, self.arrived(records), batch.size, done)

    def arrived(self, copies: Sequence[Record]) -> list[Input]:
        """Return what copies stand for, without those that came before."""
        next_offsets = self._next_offsets
        inputs: list[Input] = []
        for copy in copies:
            for item in self._routing.arrived(copy):
                if item is copy or isinstance(item, Tick):
                    inputs.append(item)
                    continue
                at = item.topic, item.partition
                least = next_offsets.get(at)
                if least is None:
                    least = next_offsets[at] = self._position(*at) or 0
                if item.offset < least:
                    self.repeated += 1
                    continue
                next_offsets[at] = item.offset + 1
                inputs.append(item)
        return inputs

    def pass_time(self, watermarks: Mapping[TP, float]) -> Sequence[Tick]:
        """Mark, behind the records, how far time has passed; marks come back as ticks."""
        self._forwarder.mark(watermarks)
        return ()

    def positions(self, held: Collection[TP]) -> dict[TP, int]:
        """Return the offsets after the last records that were forwarded or are in the state."""
        return {tp: done for tp, done in self._done.items() if tp in held}

    def revoke(self, revoked: Collection[TP]) -> None:
        """Let go of topic partitions; call when the queue has let go of them."""
        self._forwarder.drop(revoked)
        gone = {tp.partition for tp in revoked}
        self._done = {tp: n for tp, n in self._done.items() if tp.partition not in gone}
        self._next_offsets = {at: n for at, n in self._next_offsets.items() if at[1] not in gone}

    async def run(self) -> None:
        """Forward until the app stops.

        Raises:
            KafkaError: the brokers refuse copies, now and for ever.
        """
        await self._forwarder.run()

    def in_terms_of_topics(self, effects: Effects) -> Effects:
        """Return effects by topic, and refused records as they were produced."""
        return self._routing.in_terms_of_topics(effects)
