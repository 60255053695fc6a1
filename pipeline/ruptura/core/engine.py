"""The engine: records and ticks in, effects out. Every runner drives this one.

It is pulled: records are ingested until buckets are due, which are then closed, a portion at a
time. What happens to them on the way stands in `ruptura.core.stages`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from ruptura.core import state as states
from ruptura.core.config import Config
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import Reason, Rejection
from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.core.ingest.partition import PartitionBuckets
from ruptura.core.stages import Stages

__all__ = ["Config", "Engine", "runs"]

_RUN: Final = 1000
"""Most records of a run: they take some 3 ms."""


class Engine:
    """Turns inputs into effects; deterministic, and total: no record makes it raise.

    The outcome depends only on the order of the records within each topic partition, not on how
    partitions and topics are interleaved, nor on how inputs are cut into steps.

    Args:
        config: What it is made of.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._partitions: dict[int, Stages] = {}

    # In: records and ticks.

    def ingest(self, records: Sequence[Record]) -> tuple[int, Effects]:
        """Take records until buckets are due.

        Args:
            records: Of one source, in order; at least one.

        Returns:
            How many were taken, and what they led to. If not all were, `due` says what to close
            before the rest is ingested.

        Raises:
            RuntimeError: buckets of their partition are due.
        """
        effects = Effects()
        return self._ingest(records, effects), effects

    def tick(self, tick: Tick) -> Effects:
        """Let time pass for one source, which may make buckets due; RuntimeError as `ingest`."""
        effects = Effects()
        self._tick(tick, effects)
        return effects

    def _ingest(self, records: Sequence[Record], effects: Effects) -> int:
        topic, number = records[0].topic, records[0].partition
        if topic not in self._config.ingest.topics:
            effects.consumed[topic] = effects.consumed.get(topic, 0) + len(records)
            text = f"Not an input: {topic} - at `$`"
            effects.rejections.extend(Rejection(r, Reason.UNKNOWN_TOPIC, text) for r in records)
            return len(records)
        buckets = _settled(self._partition(number)).buckets
        taken = buckets.ingest(records, effects)
        _note_time(effects, buckets, topic, number)
        return taken

    def _tick(self, tick: Tick, effects: Effects) -> None:
        if tick.topic in self._config.ingest.topics:
            buckets = _settled(self._partition(tick.partition)).buckets
            buckets.tick(tick)
            _note_time(effects, buckets, tick.topic, tick.partition)

    # Out: buckets that are due.

    def due(self) -> tuple[int, str] | None:
        """Return a partition and a service of it that has a bucket to close; None: none has.

        Partitions and services are independent of each other, so they may be closed in any order;
        this one is always the same.
        """
        for number, stages in self._partitions.items():
            for service in stages.buckets.due:
                return number, service
        return None

    def close(self, partition: int, service: str) -> Effects:
        """Close the next bucket of a service that is due, or the next portion of a large one.

        It takes some 10 ms at most. As long as `due` names the service there is more to close.

        Raises:
            KeyError: the service has no bucket to close.
        """
        return self._partitions[partition].close(service)

    # Both: the plain way.

    def step(self, inputs: Iterable[Input]) -> Effects:
        """Take inputs in order, close what becomes due, and return all effects.

        Raises:
            RuntimeError: buckets are due.
        """
        self._check_settled()
        effects = Effects()
        for run in runs(inputs):
            if isinstance(run, Tick):
                self._tick(run, effects)
                self._close_all(run.partition, effects)
                continue
            rest: Sequence[Record] = run
            while rest:
                taken = self._ingest(rest, effects)
                self._close_all(rest[0].partition, effects)
                rest = rest[taken:]
        return effects

    def _close_all(self, partition: int, effects: Effects) -> None:
        stages = self._partitions.get(partition)
        if stages is not None:
            due = stages.buckets.due
            while due:
                effects.add(stages.close(next(iter(due))))

    # What is held: configuration, positions, state.

    def reconfigure(self, config: Config) -> None:
        """Replace the configuration, keep the state: what is learned, suspected and open.

        From here on all is as if the state had been dumped and loaded into an engine of this
        configuration. What channels that begin have learned elsewhere stays what it was, too.

        Args:
            config: Of the same shape and topics. Its history is not used.

        Raises:
            RuntimeError: buckets are due.
            ValueError: shape or topics are others, or a state does not fit. Nothing has changed.
        """
        self._check_settled()
        former = self._config
        if config.shape != former.shape or config.ingest.topics != former.ingest.topics:
            raise ValueError("other settings shape the state, or other topics are read")
        ingest = msgspec.structs.replace(config.ingest, known_metrics=former.ingest.known_metrics)
        config = msgspec.structs.replace(config, ingest=ingest, history=former.history)
        held = self._partitions.values()
        found = [(stages, stages.forecasters_under(config.detect)) for stages in held]
        # From here on nothing can fail.
        for stages, forecasters in found:
            stages.reconfigure(config, forecasters)
        self._config = config

    def position(self, topic: str, partition: int) -> int | None:
        """Return the next offset of a source that the state does not reflect, if any is known."""
        stages = self._partitions.get(partition)
        source = stages.buckets.watermark.sources.get(topic) if stages is not None else None
        return source.next_offset if source is not None and source.next_offset > 0 else None

    def partitions(self) -> Sequence[int]:
        """Return the partitions with state."""
        return tuple(self._partitions)

    def services(self, partition: int, *, changed: bool = False) -> Sequence[str]:
        """Return the services of a partition, or only those changed since their last dump."""
        stages = self._partitions.get(partition)
        if stages is None:
            return ()
        return tuple(stages.buckets.changed if changed else stages.buckets.services)

    def dump(self, partition: int, service: str) -> bytes:
        """Return the state of a service as MessagePack.

        Raises:
            KeyError: there is no such service.
            RuntimeError: buckets of the partition are due, so its state is that of no moment.
        """
        return _settled(self._partitions[partition]).dump(service)

    def load(self, partition: int, service: str, state: bytes) -> Sequence[str]:
        """Take the state of a service back; the clocks of its partition are loaded before.

        Returns:
            Which components begin anew, or what of them, and why; none where all is as it was.

        Raises:
            RuntimeError: buckets of the partition are due.
            ValueError: the bytes are damaged, of another version, or shaped by other settings.
        """
        return _settled(self._partition(partition)).load(service, state)

    def dump_clock(self, partition: int) -> bytes:
        """Return the clocks of a partition as MessagePack.

        Raises:
            KeyError: there are none.
            RuntimeError: as `dump`.
        """
        stages = _settled(self._partitions[partition])
        return states.dump_clocks(self._config.shape, stages.buckets.dump())

    def load_clock(self, partition: int, state: bytes) -> None:
        """Take the clocks of a partition back; ValueError and RuntimeError as `load`."""
        stages = _settled(self._partition(partition))
        stages.buckets.load(states.load_clocks(self._config.shape, state))

    def forget(self, partition: int) -> Sequence[tuple[str, str]]:
        """Drop a partition that another worker owns now, with what is due; return its channels."""
        stages = self._partitions.pop(partition, None)
        if stages is None:
            return ()
        services = stages.buckets.services.values()
        return [(service.name, channel) for service in services for channel in service.channels]

    def _partition(self, number: int) -> Stages:
        """Return a partition, new if need be."""
        stages = self._partitions.get(number)
        if stages is None:
            stages = self._partitions[number] = Stages(self._config)
        return stages

    def _check_settled(self) -> None:
        for stages in self._partitions.values():
            _settled(stages)


def _settled(stages: Stages) -> Stages:
    """Return the stages of a partition; RuntimeError if buckets of it are due."""
    if stages.buckets.due:
        raise RuntimeError("buckets are due, and have to be closed first")
    return stages


def _note_time(effects: Effects, buckets: PartitionBuckets, topic: str, partition: int) -> None:
    newest = buckets.watermark.sources[topic].newest
    if newest > 0.0:
        effects.event_times[topic, partition] = newest


def runs(inputs: Iterable[Input]) -> Iterator[Tick | list[Record]]:
    """Put records of one source that follow each other together, at most 1,000 of them."""
    run: list[Record] = []
    topic, number = "", -1
    for item in inputs:
        if type(item) is Tick:
            if run:
                yield run
                run = []
            yield item
            continue
        if item.partition != number or item.topic != topic or len(run) >= _RUN:
            if run:
                yield run
                run = []
            topic, number = item.topic, item.partition
        run.append(item)
    if run:
        yield run
