"""With what topics are created, beyond their names and partitions, which are settings."""

from __future__ import annotations

from typing import Final

import msgspec

REPLICATION_FACTOR: Final = 1
"""As many copies as every cluster can hold, a single broker too; in production give 3."""

RETENTION_SECONDS: Final = 604_800
"""A week, as Kafka's own default: with the changelog lost, so much is learned again."""

OUTPUT_RETENTION_SECONDS: Final = 2_592_000
"""30 days, for audits and repairs."""


class TopicOptions(msgspec.Struct, frozen=True):
    """What `ruptura topics` is asked for; None is not asked for.

    What is not asked for has the default above in topics that are created, and is not compared in
    those that exist: it is the business of whoever made them.

    Attributes:
        replication_factor: Copies of each record.
        retention_seconds: Of the input topics.
        output_retention_seconds: Of alerts and dead letters.
    """

    replication_factor: int | None = None
    retention_seconds: int | None = None
    output_retention_seconds: int | None = None
