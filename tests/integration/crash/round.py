"""One round: fresh topics, a recording published under way, faults meanwhile, and the verdict."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from typing import Self

from kafka import KafkaAdminClient

from ruptura.assembly.build import changelog_topic
from ruptura.settings import Settings
from ruptura.tools import topics
from tests.integration.crash.fleet import Fleet, Tell
from tests.integration.crash.load import Undisturbed, recorded, undisturbed
from tests.integration.crash.verdict import Committed, differences
from tests.integration.publisher import Publisher
from tests.integration.workers import alerts_on

_AHEAD = 0.1  # of the records are there before the first worker starts for the first time


class Round:
    """Publishes, and judges at the end; what happens in between is the caller's.

    Args:
        settings: With names of topics that nobody has used; they are created.
        seed: Of the recording and of the moments.
        seconds: How long the publishing takes.
        folder: For the recording and the logs.
        tell: Is told what is done.

    Attributes:
        chance: Seeded, for the caller too.
        fleet: The workers; none runs yet.
        publisher: Runs inside the `with`.
        expected: What the topics must hold at the end.
        records: How many records are published.
    """

    def __init__(
        self,
        settings: Settings,
        seed: int,
        seconds: float,
        folder: Path,
        tell: Tell = lambda _: None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.chance = Random(seed)
        told = recorded(seed, settings)
        self.records = len(told)
        self.expected: Undisturbed = undisturbed(told, settings, folder)
        self.fleet = Fleet(settings, folder, self.chance, tell)
        self.publisher = Publisher(settings, told, seconds, round(len(told) * _AHEAD))
        assert topics.create(settings).ok

    def __enter__(self) -> Self:
        self.publisher.start()
        self.publisher.wait_ahead()
        return self

    def __exit__(self, *_: object) -> None:
        self.fleet.end()
        self.publisher.stop()

    @property
    def is_under_load(self) -> bool:
        """Whether records are still being published."""
        return self.publisher.is_alive()

    def settle(self) -> list[str]:
        """Wait until all is published, read and saved, stop the workers; return what differs."""
        self.publisher.finish()
        committed = Committed(self.settings, self.expected.ends)
        found = [] if self.fleet.wait(committed.all) else committed.missing()
        if not self.fleet.wait(self._is_told, 20.0):
            found.append("not every alert is on the topic")
        for name in self.fleet.names:
            self.fleet.stop(name)
        return found + differences(self.settings, self.expected)

    def _is_told(self) -> bool:
        outcome = self.expected.outcome
        return outcome.alerts.keys() <= outcome.comparable(alerts_on(self.settings)).keys()


def make_changelog_anew(settings: Settings) -> None:
    """Delete the changelog, with all state in it, and create it again."""
    name = changelog_topic(settings)
    with KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers) as admin:
        admin.delete_topics([name])
        while name in admin.list_topics():
            time.sleep(0.05)
    assert topics.create(settings).ok
