"""Batches as they are delivered: each record once, in order, by way of the route to the queue."""

from __future__ import annotations

import time

from ruptura.worker.process.sources import Sources
from ruptura.worker.routes.input_queue import InputQueue
from ruptura.worker.routes.route import WorkerRoute
from ruptura.worker.transport.batch import Batch


class Receiver:
    """Takes batches over.

    Args:
        sources: Know which partitions are ours, and how far each was taken.
        route: What becomes of records.
        queue: Gets what is for the engine.
    """

    def __init__(self, sources: Sources, route: WorkerRoute, queue: InputQueue) -> None:
        self._sources = sources
        self._route = route
        self._queue = queue

    async def receive(self, batch: Batch) -> bool:
        """Take a batch over; return whether anything of it was new."""
        tp, sources = batch.tp, self._sources
        intake = sources.intakes.get(tp) or await sources.adopt(tp)
        if intake is None:
            batch.release()  # of a partition that was taken from us; nothing of it was committed
            return False
        decision = intake.decide(batch.start, batch.next_offset, time.monotonic())
        if decision == "take":
            records = batch.records
            if batch.start < intake.next_offset:
                records = [each for each in records if each.offset >= intake.next_offset]
            intake.next_offset = batch.next_offset
            received = self._route.receive(batch, records)
            if received is not None:
                self._queue.put(received)
            return True
        batch.release()
        if decision == "seek":
            await sources.read_again(tp, intake, f"offset {batch.start} came instead")
        return False
