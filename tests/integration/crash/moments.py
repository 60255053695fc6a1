"""At which moment a worker dies: some are met by chance, others have to be aimed at."""

from __future__ import annotations

from random import Random
from typing import Final, Literal

Aimed = Literal["restoring", "checkpointing", "committing", "alerting"]
"""The worker kills itself: when it fetches, before it sends an entry of the changelog, before or
after it commits, before it sends an alert."""

Moment = Literal["starting", "joining", "stepping", "leaving"] | Aimed

AIMED: Final[tuple[Aimed, ...]] = ("restoring", "checkpointing", "committing", "alerting")
MOMENTS: Final[tuple[Moment, ...]] = ("starting", "joining", "stepping", "leaving", *AIMED)

# aiokafka is what Faust's driver rests on, and changes less than what lies above it.
_DIES: Final = """
import os, signal
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer.fetcher import Fetcher
left, plain = {nth}, {kind}.{method}
async def method(self, *args, **named):
    global left
    if not {suffix!r} or str(args[0] if args else named["topic"]).endswith({suffix!r}):
        left -= 1
        if left == 0:
            if {late}:
                await plain(self, *args, **named)
            os.kill(os.getpid(), signal.SIGKILL)
    return await plain(self, *args, **named)
{kind}.{method} = method
"""


def fault(moment: Moment, chance: Random) -> str | None:
    """Python that makes a worker kill itself at a moment, None where others have to kill it."""
    match moment:
        case "restoring":
            return _dies("Fetcher", "fetched_records", chance.randint(1, 8))
        case "checkpointing":
            return _dies("AIOKafkaProducer", "send", chance.randint(1, 12), "-state-changelog")
        case "committing":
            late = chance.random() < 0.3
            return _dies("AIOKafkaConsumer", "commit", chance.randint(1, 4), late=late)
        case "alerting":
            return _dies("AIOKafkaProducer", "send", chance.randint(1, 2), ".alerts")
        case _:
            return None


def _dies(kind: str, method: str, nth: int, suffix: str = "", *, late: bool = False) -> str:
    return _DIES.format(kind=kind, method=method, nth=nth, suffix=suffix, late=late)
