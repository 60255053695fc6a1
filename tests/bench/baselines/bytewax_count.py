"""Bytewax: JSON, and a tumbling count by key and minute of event time; one worker."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.testing import run_main

from tests.bench.baselines.progress import Progress


def main(servers: str, topic: str) -> None:
    progress = Progress()

    def decoded(message: Any) -> Any:
        return json.loads(message.value)

    def moment(event: Any) -> datetime:
        progress.add()  # here, where an event has come to its window
        return datetime.fromisoformat(event["occurred_at"])

    flow = Dataflow("count")
    records = op.input("in", flow, KafkaSource([servers], [topic], tail=True))
    events = op.map("decode", records, decoded)
    counts = windowing.count_window(
        "count",
        events,
        windowing.EventClock(
            moment,
            wait_for_system_duration=timedelta(seconds=30),
        ),
        windowing.TumblingWindower(
            length=timedelta(seconds=60), align_to=datetime(2026, 1, 1, tzinfo=UTC)
        ),
        key=lambda event: event["service"],
    )
    # A flow needs an output; nothing passes the filter.
    none = op.filter("none", counts.down, lambda _: False)
    op.output("out", op.map("text", none, str), StdOutSink())
    run_main(flow)


if __name__ == "__main__":
    main(*sys.argv[1:3])
