"""State as bytes and back: explicit, by component, each with its version.

Snapshots come from a topic, so they are input like any other. What is damaged as a whole, or was
shaped by other settings, is refused. A component of another version, or one that does not fit, is
left out, and begins anew by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from ruptura.core.decide import lifecycle
from ruptura.core.decide.lifecycle import Lifecycle
from ruptura.core.detect import channel_detectors, forecast, series_detector
from ruptura.core.detect.channel_detectors import ChannelDetectorsState
from ruptura.core.ingest import event_ids, open_buckets, partition, service_buckets
from ruptura.core.ingest.event_ids import EventIds
from ruptura.core.ingest.open_buckets import OpenBucketsState
from ruptura.core.ingest.partition import Clocks
from ruptura.core.ingest.service_buckets import ServiceProgress

VERSION: Final = 3
"""Of how snapshots are laid out."""

_T = TypeVar("_T")


class Component(msgspec.Struct, frozen=True):
    """A part of a service's state that can begin anew by itself.

    Attributes:
        version: Of what it holds, and of what that holds.
        kind: Its type, by channel.
    """

    version: tuple[int, ...]
    kind: Any


OPEN_BUCKETS: Final = "open buckets"
EVENT_IDS: Final = "event_ids"
DETECTORS: Final = "detectors"
FORECASTERS: Final = "forecasters"
LIFECYCLES: Final = "lifecycles"

COMPONENTS: Final[Mapping[str, Component]] = {
    OPEN_BUCKETS: Component((open_buckets.VERSION,), dict[str, OpenBucketsState]),
    EVENT_IDS: Component((event_ids.VERSION,), dict[str, dict[str, EventIds]]),
    DETECTORS: Component(
        (channel_detectors.VERSION, series_detector.VERSION), dict[str, ChannelDetectorsState]
    ),
    FORECASTERS: Component((forecast.VERSION,), dict[str, dict[str, bytes]]),
    LIFECYCLES: Component((lifecycle.VERSION,), dict[str, Lifecycle]),
}
"""The parts of a service's state, by name."""


class Encoded(msgspec.Struct, frozen=True, array_like=True):
    """A component with its version, as bytes."""

    version: tuple[int, ...]
    state: msgspec.Raw


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """A service, or the clocks of a partition, as bytes.

    Attributes:
        version: Of the layout.
        shape: Hash of the settings that shape it.
        core: What it cannot do without: the progress of a service, or the clocks.
        components: By name; empty for clocks.
    """

    version: int
    shape: str
    core: Encoded
    components: dict[str, Encoded] = {}


class ServiceState(msgspec.Struct, frozen=True):
    """A service that was read back.

    Attributes:
        progress: How far it has come.
        components: What fits, by name of the component.
        refused: Why others do not, by name of the component.
    """

    progress: ServiceProgress
    components: dict[str, Any]
    refused: dict[str, str]


_encoder = msgspec.msgpack.Encoder()
_snapshots = msgspec.msgpack.Decoder(Snapshot)
_progress = msgspec.msgpack.Decoder(ServiceProgress)
_clocks = msgspec.msgpack.Decoder(Clocks)
_decoders: Final[Mapping[str, msgspec.msgpack.Decoder[Any]]] = {
    name: msgspec.msgpack.Decoder(component.kind) for name, component in COMPONENTS.items()
}


def dump_service(shape: str, progress: ServiceProgress, states: Mapping[str, Any]) -> bytes:
    """Return the state of a service as MessagePack.

    Args:
        shape: Hash of the settings that shape it.
        progress: How far it has come.
        states: Of all components, by name.
    """
    components = {name: (COMPONENTS[name].version, state) for name, state in states.items()}
    core = (service_buckets.VERSION,), progress
    return _encoder.encode((VERSION, shape, core, components))


def load_service(shape: str, state: bytes) -> ServiceState:
    """Read a service back.

    Raises:
        ValueError: the bytes are damaged, of another version, or shaped by other settings.
    """
    snapshot = _snapshot(shape, state)
    progress = _core(snapshot, service_buckets.VERSION, _progress)
    components: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name, component in COMPONENTS.items():
        found = snapshot.components.get(name)
        if found is None or found.version != component.version:
            refused[name] = (
                f"version {_text(found.version) if found else 'unknown'}, "
                f"expected {_text(component.version)}"
            )
            continue
        try:
            components[name] = _decoded(_decoders[name], found.state)
        except ValueError as error:
            refused[name] = str(error)
    return ServiceState(progress, components, refused)


def dump_clocks(shape: str, clocks: Clocks) -> bytes:
    """Return the clocks of a partition as MessagePack."""
    return _encoder.encode((VERSION, shape, ((partition.VERSION,), clocks), {}))


def load_clocks(shape: str, state: bytes) -> Clocks:
    """Read the clocks of a partition back; ValueError as `load_service`."""
    return _core(_snapshot(shape, state), partition.VERSION, _clocks)


def _snapshot(shape: str, state: bytes) -> Snapshot:
    snapshot = _decoded(_snapshots, state)
    if snapshot.version != VERSION:
        raise ValueError(f"state of version {snapshot.version}, expected {VERSION}")
    if snapshot.shape != shape:
        raise ValueError("state was shaped by other settings")
    return snapshot


def _core(snapshot: Snapshot, version: int, decoder: msgspec.msgpack.Decoder[_T]) -> _T:
    if snapshot.core.version != (version,):
        raise ValueError(f"state of version {_text(snapshot.core.version)}, expected {version}")
    return _decoded(decoder, snapshot.core.state)


def _decoded(decoder: msgspec.msgpack.Decoder[_T], state: bytes | msgspec.Raw) -> _T:
    try:
        return decoder.decode(state)
    except RecursionError:
        raise ValueError("state is nested too deeply") from None


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
