"""How the documents of each kind are read and where in a channel's open bucket they go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from ruptura.core.contracts.event import DocumentKind, Event, Rejection
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.decode import (
    decode_measurement,
    decode_ticket,
    read_measurement,
    read_ticket,
)


class Handler(msgspec.Struct, frozen=True):
    """What is done with the documents of one kind.

    Attributes:
        read: Decodes bytes of at most `MAX_DOCUMENT_BYTES` and does no more; where it raises
            `FAULTS` or returns None, `decode` has to say what they are.
        decode: Decodes a record, or says why not. Raises nothing.
    """

    read: Callable[[bytes], Event | None]
    decode: Callable[[Record], Event | Rejection]


HANDLERS: Final[Mapping[DocumentKind, Handler]] = {
    "tickets": Handler(read_ticket, decode_ticket),
    "channel_metrics": Handler(read_measurement, decode_measurement),
}
"""A kind of document that is not here is not read."""
