"""Files of what an engine has learned, so that another one need not warm up."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import zstandard

from ruptura.assembly.build import build_engine
from ruptura.core import history
from ruptura.core.engine import Engine
from ruptura.files.atomic_write import atomic_write
from ruptura.settings import Settings

MAX_BYTES: Final = 4 << 30
"""A file that claims to unpack to more is refused."""


class HistoryError(Exception):
    """A file that cannot be used; the text names it."""


def warm_engine(settings: Settings, path: Path) -> Engine:
    """Return an engine whose channels begin with what a file says they had learned.

    Raises:
        HistoryError: the file cannot be read, is damaged, or was made under other settings.
    """
    try:
        return build_engine(settings, _unpack(path.read_bytes()))
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise HistoryError(f"{path}: {error}") from None


def _unpack(frame: bytes) -> bytes:
    try:
        if not 0 <= zstandard.frame_content_size(frame) <= MAX_BYTES:
            raise ValueError("not a history: it does not say its size")
        return zstandard.ZstdDecompressor().decompress(frame)
    except zstandard.ZstdError as error:
        raise ValueError(f"not a history: {error}") from None


def write_history(engine: Engine, path: Path) -> None:
    """Write what an engine has learned; the file appears whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    states = [
        (service, engine.dump(partition, service))
        for partition in engine.partitions()
        for service in engine.services(partition)
    ]
    frame = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(history.dump(states))
    with atomic_write(path) as draft:
        draft.write_bytes(frame)
