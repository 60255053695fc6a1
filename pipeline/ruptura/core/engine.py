"""The engine: records and ticks in, effects out. Every shell drives this one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ruptura.core import snapshot
from ruptura.core.admission import admit
from ruptura.core.effects import Effects
from ruptura.core.event import Reason, Rejection
from ruptura.core.partition import Config, Partition, Plan, TopicKind
from ruptura.core.record import Input, Record, Tick

__all__ = ["Config", "Engine", "Plan", "TopicKind"]


class Engine:
    """Turns inputs into effects; deterministic, and total: no record makes it raise.

    The outcome depends only on the order of the records within each topic partition, not on how
    partitions and topics are interleaved, nor on how inputs are cut into steps.

    Args:
        config: What it is made of.
    """

    VERSION = snapshot.VERSION

    def __init__(self, config: Config) -> None:
        self._config = config
        self._partitions: dict[int, Partition] = {}

    def step(self, inputs: Iterable[Input]) -> Effects:
        """Take inputs in order and return what they lead to."""
        effects = Effects()
        run: list[Record] = []
        topic, number = "", -1
        for item in inputs:
            if isinstance(item, Tick):
                self._consume(topic, number, run, effects)
                run.clear()
                if item.topic in self._config.topics:
                    self._partition(item.partition).tick(item, effects)
                continue
            if item.partition != number or item.topic != topic:
                self._consume(topic, number, run, effects)
                run.clear()
                topic, number = item.topic, item.partition
            run.append(item)
        self._consume(topic, number, run, effects)
        for held, partition in self._partitions.items():
            for name, source in partition.watermark.sources.items():
                if source.newest > 0.0:
                    effects.event_times[name, held] = source.newest
        return effects

    def _consume(
        self, topic: str, number: int, records: Sequence[Record], effects: Effects
    ) -> None:
        """Take records of one source."""
        if not records:
            return
        effects.consumed[topic] = effects.consumed.get(topic, 0) + len(records)
        kind = self._config.topics.get(topic)
        if kind is None:
            text = f"Not an input: {topic} - at `$`"
            effects.rejections.extend(Rejection(r, Reason.UNKNOWN_TOPIC, text) for r in records)
            return
        partition = self._partition(number)
        source = partition.watermark.sources[topic]
        for record in records:
            if record.offset >= source.position:
                source.position = record.offset + 1
            admit(record, kind, partition, source, effects)

    def _partition(self, number: int) -> Partition:
        partition = self._partitions.get(number)
        if partition is None:
            partition = self._partitions[number] = Partition(self._config)
        return partition

    def position(self, topic: str, partition: int) -> int | None:
        """Return the next offset of a source that the state does not reflect, if any is known."""
        held = self._partitions.get(partition)
        source = held.watermark.sources.get(topic) if held is not None else None
        return source.position if source is not None and source.position > 0 else None

    def partitions(self) -> Sequence[int]:
        """Return the partitions with state."""
        return tuple(self._partitions)

    def services(self, partition: int, *, changed: bool = False) -> Sequence[str]:
        """Return the services of a partition, or only those changed since their last dump."""
        held = self._partitions.get(partition)
        if held is None:
            return ()
        return tuple(s.name for s in held.services.values() if s.dirty or not changed)

    def dump(self, partition: int, service: str) -> bytes:
        """Return the state of a service as MessagePack; KeyError if there is none."""
        held = self._partitions[partition]
        held.services[service].dirty = False
        return snapshot.dump_service(held, held.services[service])

    def load(self, partition: int, service: str, state: bytes) -> None:
        """Take the state of a service back.

        Raises:
            ValueError: the bytes are damaged, of another version, or shaped by other settings.
        """
        snapshot.load_service(self._partition(partition), service, state)

    def dump_clock(self, partition: int) -> bytes:
        """Return the clocks of a partition as MessagePack; KeyError if there are none."""
        held = self._partitions[partition]
        held.dirty = False
        return snapshot.dump_clock(held)

    def load_clock(self, partition: int, state: bytes) -> None:
        """Take the clocks of a partition back; ValueError as `load`."""
        snapshot.load_clock(self._partition(partition), state)

    def forget(self, partition: int) -> Sequence[tuple[str, str]]:
        """Drop a partition that another worker owns now; return its channels."""
        held = self._partitions.pop(partition, None)
        if held is None:
            return ()
        return [(s.name, name) for s in held.services.values() for name in s.channels]
