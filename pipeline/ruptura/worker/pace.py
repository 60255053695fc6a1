"""How often a worker does what it does, and how much it takes at once."""

from __future__ import annotations

import msgspec


class Pace(msgspec.Struct, frozen=True):
    """No settings: what users want of time is said by the length of a bucket and its lateness.

    The demo, in which days pass in seconds, has a quicker one.

    Attributes:
        tick_seconds: Between two ticks of partitions that were read to their end: how much later
            than it could a bucket closes when nothing comes.
        checkpoint_seconds: Between two checkpoints: what is done again after a crash. Where
            brokers are slower, checkpoints are, for one begins when the one before has ended.
        fetch_max_wait_seconds: How long a broker may wait for more records before it answers.
            Faust would say 1.5, by which an alert comes later for nothing.
        max_fetched_bytes: Of records fetched and not yet taken in; then fetching waits. Some
            hundred thousand events: less would leave the engine without work, more takes memory
            that each worker must have to spare.
    """

    tick_seconds: float = 1.0
    checkpoint_seconds: float = 1.0
    fetch_max_wait_seconds: float = 0.2
    max_fetched_bytes: int = 64 << 20


NORMAL = Pace()
