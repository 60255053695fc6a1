"""What a worker does with repartition: it sends records on, and takes in what has arrived.

What it reads of the input topics goes to the forwarder, and is committed when the brokers have
the copies. What it reads of the internal topics goes to the engine, each record once, and is
committed when the saved state reflects it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from faust.types import TP

from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.core.ingest.routing import Routing
from ruptura.settings import KafkaSettings
from ruptura.worker.routes.forwarder import Forwarder, Shipment
from ruptura.worker.routes.inbox import Parcel
from ruptura.worker.transport.batch import Batch

Position = Callable[[str, int], int | None]
"""Of a source in a partition: the next offset that the state does not reflect, if any is known."""


class Repartition:
    """The way of records through one worker.

    Args:
        routing: Says what goes where.
        kafka: How to reach the brokers.
        position: Of the engine.
        is_over: Whether the app stops.

    Attributes:
        repeated: How many copies were dropped because they had come before.
    """

    def __init__(
        self,
        routing: Routing,
        kafka: KafkaSettings,
        position: Position,
        is_over: Callable[[], bool],
    ) -> None:
        self._routing = routing
        self._forwarder = Forwarder(routing, kafka, is_over)
        self._position = position
        self._following: dict[tuple[str, int], int] = {}  # of sources in our partitions
        self._done: dict[TP, int] = {}
        self.repeated = 0

    def receive(self, batch: Batch, records: Sequence[Record]) -> Parcel | None:
        """Take over records; return what is for the engine, None where they are sent on.

        Args:
            batch: Holds them; its memory is in use until they are through.
            records: Those of the batch that were not received before.
        """
        tp = batch.tp

        def done() -> None:
            batch.release()
            self._done[tp] = batch.following

        if tp.topic in self._routing.topics:
            self._forwarder.put(Shipment(tp, records, landed=done, dropped=batch.release))
            return None
        return Parcel(tp.partition, self.arrived(records), batch.size, done)

    def arrived(self, copies: Sequence[Record]) -> list[Input]:
        """Return what copies stand for, without those that came before."""
        following = self._following
        inputs: list[Input] = []
        for copy in copies:
            for item in self._routing.arrived(copy):
                if item is copy or isinstance(item, Tick):
                    inputs.append(item)
                    continue
                at = item.topic, item.partition
                least = following.get(at)
                if least is None:
                    least = following[at] = self._position(*at) or 0
                if item.offset < least:
                    self.repeated += 1
                    continue
                following[at] = item.offset + 1
                inputs.append(item)
        return inputs

    def promise(self, promises: Mapping[TP, float]) -> None:
        """Mark how far time has passed for input partitions that were read to their end.

        Args:
            promises: Times of the broker in seconds since the Unix epoch.
        """
        self._forwarder.promise(promises)

    def positions(self) -> dict[TP, int]:
        """The offsets after the last records that are through: forwarded, or in the state."""
        return dict(self._done)

    def revoke(self, revoked: Collection[TP]) -> None:
        """Let go of topic partitions; call when the inbox has let go of them."""
        self._forwarder.drop(revoked)
        gone = {tp.partition for tp in revoked}
        self._done = {tp: n for tp, n in self._done.items() if tp.partition not in gone}
        self._following = {at: n for at, n in self._following.items() if at[1] not in gone}

    async def run(self) -> None:
        """Forward until the app stops.

        Raises:
            KafkaError: the brokers refuse copies, now and for ever.
        """
        await self._forwarder.run()
