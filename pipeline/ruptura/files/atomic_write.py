"""Files that appear whole or not at all, whatever ends the program while they are written.

Libraries for this (boltons, safer) hand out an open file under a name of their own; recordings
are opened by their name, which says how to compress, and which gzip writes into the file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a file of the same name to write, which takes the place of `path` when the block ends.

    Until then `path` is as it was, and so it stays if the block raises. What is no regular file,
    such as a pipe or `/dev/null`, cannot be replaced: it is given itself. A symbolic link stays
    one, and what it leads to is replaced.

    Args:
        path: In a folder that exists and in which files can be made.

    Raises:
        OSError: no file can be made there, or the disk refuses; it names `path`.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    target = path.resolve()
    try:
        # On the same file system, or else it could not be renamed to `path` in one go.
        folder = tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    with folder:
        draft = Path(folder.name) / path.name
        yield draft
        _sync(draft)
        draft.replace(target)
        _sync(target.parent)


def _sync(path: Path) -> None:
    """Bring a file, or which files are in a folder, down to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
