"""What is done to workers under load: to plain ones, and to those that repartition."""

from __future__ import annotations

from tests.integration.crash.fleet import Fleet
from tests.integration.crash.moments import MOMENTS
from tests.integration.crash.round import Round, make_changelog_anew
from tests.integration.kafka_server import KafkaServer
from tests.integration.workers import PARTITIONS


def adopted(fleet: Fleet, name: str) -> set[int]:
    """The partitions that a worker was given since its start, of those that it ever had."""
    return {said["partition"] for said in fleet[name].said("partition adopted")}


def kill_at_every_moment(played: Round) -> None:
    """Kill one of two workers again and again, each time at another point of its work."""
    fleet = played.fleet
    fleet.start("one")
    fleet.start("two")
    moments = list(MOMENTS)
    played.chance.shuffle(moments)
    while played.is_under_load and moments:
        fleet.crash(played.chance.choice(("one", "two")), moments.pop())


def add_one_and_remove_one(played: Round) -> None:
    """Let a second worker join, then have the first leave."""
    fleet = played.fleet
    fleet.start("one")
    fleet.wait_ready()
    fleet.start("two")
    fleet.wait_ready()
    assert fleet.wait(lambda: len(adopted(fleet, "two")) == PARTITIONS // 2)
    assert played.is_under_load
    fleet.stop("one")
    assert fleet.wait(lambda: len(adopted(fleet, "two")) == PARTITIONS)


def make_a_zombie(played: Round) -> None:
    """Stop a worker until its session times out and another has gone on; let it continue."""
    fleet = played.fleet
    fleet.start("zombie")
    fleet.start("heir")
    fleet.wait_ready()
    fleet.freeze("zombie")
    assert fleet.wait(lambda: len(adopted(fleet, "heir")) == PARTITIONS)
    taken = fleet["heir"].counter("ruptura_events_consumed_total")
    assert fleet.wait(lambda: fleet["heir"].counter("ruptura_events_consumed_total") > taken + 1000)
    fleet.thaw("zombie")


def kill_the_broker(played: Round, broker: KafkaServer) -> None:
    """Kill the only broker and start it again."""
    fleet = played.fleet
    fleet.start("one")
    fleet.start("two")
    fleet.wait_ready()
    assert played.is_under_load
    broker.kill()
    broker.start()


def delete_the_changelog(played: Round) -> None:
    """Kill all workers, take their state from them, and start others."""
    fleet = played.fleet
    fleet.start("one")
    fleet.start("two")
    fleet.wait_ready()
    for name in fleet.names:
        fleet.kill(name)
    make_changelog_anew(played.settings)
    fleet.start("three")
    fleet.start("four")
