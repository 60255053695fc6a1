"""The way of a record to the partition of its service.

Where producers key by service it is there already (`Direct`). Where they use other keys
(`Repartitioned`) a record is copied to an internal topic, into the partition of its service, with
a header that says where it comes from; read there it is given to the engine as a record of its
*source*, the partition that it was produced to. A source is forwarded in the order of its offsets,
so each internal partition holds, of each source, offsets that grow, but for repetitions, and those
can be told by their offsets. Sources keep clocks of their own: forwarders go at different paces,
and the time of one must not make the records of another late.

How far time has passed for a source is carried by marks, written after all its records.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.event import MAX_DOCUMENT_BYTES, DocumentKind, Name, Rejection
from ruptura.core.contracts.record import Input, Record, Tick, source_of, topic_of

ORIGIN_HEADER: Final = "ruptura-origin"
"""The last header of a copy: MessagePack of the partition, the offset and the key that it had."""

MARKS_HEADER: Final = "ruptura-marks"
"""The header of marks: MessagePack of pairs of partition and time, in seconds since the epoch."""

_SERVICES: Final = 65_536  # whose partitions are remembered

_Number = Annotated[int, Meta(ge=0, le=1 << 53)]
_Time = Annotated[float, Meta(ge=0, le=2.3e11)]


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a copy comes from.

    Attributes:
        partition, offset: Of the record in its topic.
        key: Of the record; None where it had none.
    """

    partition: _Number
    offset: _Number
    key: bytes | None


class _Addressed(msgspec.Struct, gc=False):
    """The part of a document that says where it belongs."""

    service: Name


_encoder = msgspec.msgpack.Encoder()
_origins = msgspec.msgpack.Decoder(Origin)
_marks = msgspec.msgpack.Decoder(list[tuple[_Number, _Time]])
_addresses = msgspec.json.Decoder(_Addressed)


class Route(Protocol):
    """How records of the input topics reach the engine.

    Attributes:
        sources: What the engine reads, by name.
    """

    sources: Mapping[str, DocumentKind]

    def partitions(self, found: Sequence[int]) -> Sequence[int]:
        """Return the partitions that the engine has, where input topics have those found."""

    def route(self, record: Record) -> Record:
        """Return a record as the engine gets it at the end of its way, all at once."""

    def in_terms_of_topics(self, effects: Effects) -> Effects:
        """Return effects with topics where the engine says sources."""


class Direct:
    """The route of records that are keyed by their service: the topics are the sources.

    Args:
        inputs: The input topics by name.
    """

    def __init__(self, inputs: Mapping[str, DocumentKind]) -> None:
        self.sources: Mapping[str, DocumentKind] = dict(inputs)

    def partitions(self, found: Sequence[int]) -> Sequence[int]:
        """Return those that were found."""
        return found

    def route(self, record: Record) -> Record:
        """Return the record itself."""
        return record

    def in_terms_of_topics(self, effects: Effects) -> Effects:
        """Return the effects themselves."""
        return effects


