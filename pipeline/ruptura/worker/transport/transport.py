"""Faust's Kafka driver, made to hand agents whole batches of records.

Stock Faust spends some 170 us on each message: a task to deliver it, a queue, reference counts,
the bookkeeping of acknowledgements. Delivered as one message per fetched piece of a partition,
the same records cost a few microseconds each. An agent of a batched topic gets events whose
value is a `Batch`; other topics, changelogs above all, are delivered as ever.

Any Faust app can use it::

    class App(faust.App):
        def _new_transport(self):
            return batching(self, Batching(topics=frozenset({"clicks"})))

    app = App("counts", broker="kafka://localhost", topic_allow_declare=False)
    clicks = app.topic("clicks", key_type=bytes, value_type=bytes, value_serializer="raw")

    @app.agent(clicks)
    async def count(stream):
        async for batch in stream:  # acknowledged, all of it, when the loop goes on
            for record in batch.records: ...
            batch.release()  # its memory may be used for what is fetched next

What differs from the stock driver, beside the batches:

- Acknowledging a batch commits the offset after it. Offsets that hold no record (compaction, the
  markers of transactions) belong to the batch that was fetched with them, so they need no gaps.
  An app that saves positions itself has its topics do without (`acks=False`), and commits them
  with `Consumer.commit_positions`.
- What was fetched and not released is bounded in bytes, with an equal share for each partition,
  so that a partition that floods us neither fills the memory nor starves the others.
- A fetch does not keep Faust's commits and questions waiting in one queue, and the broker holds
  it no longer than is asked for; the stock driver lets it wait for 1.5 seconds.
- Records of aborted transactions are not handed out.
- A seek is not undone by what is still under way from before it.

Proved on faust-streaming 0.15.3 with aiokafka 0.14.0. `check_internals` names what has moved in
another version; it is called before anything is read.
"""

from __future__ import annotations

from typing import ClassVar

import faust
from aiokafka import AIOKafkaProducer
from faust.transport.drivers import aiokafka as driver

from ruptura.worker.transport.batch import Batch, Batching
from ruptura.worker.transport.consumer import LOGGER, Consumer
from ruptura.worker.transport.internals import check_internals
from ruptura.worker.transport.reader import patient

__all__ = ["Batch", "Batching", "Consumer", "batching", "check_internals"]


class PatientProducer(driver.Producer):
    """Faust's, that waits for brokers when it starts."""

    logger = LOGGER

    def _new_producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        return patient(super()._new_producer(transactional_id), lambda: self.app.should_stop)


def batching(app: faust.App, settings: Batching) -> driver.Transport:
    """Return a transport for an app.

    Args:
        app: Its settings name the brokers.
        settings: What is batched, and how.

    Raises:
        RuntimeError: this Faust or aiokafka is not built as the transport expects.
    """
    check_internals()

    class BatchConsumer(Consumer):
        logger = LOGGER
        batching: ClassVar[Batching] = settings

    class Transport(driver.Transport):
        Consumer: ClassVar[type] = BatchConsumer
        Producer: ClassVar[type] = PatientProducer

    return Transport(app.conf.broker_consumer, app)
