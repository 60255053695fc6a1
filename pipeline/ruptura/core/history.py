"""What was learned elsewhere, from history, and is taken over by channels that begin here.

Only what is normal is taken over: models, dispersions, how usual gaps are. The past itself (open
tickets, open alerts, offsets, event_ids) belongs to the records that were replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from ruptura.core.channel import Channel, ChannelState, Parts
from ruptura.core.snapshot import decode_service

FORMAT: Final = "ruptura-history"
VERSION: Final = 1

History = Mapping[tuple[str, str], ChannelState]
"""States of channels by service and channel."""


class _Document(msgspec.Struct, frozen=True):
    format: str
    version: int
    services: dict[str, list[bytes]]


_decoder = msgspec.msgpack.Decoder(_Document)


def dump(states: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a history of what services have learned.

    Args:
        states: Names of services with their states as `Engine.dump` returns them; a service may
            come more than once, if its records lay in several partitions.
    """
    services: dict[str, list[bytes]] = {}
    for name, state in states:
        services.setdefault(name, []).append(state)
    return msgspec.msgpack.encode(_Document(FORMAT, VERSION, services))


def load(data: bytes, parts: Parts, shape: str) -> History:
    """Take a history back, tried on channels that are thrown away.

    Args:
        data: As `dump` returned it.
        parts: Of the engine that will use it.
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
    history: dict[tuple[str, str], ChannelState] = {}
    for service, states in document.services.items():
        for state in states:
            for name, channel in decode_service(state, shape).items():
                Channel(service, name, parts).learn_from(channel)
                history[service, name] = channel
    return history
