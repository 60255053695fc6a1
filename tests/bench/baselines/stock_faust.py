"""Stock Faust as its documentation shows it: an agent, raw bytes, and an empty body."""

from __future__ import annotations

import sys
from typing import Any

import faust

from tests.bench.baselines.progress import Progress


def main(servers: str, topic: str, group: str, folder: str, port: str) -> None:
    app = faust.App(
        group,
        broker=f"kafka://{servers}",
        consumer_auto_offset_reset="earliest",
        key_serializer="raw",
        value_serializer="raw",
        datadir=folder,
        topic_allow_declare=False,  # the topic is there
        topic_disable_leader=True,
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=int(port),
    )
    progress = Progress()

    async def feed(stream: Any) -> None:
        async for _ in stream:
            progress.add()

    app.agent(app.topic(topic, key_type=bytes, value_type=bytes))(feed)
    faust.Worker(app, loglevel="warning", quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:6])
