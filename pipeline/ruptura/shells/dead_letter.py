"""Rejections as dead letters: the record whole, so that nothing is lost."""

from __future__ import annotations

from base64 import b64encode

from ruptura.core.document import DeadLetter
from ruptura.core.event import Rejection


def dead_letter(rejection: Rejection) -> DeadLetter:
    """Return the document for the dead-letter topic."""
    record = rejection.record
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        reason=rejection.reason,
        text=rejection.text,
        key=_base64(record.key),
        value=_base64(record.value),
        headers=[(name, _base64(value) or "") for name, value in record.headers],
    )


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()
