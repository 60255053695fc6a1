"""Quix Streams: JSON, and a tumbling count by key and minute, its state and changelog on."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from quixstreams import Application

from tests.bench.baselines.progress import Progress


def main(servers: str, topic: str, group: str, folder: str) -> None:
    app = Application(
        broker_address=servers,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=folder,
        loglevel="WARNING",
    )
    progress = Progress()

    windows = 0

    def closed(_: Any) -> None:
        nonlocal windows
        windows += 1
        if windows % 100 == 0:
            sys.stderr.write(f"{windows} windows after {progress.count} records\n")

    def seen(value: Any) -> Any:
        progress.add()
        return value

    events = app.topic(topic, key_deserializer="str", value_deserializer="json")
    frame = app.dataframe(events).apply(seen)
    counts = frame.tumbling_window(timedelta(seconds=60), grace_ms=timedelta(seconds=30)).count()
    counts.final().update(closed)
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:5])
