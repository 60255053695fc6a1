"""Rejections as dead letters: the record whole, so that nothing is lost."""

from __future__ import annotations

import sys
from base64 import b64encode
from typing import Final

from ruptura.core.contracts.document import DeadLetter
from ruptura.core.contracts.event import Rejection

MODEST_BYTES: Final = 640 * 1024
"""So many bytes of a record, in Base64 a third more, fit into any topic: brokers take 1 MB by
default. The topic that `ruptura topics create` makes takes what any record may hold."""


def dead_letter(rejection: Rejection, most_bytes: int | None = None) -> DeadLetter:
    """Return the document for the dead-letter topic.

    Args:
        rejection: The record and why it was refused.
        most_bytes: What exceeds it is cut off, and the text says so; None keeps the record whole.
    """
    record = rejection.record
    most = most_bytes if most_bytes is not None else sys.maxsize
    left = most - len(record.key or b"")
    headers = []
    for name, content in record.headers:
        left -= len(name) + len(content)
        if left >= 0:
            headers.append((name, _base64(content) or ""))
    value = None if record.value is None else record.value[: max(0, left)]
    text = rejection.text
    if len(headers) < len(record.headers) or value != record.value:
        text += f"; cut to {most} bytes, whole at its source"
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        reason=rejection.reason,
        text=text,
        key=_base64(None if record.key is None else record.key[:most]),
        value=_base64(value),
        headers=headers,
    )


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()
