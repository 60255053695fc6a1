"""Faust's Kafka driver, made to read as we need it.

Where the stock driver of faust-streaming 0.15.3 differs:

- It lets the broker hold a fetch for 1.5 seconds, and an alert then waits that long for nothing.
- It hands out records of aborted transactions.
- It drops records below an offset that it notes itself, so that a seek back is undone by what is
  still under way from before. `Intake` judges offsets instead.
- It commits what was acknowledged message by message. We commit positions, those that the saved
  state reflects.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

_logger = logging.getLogger("faust.transport.ruptura")  # level and form of Faust's own


class _NoOffsets(dict[TP, int | None]):
    """Offsets that the driver notes and nobody heeds."""

    def __getitem__(self, _tp: TP) -> None:
        return None


class _Thread(driver.AIOKafkaConsumerThread):
    logger = _logger
    fetch_max_wait_ms: int = 500

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Read by aiokafka 0.14 when the consumer starts, which is later; Faust has no settings.
        for name, value in (
            ("_fetch_max_wait_ms", self.fetch_max_wait_ms),
            ("_isolation_level", "read_committed"),
        ):
            if not hasattr(consumer, name):
                raise RuntimeError(f"aiokafka has moved {name}")
            setattr(consumer, name, value)
        return consumer


class Consumer(driver.Consumer):
    """Reads the input topics and, while state is restored, the changelog."""

    logger = _logger
    fetch_max_wait_ms: ClassVar[int] = 500

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._read_offset = _NoOffsets()

    def _new_consumer_thread(self) -> _Thread:
        thread = _Thread(self, loop=self.loop, beacon=self.beacon)
        thread.fetch_max_wait_ms = self.fetch_max_wait_ms
        return thread

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leave it to our health: Faust's watch compares wall-clock with monotonic times."""

    def committed(self, tp: TP) -> int | None:
        """Return the offset at which the group would go on, as known since the assignment."""
        return self._committed_offset.get(tp)

    def end(self, tp: TP) -> tuple[float, int] | None:
        """Return when the broker last answered for a partition, and its end by then.

        Returns:
            The time in seconds since the Unix epoch, and the offset after the last record that
            can be read (open transactions are behind it); None before the first answer.
        """
        reader = self._thread._ensure_consumer()  # noqa: SLF001 - Faust has no accessor
        if tp not in self.assignment():
            return None
        answered = reader.last_poll_timestamp(tp)  # before the offset, which may only be newer
        end = reader.last_stable_offset(tp)
        if end is None or end < 0:  # a broker that knows no transactions
            end = reader.highwater(tp)
        return None if answered is None or end is None else (answered / 1000.0, end)

    async def commit_positions(self, positions: Mapping[TP, int]) -> None:
        """Commit, as far as the partitions are still ours."""
        ahead = {
            tp: position
            for tp, position in positions.items()
            if position > (self._committed_offset.get(tp) or 0)
        }
        if ahead:
            await self._commit_offsets(ahead)


def transport_for(app: faust.App, fetch_max_wait_seconds: float) -> driver.Transport:
    """Return the transport of an app.

    Args:
        app: Its settings name the brokers.
        fetch_max_wait_seconds: Longest wait of the broker for more records.
    """

    class QuickConsumer(Consumer):
        fetch_max_wait_ms: ClassVar[int] = max(1, round(fetch_max_wait_seconds * 1000))

    class Transport(driver.Transport):
        Consumer: ClassVar[type] = QuickConsumer

    return Transport(app.conf.broker_consumer, app)
