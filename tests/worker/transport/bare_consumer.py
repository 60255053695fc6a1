"""Faust's consumer with our changes, of which only the bookkeeping is set up."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any, ClassVar
from weakref import WeakSet

from faust.types import TP

from ruptura.worker.transport import transport
from ruptura.worker.transport.batch import Batching, Budget

HELD, OTHERS, CHANGELOG = TP("t", 0), TP("t", 1), TP("log", 0)
SETTINGS = Batching(topics=frozenset({"t"}), most_bytes=1_000, fetch_max_wait_seconds=0.07)


class BatchConsumer(transport.Consumer):
    batching: ClassVar[Batching] = SETTINGS


def consumer(reader: object = None) -> Any:
    """Our consumer, of which nothing but what is asked for is set up."""
    bare: Any = object.__new__(BatchConsumer)
    bare._thread = SimpleNamespace(
        _ensure_consumer=lambda: reader,
        assignment=lambda: frozenset({HELD}),
        drop_commits=lambda: None,
    )
    bare.app = SimpleNamespace(
        topics=SimpleNamespace(acks_enabled_for=lambda topic: topic == "t"),
        consumer_generation_id=1,
        monitor=SimpleNamespace(
            track_tp_end_offset=lambda _tp, _offset: None, on_tp_commit=lambda _offsets: None
        ),
    )
    bare._committed_offset = defaultdict(lambda: None, {HELD: 5})
    bare._acked = defaultdict(list)
    bare._acked_index = defaultdict(set)
    bare._gap = defaultdict(list)
    bare._unacked_messages = WeakSet()
    bare._waiting_for_ack = None
    bare._delivered = {}
    bare._budget = Budget(SETTINGS.most_bytes)
    return bare
