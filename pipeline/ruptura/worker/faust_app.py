"""The Faust app of a worker: settings and pace in Faust's own terms."""

from __future__ import annotations

import logging
from typing import Any

import faust
from faust.types import TP

from ruptura import clients
from ruptura.assembly.build import read_topics
from ruptura.core.contracts.record import Record
from ruptura.settings import Settings
from ruptura.worker.checkpoints.changelog import StateTable
from ruptura.worker.pace import NORMAL, Pace
from ruptura.worker.transport.transport import Batching, batching

_METADATA_MS = 5_000
"""How old what is known of topics may be: a broker that has just come back may not know them yet,
and what the leader of the group does not see is assigned to nobody."""
_MOST_BYTES = 16 << 20  # of a message: as the changelog topic takes, see `ruptura topics create`


class App(faust.App):
    """Faust's app on our transport."""

    logger = logging.getLogger("faust.app.ruptura")  # level and form of Faust's own
    batching: Batching

    def _create_directories(self) -> None:
        """Make none: tables are in memory, so nothing would be in them."""

    def _new_transport(self) -> Any:
        return batching(self, self.batching)


def make_app(settings: Settings, partitions: int, web_port: int, pace: Pace = NORMAL) -> App:
    """Make the app; nothing runs yet.

    Args:
        settings: Of the worker.
        partitions: How many partitions the input topics have.
        web_port: Port of the web server.
        pace: How much it fetches, and how long it waits.
    """
    worker, kafka = settings.worker, settings.kafka
    App.batching = Batching(
        topics=frozenset(read_topics(settings)),
        make=to_record,
        most_bytes=pace.max_fetched_bytes,
        fetch_max_wait_seconds=pace.fetch_max_wait_seconds,
    )
    return App(
        kafka.group_id,
        broker=clients.faust_brokers(kafka),
        broker_credentials=credentials(settings),
        broker_session_timeout=kafka.session_timeout_seconds,
        broker_heartbeat_interval=kafka.session_timeout_seconds / 5.0,
        broker_rebalance_timeout=kafka.session_timeout_seconds,
        broker_request_timeout=max(30.0, 2.0 * kafka.session_timeout_seconds),
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=_METADATA_MS,
        producer_acks=-1,
        producer_max_request_size=_MOST_BYTES,
        store="memory://",
        Table=StateTable,
        table_standby_replicas=worker.standby_replicas,
        topic_partitions=partitions,
        topic_allow_declare=False,  # `ruptura topics create` makes them, and says what differs
        topic_disable_leader=True,
        stream_wait_empty=False,
        web_bind=worker.web_host,
        web_host=worker.web_host,
        web_port=web_port,
        web_in_thread=False,
        autodiscover=False,
    )


def credentials(settings: Settings) -> Any:
    """Return what Faust shows to brokers; None where they want nothing."""
    kafka = settings.kafka
    context = clients.ssl_context(kafka)
    sasl = clients.sasl_credentials(kafka)
    if sasl is not None:
        mechanism, username, password = sasl
        return faust.SASLCredentials(
            mechanism=mechanism, username=username, password=password, ssl_context=context
        )
    return None if context is None else faust.SSLCredentials(context)


def to_record(tp: TP, raw: Any) -> Record:
    """Make a record of one of aiokafka's."""
    headers = raw.headers
    return Record(
        tp.topic,
        tp.partition,
        raw.offset,
        raw.timestamp / 1000.0,
        raw.key,
        raw.value,
        tuple((name, value or b"") for name, value in headers) if headers else (),
    )