class Repartitioned:
    """Copies records for their way, and reads them when they have arrived.

    Each partition of each input topic is a source.

    Args:
        inputs: The input topics by name.
        topics: Internal topics by input topic.
        partitions: How many partitions each of them has.
        murmur2: Kafka's hash of a key, by which its own clients choose partitions.
    """

    def __init__(
        self,
        inputs: Mapping[str, DocumentKind],
        topics: Mapping[str, str],
        partitions: int,
        murmur2: Callable[[bytes], int],
    ) -> None:
        self.topics = dict(topics)
        self.width = partitions
        self.sources: Mapping[str, DocumentKind] = {
            source_of(topic, number): kind
            for topic, kind in inputs.items()
            for number in range(partitions)
        }
        self._inputs = {internal: topic for topic, internal in topics.items()}

        @lru_cache(maxsize=_SERVICES)
        def home(service: str) -> tuple[bytes, int]:
            key = service.encode()
            return key, (murmur2(key) & 0x7FFFFFFF) % partitions

        self._home = home

    def partitions(self, found: Sequence[int]) -> Sequence[int]:  # noqa: ARG002 - as Route says
        """Return all that the internal topics have."""
        return range(self.width)

    def copy(self, record: Record) -> Record:
        """Return the copy of a record of an input topic; its offset is not known yet.

        A record whose service cannot be read stays in its partition, for the engine to refuse.
        """
        value, key, partition = record.value, record.key, record.partition
        if value is not None and len(value) <= MAX_DOCUMENT_BYTES:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
                key, partition = self._home(_addresses.decode(value).service)
        origin = _encoder.encode(Origin(record.partition, record.offset, record.key))
        return Record(
            self.topics[record.topic],
            partition,
            -1,
            record.timestamp,
            key,
            value,
            (*record.headers, (ORIGIN_HEADER, origin)),
        )

    def mark(self, topic: str, partition: int, watermarks: Mapping[int, float]) -> Record:
        """Return a mark: how far time has passed for the partitions of an input topic.

        Args:
            topic: The input topic.
            partition: Of the internal topic, to which the mark goes.
            watermarks: By partition, as `Tick.now`.
        """
        content = _encoder.encode(list(watermarks.items()))
        now = max(watermarks.values())
        return Record(
            self.topics[topic], partition, -1, now, None, None, ((MARKS_HEADER, content),)
        )

    def arrived(self, copy: Record) -> list[Input]:
        """Return what a record of an internal topic stands for.

        What nobody of us has written is returned as it is: to the engine its topic is no input.
        """
        topic = self._inputs.get(copy.topic)
        name, content = copy.headers[-1] if copy.headers else ("", b"")
        try:
            if topic is not None and name == ORIGIN_HEADER:
                origin = _origins.decode(content)
                if origin.partition < self.width:
                    return [
                        Record(
                            source_of(topic, origin.partition),
                            copy.partition,
                            origin.offset,
                            copy.timestamp,
                            copy.key,
                            copy.value,
                            copy.headers,
                        )
                    ]
            elif topic is not None and name == MARKS_HEADER and copy.value is None:
                return [
                    Tick(source_of(topic, partition), copy.partition, now)
                    for partition, now in _marks.decode(content)
                    if partition < self.width
                ]
        except (msgspec.MsgspecError, UnicodeError):
            pass
        return [copy]

    def route(self, record: Record) -> Record:
        """Return a record as the engine gets it at the end of its way, all at once."""
        if record.topic not in self.topics:
            return record
        [found] = self.arrived(self.copy(record))
        assert isinstance(found, Record)  # noqa: S101 - a copy of a record is one
        return found

    def in_terms_of_topics(self, effects: Effects) -> Effects:
        """Return effects by topic, and refused records as they were produced.

        Of event times the newest of each topic and internal partition is kept.
        """
        event_times: dict[tuple[str, int], float] = {}
        for (source, partition), newest in effects.event_times.items():
            at = topic_of(source), partition
            event_times[at] = max(newest, event_times.get(at, newest))
        return msgspec.structs.replace(
            effects,
            consumed=_by_topic(effects.consumed),
            late=_by_topic(effects.late),
            duplicates=_by_topic(effects.duplicates),
            repeated=_by_topic(effects.repeated),
            rejections=[
                Rejection(_as_produced(each.record), each.reason, each.text)
                for each in effects.rejections
            ],
            event_times=event_times,
        )


def _by_topic(counts: Mapping[str, int]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for source, count in counts.items():
        topic = topic_of(source)
        totals[topic] = totals.get(topic, 0) + count
    return totals


def _as_produced(record: Record) -> Record:
    topic = topic_of(record.topic)
    if topic == record.topic:
        return record  # not one of ours
    *headers, (_, content) = record.headers
    origin = _origins.decode(content)
    return Record(
        topic,
        origin.partition,
        origin.offset,
        record.timestamp,
        origin.key,
        record.value,
        tuple(headers),
    )
