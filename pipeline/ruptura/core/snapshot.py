"""State as bytes and back: explicit, versioned, and refused where it does not fit.

Snapshots come from a topic, so they are input like any other.
"""

from __future__ import annotations

import math
from typing import Final, TypeVar

import msgspec

from ruptura.core.channel import Channel, ChannelState
from ruptura.core.contracts.tuning import Index, Tally
from ruptura.core.ingest.watermark import Source
from ruptura.core.partition import Partition, Service

_LONGEST_SILENCE: Final = 31_536_000.0
"""Seconds: the most after which a channel may be taken as gone, whatever it is now."""

VERSION: Final = 2

_T = TypeVar("_T")


class ServiceState(msgspec.Struct, frozen=True, array_like=True):
    """All that a service remembers."""

    version: int
    shape: str
    following: Index
    closed: Index
    positions: dict[str, Tally]
    channels: dict[str, ChannelState]


class PartitionState(msgspec.Struct, frozen=True, array_like=True):
    """The clocks of a partition."""

    version: int
    shape: str
    sources: dict[str, Source]
    closable: Index


_encoder = msgspec.msgpack.Encoder()
_services = msgspec.msgpack.Decoder(ServiceState)
_partitions = msgspec.msgpack.Decoder(PartitionState)


def dump_service(partition: Partition, service: Service) -> bytes:
    """Return the state of a service as MessagePack."""
    return _encoder.encode(
        ServiceState(
            VERSION,
            partition.config.shape,
            service.following,
            service.closed,
            {
                topic: max(source.position, service.reflected.get(topic, 0))
                for topic, source in partition.watermark.sources.items()
            },
            {name: channel.dump() for name, channel in service.channels.items()},
        )
    )


def load_service(partition: Partition, name: str, state: bytes) -> None:
    """Put a service back into its partition.

    Raises:
        ValueError: the bytes are damaged, of another version, or shaped by other settings.
    """
    config = partition.config
    decoded = _decoded(_services, state)
    _check(decoded.version, decoded.shape, config.shape)
    if not decoded.channels:
        raise ValueError("a service without channels")
    service = Service(name, config)
    service.following, service.closed = decoded.following, decoded.closed
    for channel_name, channel_state in decoded.channels.items():
        channel = Channel(name, channel_name, config.parts)
        channel.load(channel_state)
        silent = decoded.following * partition.bucket - channel.last
        longest = _LONGEST_SILENCE + partition.bucket
        if not math.isinf(silent) and not 0.0 <= silent <= longest:
            raise ValueError("a channel out of its time")
        service.channels[channel_name] = channel
    service.reflected = decoded.positions
    former = partition.services.get(name)
    if former is not None:
        partition.unmark(former)
    partition.channels += len(service.channels) - (len(former.channels) if former else 0)
    partition.services[name] = service


def decode_service(state: bytes, shape: str) -> dict[str, ChannelState]:
    """Return the states of a service's channels, by name.

    Raises:
        ValueError: the bytes are damaged, of another version, or shaped by other settings.
    """
    decoded = _decoded(_services, state)
    _check(decoded.version, decoded.shape, shape)
    return decoded.channels


def dump_clock(partition: Partition) -> bytes:
    """Return the clocks of a partition as MessagePack."""
    sources = partition.watermark.sources
    return _encoder.encode(
        PartitionState(VERSION, partition.config.shape, sources, partition.closable)
    )


def load_clock(partition: Partition, state: bytes) -> None:
    """Put the clocks of a partition back; ValueError as `load_service`."""
    decoded = _decoded(_partitions, state)
    _check(decoded.version, decoded.shape, partition.config.shape)
    partition.watermark.load(decoded.sources)
    partition.closable = decoded.closable


def _check(version: int, shape: str, expected: str) -> None:
    if version != VERSION:
        raise ValueError(f"state of version {version}, expected {VERSION}")
    if shape != expected:
        raise ValueError("state was shaped by other settings")


def _decoded(decoder: msgspec.msgpack.Decoder[_T], state: bytes) -> _T:
    try:
        return decoder.decode(state)
    except RecursionError:
        raise ValueError("state is nested too deeply") from None
