"""Sends a load to Kafka at a steady rate, a bucket of event time in a fraction of a second.

    python -m tests.bench.pacer LOAD BUCKET_SECONDS SERVERS TICKETS METRICS

Prints how late it was at worst, in milliseconds: a pacer that cannot keep its pace would hide the
latency that it should cause.
"""

from __future__ import annotations

import sys
import time

import msgspec

from ruptura.settings import Settings
from tests.bench.broker import producer, send
from tests.bench.load import MINUTE, Load, messages

_LINGER_MS = 1.0
_REST_SECONDS = 0.001


def main(load_text: str, bucket_seconds: float, servers: str, tickets: str, metrics: str) -> None:
    load = msgspec.json.decode(load_text, type=Load)
    settings = msgspec.convert(
        {
            "kafka": {"bootstrap_servers": servers},
            "topics": {"tickets": tickets, "channel_metrics": metrics},
        },
        Settings,
    )
    ready = list(messages(load))
    client = producer(settings, _LINGER_MS)
    client.list_topics(timeout=10)
    worst = 0.0
    speed = MINUTE / bucket_seconds
    started = time.monotonic() + 0.1
    for message in ready:
        due = started + (message.at - load.start) / speed
        while (ahead := due - time.monotonic()) > 0.0:
            client.poll(0)
            time.sleep(min(ahead, _REST_SECONDS))
        worst = max(worst, -ahead)
        send(client, settings, message)
    client.flush(30)
    sys.stdout.write(f"{worst * 1000:.1f} ms\n")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:6])
