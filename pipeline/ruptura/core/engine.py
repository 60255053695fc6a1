"""The engine: records and ticks in, effects out. Every shell drives this one."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from ruptura.core import snapshot
from ruptura.core.admission import admit
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import Reason, Rejection
from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.core.partition import Config, Partition, Plan

__all__ = ["Config", "Engine", "Plan"]

_RECORDS: Final = 1000
"""Records after which a portion of work is enough: they take some 3 ms, twice as many at most."""


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
        self._is_amid = False  # between two portions of a step
        self._forgotten: set[int] = set()  # since the step began

    def retune(self, config: Config) -> None:
        """Go on with other parts, between two steps: what is learned, suspected and open stays.

        From here on all is as if the state had been dumped and loaded into an engine of these
        parts. What channels that begin have learned elsewhere stays what it was, too.

        Args:
            config: The parts; of the same shape and topics. Its history is not used.

        Raises:
            RuntimeError: in the middle of `steps`.
            ValueError: shape or topics are others, or a state does not fit. Nothing has changed.
        """
        self._check_settled()
        former = self._config
        if config.shape != former.shape or config.topics != former.topics:
            raise ValueError("other settings shape the state, or other topics are read")
        config = msgspec.structs.replace(config, history=former.history)
        held = self._partitions.values()
        found = [(partition, partition.forecasters_under(config)) for partition in held]
        # From here on nothing can fail.
        for partition, forecasters in found:
            partition.retune(config, forecasters)
        self._config = config

    def step(self, inputs: Iterable[Input]) -> Effects:
        """Take inputs in order and return what they lead to.

        Raises:
            RuntimeError: the portions of an earlier call were not all taken.
        """
        effects = Effects()
        for _ in self._work(inputs, effects):
            pass
        return effects

    def steps(self, inputs: Iterable[Input]) -> Iterator[Effects]:
        """As `step`, in portions of some 10 ms of work, so that others can work in between.

        The portions put together are what `step` returns. State may be dumped, and further inputs
        be taken, only once the last portion was taken: before, the state is that of no moment.
        A partition may be forgotten in between; what is left of its inputs is passed over.

        Yields:
            Effects; at least once.

        Raises:
            RuntimeError: the portions of an earlier call were not all taken.
        """
        effects = Effects()
        for _ in self._work(inputs, effects):
            yield _cut(effects)
        yield effects

    def _work(self, inputs: Iterable[Input], effects: Effects) -> Iterator[None]:
        """Take inputs in order, and yield where a portion can end."""
        self._check_settled()
        self._is_amid = True
        for item in _runs(inputs):
            if isinstance(item, Tick):
                if item.topic in self._config.topics and item.partition not in self._forgotten:
                    yield from self._partition(item.partition).tick(item, effects)
            elif item[0].partition not in self._forgotten:
                yield from self._consume(item, effects)
        for held, partition in self._partitions.items():
            for name, source in partition.watermark.sources.items():
                if source.newest > 0.0:
                    effects.event_times[name, held] = source.newest
        self._is_amid = False
        self._forgotten.clear()

    def _check_settled(self) -> None:
        if self._is_amid:
            raise RuntimeError("the portions of a step were not all taken")

    def _consume(self, records: Sequence[Record], effects: Effects) -> Iterator[None]:
        """Take records of one source."""
        topic = records[0].topic
        effects.consumed[topic] = effects.consumed.get(topic, 0) + len(records)
        kind = self._config.topics.get(topic)
        if kind is None:
            text = f"Not an input: {topic} - at `$`"
            effects.rejections.extend(Rejection(r, Reason.UNKNOWN_TOPIC, text) for r in records)
            return
        yield from admit(records, kind, self._partition(records[0].partition), effects)
        if sum(effects.consumed.values()) >= _RECORDS:
            yield

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
        return tuple(held.changed if changed else held.services)

    def dump(self, partition: int, service: str) -> bytes:
        """Return the state of a service as MessagePack.

        Raises:
            KeyError: there is no such service.
            RuntimeError: in the middle of `steps`.
        """
        self._check_settled()
        held = self._partitions[partition]
        live = held.services[service]
        held.unmark(live)
        return snapshot.dump_service(held, live)

    def load(self, partition: int, service: str, state: bytes) -> None:
        """Take the state of a service back.

        Raises:
            ValueError: the bytes are damaged, of another version, or shaped by other settings.
        """
        snapshot.load_service(self._partition(partition), service, state)

    def dump_clock(self, partition: int) -> bytes:
        """Return the clocks of a partition as MessagePack.

        Raises:
            KeyError: there are none.
            RuntimeError: in the middle of `steps`.
        """
        self._check_settled()
        return snapshot.dump_clock(self._partitions[partition])

    def load_clock(self, partition: int, state: bytes) -> None:
        """Take the clocks of a partition back; ValueError as `load`."""
        snapshot.load_clock(self._partition(partition), state)

    def forget(self, partition: int) -> Sequence[tuple[str, str]]:
        """Drop a partition that another worker owns now; return its channels."""
        if self._is_amid:
            self._forgotten.add(partition)
        held = self._partitions.pop(partition, None)
        if held is None:
            return ()
        return [(s.name, name) for s in held.services.values() for name in s.channels]


def _runs(inputs: Iterable[Input]) -> Iterator[Tick | list[Record]]:
    """Put records of one source that follow each other together, up to a portion of them."""
    run: list[Record] = []
    topic, number = "", -1
    for item in inputs:
        if type(item) is Tick:
            if run:
                yield run
                run = []
            yield item
            continue
        if item.partition != number or item.topic != topic or len(run) >= _RECORDS:
            if run:
                yield run
                run = []
            topic, number = item.topic, item.partition
        run.append(item)
    if run:
        yield run


def _cut(effects: Effects) -> Effects:
    """Return what effects hold, and empty them."""
    portion = copy.copy(effects)
    for name, empty in msgspec.structs.asdict(Effects()).items():
        setattr(effects, name, empty)
    return portion
