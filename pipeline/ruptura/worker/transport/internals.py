"""What the transport relies on inside Faust and aiokafka; a check names what has moved."""

from __future__ import annotations

import inspect
from typing import Final

from aiokafka.consumer import fetcher as aiokafka_fetcher
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver

EXPECTED: Final = (
    (driver.AIOKafkaConsumerThread, ("_create_worker_consumer", "_fetch_records", "getmany")),
    (driver.Consumer, ("_new_consumer_thread", "_to_message", "highwater", "seek")),
    (
        faust_consumer.Consumer,
        ("_wait_next_records", "_new_offset", "_add_gap", "resume_flow", "on_partitions_revoked"),
    ),
    (faust_consumer.ThreadDelegateConsumer, ("_getmany",)),
    (
        aiokafka_fetcher.Fetcher,
        ("fetched_records", "_create_fetch_waiter", "_notify", "_select_read_replica"),
    ),
    (aiokafka_fetcher.FetchResult, ("check_assignment", "has_more")),
    (aiokafka_fetcher.PartitionRecords, ("_consumer_record", "_unpack_records", "__next__")),
)
EXPECTED_SOURCE: Final = (
    (aiokafka_fetcher.PartitionRecords._unpack_records, "self._consumer_record(tp, record)"),
    (aiokafka_fetcher.PartitionRecords.__init__, "self.next_fetch_offset = fetch_offset"),
    (aiokafka_fetcher.FetchResult.__init__, "self._partition_records = partition_records"),
    (aiokafka_fetcher.Fetcher.__init__, "self._records = "),
    (faust_consumer.Consumer._drain_messages, "getmany(timeout=1.0)"),
    (faust_consumer.Consumer.force_commit, "self._commit_tps"),
    (faust_consumer.Consumer._filter_committable_offsets, "self._new_offset(tp)"),
    (faust_consumer.Consumer.ack, "self._acked_index[tp]"),
)


def check_internals() -> None:
    """Make sure that Faust and aiokafka have inside what the transport overrides and reads.

    Raises:
        RuntimeError: something has moved; the text names it.
    """
    for owner, names in EXPECTED:
        for name in names:
            if not hasattr(owner, name):
                raise RuntimeError(f"{owner.__module__}.{owner.__qualname__}.{name} has moved")
    for function, text in EXPECTED_SOURCE:
        if text not in inspect.getsource(function):
            raise RuntimeError(
                f"{function.__module__}.{function.__qualname__} does without `{text}`"
            )
