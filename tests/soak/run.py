"""Rounds of random faults on real Kafka, for as long as one likes: `make soak`.

Each round publishes a recording to fresh topics while workers are killed, stopped, paused and
added, and the broker is killed, by a seeded schedule. Then alerts, dead letters and state are
compared with those of an undisturbed replay. What it takes to look into a difference (logs,
recording, seed) stays in `build/soak/`.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path

import click
import msgspec

from ruptura.assembly.build import changelog_topic
from tests.integration.conftest import settings_for
from tests.integration.crash.fleet import Tell
from tests.integration.crash.load import patient
from tests.integration.crash.moments import MOMENTS
from tests.integration.crash.round import Round, make_changelog_anew
from tests.integration.kafka_server import KafkaServer
from tests.integration.workers import alerts_on, read_topic

ROOT = Path(__file__).resolve().parents[2]
_HOME = ROOT / "build" / "soak"
_ROUND_SECONDS = 90.0
_SESSION_SECONDS = 6.0  # after which the group takes a worker for dead

_FAULTS = {"kill": 70, "kill all": 5, "come or go": 9, "pause": 7, "kill broker": 5, "no state": 4}
"""What happens, and how often in a hundred."""


class Soak:
    """The rounds, and what came of them.

    Args:
        broker: Is killed too.
        tell: Is told what is done.
        seconds: How long a round publishes.
    """

    def __init__(self, broker: KafkaServer, tell: Tell, seconds: float = _ROUND_SECONDS) -> None:
        self._broker = broker
        self._tell = tell
        self._seconds = seconds
        self.counts: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.found: list[str] = []

    def play(self, seed: int) -> None:
        """Play one round."""
        folder = _HOME / f"seed-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        settings = patient(settings_for(self._broker.bootstrap_servers, f"soak-{seed}"))
        self._tell(f"round {self.counts['rounds'] + 1}, seed {seed}")
        began = len(self.found)
        with Round(settings, seed, self._seconds, folder, self._tell) as played:
            try:
                self._disturb(played)
                self._tell("the recording is published; waiting for the workers")
                found = played.settle()
            except (AssertionError, OSError) as error:
                found = [f"stuck: {error}"]
            if found:
                _keep_the_state(played, folder)
            self.found += [f"seed {seed}: {text}" for text in found]
            self._count(played)
        for text in self.found[began:]:
            self._tell(f"DIFFERENCE {text[:2000]}")
        if len(self.found) == began:
            self._tell(f"no difference in {len(played.expected.outcome.alerts)} alerts")
            shutil.rmtree(folder, ignore_errors=True)

    def _count(self, played: Round) -> None:
        fleet = played.fleet
        self.kills += fleet.kills
        self.counts += fleet.did
        self.counts["rounds"] += 1
        self.counts["records"] += played.records
        self.counts["alerts compared"] += len(played.expected.outcome.alerts)
        self.counts["documents on the topic"] += len(alerts_on(played.settings))
        self.counts["ended by themselves"] += len(fleet.ended)

    def _disturb(self, played: Round) -> None:
        fleet, chance = played.fleet, played.chance
        fleet.start("one")
        fleet.start("two")
        while played.is_under_load:
            time.sleep(chance.uniform(0.5, 5.0))
            fleet.tend()
            [kind] = chance.choices(list(_FAULTS), list(_FAULTS.values()))
            name = chance.choice(fleet.names)
            match kind:
                case "kill":
                    fleet.crash(name, chance.choice(MOMENTS))
                case "kill all":
                    for each in fleet.names:
                        fleet.crash(each)
                case "come or go":
                    self._come_or_go(played, name)
                case "pause":
                    fleet.freeze(name)
                    time.sleep(_SESSION_SECONDS + chance.uniform(-4.0, 6.0))
                    fleet.thaw(name)
                case "kill broker":
                    self._tell("broker: killed")
                    self._broker.kill()
                    self.counts["broker kills"] += 1
                    time.sleep(chance.uniform(0.0, 5.0))
                    self._broker.start()
                case _:
                    self._lose_the_state(played)

    def _come_or_go(self, played: Round, name: str) -> None:
        fleet = played.fleet
        if "three" in fleet.names:
            fleet.stop(name)
            if name != "three":
                fleet.start(name)
        else:
            self._tell("three: added")
            self.counts["workers added"] += 1
            fleet.start("three")

    def _lose_the_state(self, played: Round) -> None:
        fleet = played.fleet
        names = fleet.names
        for name in names:
            fleet.kill(name)
        make_changelog_anew(played.settings)
        self._tell("the changelog is deleted and made anew")
        self.counts["changelogs deleted"] += 1
        for name in names:
            fleet.start(name)


def _keep_the_state(played: Round, folder: Path) -> None:
    topic = changelog_topic(played.settings)
    with (folder / "changelog.jsonl").open("wb") as stream:
        for record in read_topic(played.settings, topic):
            stream.write(msgspec.json.encode(record) + b"\n")


@click.command()
@click.option("--minutes", type=float, default=30.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first round.")
def main(minutes: float, seed: int) -> None:
    """Disturb workers and a broker at random, and compare what is left with a replay."""
    began = time.monotonic()

    def tell(text: str) -> None:
        click.echo(f"{time.monotonic() - began:7.1f} s  {text}")

    shutil.rmtree(_HOME, ignore_errors=True)
    with KafkaServer(ROOT / "build", _HOME / "kafka") as broker:
        soak = Soak(broker, tell)
        first = seed
        while seed == first or time.monotonic() - began < minutes * 60.0:
            soak.play(seed)
            seed += 1
    took = time.monotonic() - began
    click.echo(f"\n{took / 60.0:.1f} minutes, seeds {first} to {seed - 1}")
    for name, number in sorted(soak.counts.items()):
        click.echo(f"{number:9} {name}")
    click.echo(
        f"{soak.kills.total():9} kills of workers: "
        + ", ".join(f"{number} {moment}" for moment, number in sorted(soak.kills.items()))
    )
    click.echo(f"{len(soak.found):9} differences" + (f", see {_HOME}" if soak.found else ""))
    for text in soak.found:
        click.echo(f"          {text[:300]}")
    raise SystemExit(1 if soak.found else 0)


if __name__ == "__main__":
    main()
