"""The limit: aiokafka's `getmany`, and nothing done with the records."""

from __future__ import annotations

import asyncio
import sys

from aiokafka import AIOKafkaConsumer

from tests.bench.baselines.progress import Progress


async def consume(servers: str, topic: str, group: str) -> None:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers, group_id=group, auto_offset_reset="earliest"
    )
    await consumer.start()
    progress = Progress()
    while True:
        batches = await consumer.getmany(timeout_ms=200)
        progress.add(sum(map(len, batches.values())))


if __name__ == "__main__":
    asyncio.run(consume(*sys.argv[1:4]))
