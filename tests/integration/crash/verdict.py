"""Whether what workers left on the topics is what an undisturbed engine leads to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from ruptura.assembly.build import build_engine, changelog_topic
from ruptura.core.contracts.record import Tick
from ruptura.core.engine import Engine
from ruptura.core.state import EVENT_IDS, load_clocks, load_service
from ruptura.settings import Settings
from ruptura.worker.checkpoints.checkpoint import Checkpoints
from ruptura.worker.checkpoints.fenced_changelog import FencedChangelog, epoch_of
from tests.integration.crash.load import Position, Undisturbed
from tests.integration.workers import PARTITIONS, alerts_on, read_topic, seconds

_CARRIED_ON = 3600.0  # seconds of broker time, more than a test takes after its last record


class Committed:
    """Looks how far a group has committed.

    Args:
        settings: Of the group.
        ends: Offset after the last record, by topic and partition.
    """

    def __init__(self, settings: Settings, ends: dict[tuple[str, int], int]) -> None:
        self._settings = settings
        self._ends = ends

    def all(self) -> bool:
        """Whether every record is committed, and so is in the state."""
        return not self.missing()

    def missing(self) -> list[str]:
        """What is not committed yet, by source."""
        try:
            with KafkaConsumer(
                bootstrap_servers=self._settings.kafka.bootstrap_servers,
                group_id=self._settings.kafka.group_id,
            ) as consumer:
                found = {
                    source: consumer.committed(TopicPartition(*source)) for source in self._ends
                }
        except KafkaError as error:  # a broker that has just come back
            return [f"the broker does not say: {error!r}"]
        return [
            f"committed {found[source]} of {end} in {source}"
            for source, end in self._ends.items()
            if (found[source] or 0) < end
        ]


def differences(settings: Settings, expected: Undisturbed) -> list[str]:
    """Compare alerts, dead letters and state; return what differs, empty if nothing does."""
    return [
        *_contradictions(alerts_on(settings)),
        *_alerts(alerts_on(settings), expected),
        *_dead_letters(settings, expected.bad),
        *state_differences(restored(settings), expected.engine),
    ]


def _contradictions(documents: Iterable[bytes]) -> Iterator[str]:
    """Two documents of one alert and sequence, of whatever time, must be the same."""
    seen: dict[tuple[str, int], bytes] = {}
    for document in documents:
        former = seen.setdefault(_identity(document), document)
        if former != document:
            yield f"two documents of one alert and sequence: {former!r} and {document!r}"


def _alerts(documents: Iterable[bytes], expected: Undisturbed) -> Iterator[str]:
    until = expected.outcome.until
    found = {_identity(d): d for d in documents if seconds(json.loads(d)["updated_at"]) <= until}
    wanted = expected.outcome.alerts
    for identity in sorted(found.keys() | wanted.keys()):
        ours, theirs = found.get(identity), wanted.get(identity)
        if ours != theirs:
            yield f"alert {identity}: {ours!r} on the topic, {theirs!r} in the replay"


def _identity(document: bytes) -> tuple[str, int]:
    alert = json.loads(document)
    return alert["alert_id"], alert["sequence"]


def _dead_letters(settings: Settings, bad: set[Position]) -> Iterator[str]:
    letters = [json.loads(r.value) for r in read_topic(settings, settings.topics.dead_letter)]
    found = {(letter["topic"], letter["partition"], letter["offset"]) for letter in letters}
    for position in sorted(found ^ bad):
        yield f"dead letter of {position}: " + ("not expected" if position in found else "absent")


def restored(settings: Settings) -> Engine:
    """An engine with the state that a worker would have that started now."""
    changelogs: dict[int, FencedChangelog] = {}
    for record in read_topic(settings, changelog_topic(settings)):
        changelogs.setdefault(record.partition, FencedChangelog()).apply(
            record.offset, record.key, record.value, epoch_of(record.headers)
        )
    engine = build_engine(settings)
    checkpoints = Checkpoints(engine)
    for partition, changelog in changelogs.items():
        _, refused = checkpoints.restore(partition, changelog.entries)
        assert not refused, f"{refused} entries of partition {partition} are refused"
    return engine


def state_differences(found: Engine, wanted: Engine) -> Iterator[str]:
    """Compare the states of all services, carried on to one moment after the last record.

    They hold what was counted: open buckets, open tickets, what every series has learned, and
    the offsets. Event_ids are left out, since ticks decide when old ones are forgotten.
    """
    for partition in range(PARTITIONS):
        ours, theirs = _carried_on(found, partition), _carried_on(wanted, partition)
        for service in sorted(ours.keys() | theirs.keys()):
            one, other = ours.get(service), theirs.get(service)
            if one != other:
                yield f"state of {service} in partition {partition}: {_first(one, other)}"


def _carried_on(engine: Engine, partition: int) -> dict[str, Any]:
    if partition not in engine.partitions():
        return {}
    clocks = load_clocks(_shape(engine.dump_clock(partition)), engine.dump_clock(partition))
    engine.step(
        [
            Tick(topic, partition, source.newest_at + _CARRIED_ON)
            for topic, source in clocks.sources.items()
            if source.next_offset
        ]
    )
    return {
        service: _plain(engine.dump(partition, service)) for service in engine.services(partition)
    }


def _shape(state: bytes) -> str:
    return str(msgspec.msgpack.decode(state)[1])


def _plain(state: bytes) -> Any:
    """A state as plain objects, by component."""
    found = load_service(_shape(state), state)
    assert not found.refused
    plain = msgspec.to_builtins(found.components, str_keys=True)
    del plain[EVENT_IDS]
    return {"progress": msgspec.to_builtins(found.progress, str_keys=True), **plain}


def _first(ours: Any, theirs: Any, path: str = "$") -> str:
    """The first place where two plain states differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys(), key=str):
            if ours.get(key) != theirs.get(key):
                return _first(ours.get(key), theirs.get(key), f"{path}.{key}")
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if one != other:
                return _first(one, other, f"{path}[{number}]")
    return f"{str(ours)[:120]} instead of {str(theirs)[:120]} - at `{path}`"
