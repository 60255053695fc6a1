"""What was learned elsewhere, from history, and is taken over by channels that begin here.

Only what is normal is taken over: models, dispersions, how usual gaps are. The past itself (open
tickets, open alerts, offsets, event_ids) belongs to the records that were replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from ruptura.core import state as states
from ruptura.core.detect.channel_detectors import (
    ChannelDetectors,
    ChannelDetectorsState,
    DetectConfig,
)
from ruptura.core.series.observations import SentAs

FORMAT: Final = "ruptura-history"
VERSION: Final = 1


class Learned(msgspec.Struct, frozen=True):
    """What a channel has learned: how its metrics are sent, and what is normal for its series."""

    sent_as: Mapping[str, SentAs]
    detectors: ChannelDetectorsState


History = Mapping[tuple[str, str], Learned]
"""By service and channel."""


class _Document(msgspec.Struct, frozen=True):
    format: str
    version: int
    services: dict[str, list[bytes]]


_decoder = msgspec.msgpack.Decoder(_Document)


def dump(services: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a history of what services have learned.

    Args:
        services: Names of services with their states as `Engine.dump` returns them; a service may
            come more than once, if its records lay in several partitions.
    """
    by_name: dict[str, list[bytes]] = {}
    for name, state in services:
        by_name.setdefault(name, []).append(state)
    return msgspec.msgpack.encode(_Document(FORMAT, VERSION, by_name))


def load(data: bytes, config: DetectConfig, shape: str) -> History:
    """Take a history back, tried on channels that are thrown away.

    Args:
        data: As `dump` returned it.
        config: Of the engine that will use it.
        shape: Hash of the settings that shape its state.

    Raises:
        ValueError: the bytes are damaged, of another version, or shaped by other settings.
    """
    try:
        document = _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"not a history: {error}") from None
    if document.format != FORMAT or document.version != VERSION:
        raise ValueError(
            f"not a history of this version: {document.format!r} {document.version}, "
            f"expected {FORMAT!r} {VERSION}"
        )
    history: dict[tuple[str, str], Learned] = {}
    for service, snapshots in document.services.items():
        for snapshot in snapshots:
            found = states.load_service(shape, snapshot)
            detectors = found.components.get(states.DETECTORS)
            if detectors is None:
                raise ValueError(f"what was learned: {found.refused[states.DETECTORS]}")
            for name, progress in found.progress.channels.items():
                learned = detectors.get(name)
                if learned is not None:
                    ChannelDetectors(service, name, config).learn_from(learned, progress.sent_as)
                    history[service, name] = Learned(progress.sent_as, learned)
    return history


def sent_as(history: History, service: str, channel: str) -> Mapping[str, SentAs]:
    """Return what the metrics of a channel are, as far as history knows."""
    learned = history.get((service, channel))
    return {} if learned is None else learned.sent_as
