"""Rejections as dead letters: the record whole, so that nothing is lost."""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from ruptura.core.document import DeadLetter
from ruptura.core.event import Rejection

MAX_BYTES: Final = 640 * 1024
"""Most bytes of a record that a dead letter holds. In base64 they are a third more, and brokers
and producers take 1 MB by default; a larger one would stop the worker again and again."""


def dead_letter(rejection: Rejection) -> DeadLetter:
    """Return the document for the dead-letter topic.

    What exceeds `MAX_BYTES` is cut off, and the text says so.
    """
    record = rejection.record
    left = MAX_BYTES - len(record.key or b"")
    headers = []
    for name, content in record.headers:
        left -= len(name) + len(content)
        if left >= 0:
            headers.append((name, _base64(content) or ""))
    value = None if record.value is None else record.value[: max(0, left)]
    text = rejection.text
    if len(headers) < len(record.headers) or value != record.value:
        text += f"; cut to {MAX_BYTES} bytes, whole at its source"
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        reason=rejection.reason,
        text=text,
        key=_base64(None if record.key is None else record.key[:MAX_BYTES]),
        value=_base64(value),
        headers=headers,
    )


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()
