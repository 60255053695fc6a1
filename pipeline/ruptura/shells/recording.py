"""Recordings: one JSON object a line in the envelope that `kcat -C -J` prints.

Files named `*.gz` or `*.zst` are compressed. A key or payload that is not UTF-8 cannot stand in
JSON; it is kept whole in `key_base64` or `payload_base64`, the one addition to kcat's envelope.
"""

from __future__ import annotations

import gzip
import io
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import zstandard

from ruptura.core.record import Record

_CHUNK_BYTES = 1 << 20


class Envelope(msgspec.Struct, gc=False, omit_defaults=True):
    """A line of a recording, as kcat names its fields; `ts` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    tstype: str = "create"
    ts: int = 0
    headers: list[str] | None = None
    key: str | None = None
    payload: str | None = None
    key_base64: str | None = None
    payload_base64: str | None = None


class Position(msgspec.Struct, gc=False):
    """The part of an envelope that tells its place in time."""

    topic: str
    partition: int
    offset: int
    ts: int = 0


class RecordingError(Exception):
    """A file is not a recording; the text names file and line."""


_encoder = msgspec.json.Encoder()
_envelopes = msgspec.json.Decoder(Envelope)
_positions = msgspec.json.Decoder(Position)


def to_record(envelope: Envelope) -> Record:
    """Turn an envelope into the record that it stands for."""
    key: bytes | None
    value: bytes | None
    if envelope.payload is not None:
        value = envelope.payload.encode()
    else:
        value = None if envelope.payload_base64 is None else b64decode(envelope.payload_base64)
    if envelope.key is not None:
        key = envelope.key.encode()
    else:
        key = None if envelope.key_base64 is None else b64decode(envelope.key_base64)
    flat = envelope.headers
    return Record(
        envelope.topic,
        envelope.partition,
        envelope.offset,
        envelope.ts / 1000,
        key,
        value,
        () if not flat else tuple(zip(flat[::2], (v.encode() for v in flat[1::2]), strict=True)),
    )


def to_line(record: Record) -> bytes:
    """Turn a record into a line of a recording, without the newline.

    Header values that are not UTF-8 are written with the invalid bytes replaced.
    """
    key, key_base64 = _text_or_base64(record.key)
    payload, payload_base64 = _text_or_base64(record.value)
    headers = [
        part
        for name, value in record.headers
        for part in (name, value.decode("utf-8", errors="replace"))
    ]
    return _encoder.encode(
        Envelope(
            record.topic,
            record.partition,
            record.offset,
            "create",
            round(record.timestamp * 1000),
            headers or None,
            key,
            payload,
            key_base64,
            payload_base64,
        )
    )


def open_for_reading(path: Path) -> BinaryIO:
    """Open a recording, decompressing by its file name."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix in (".zst", ".zstd"):
        return cast(BinaryIO, zstandard.open(path, "rb"))
    return path.open("rb")


def open_for_writing(path: Path) -> BinaryIO:
    """Open a recording for writing, compressing by its file name."""
    if path.suffix == ".gz":
        # mtime 0: the same records give the same bytes.
        return cast(BinaryIO, gzip.GzipFile(path, "wb", compresslevel=6, mtime=0))
    if path.suffix in (".zst", ".zstd"):
        return cast(BinaryIO, zstandard.open(path, "wb"))
    return path.open("wb")


def chunks(stream: io.BufferedIOBase | BinaryIO) -> Iterator[bytes]:
    """Cut a stream into pieces of about a megabyte that end at line ends."""
    rest = b""
    while block := stream.read(_CHUNK_BYTES):
        end = block.rfind(b"\n") + 1
        if not end:
            rest += block
            continue
        yield rest + block[:end]
        rest = block[end:]
    if rest:
        yield rest


def read_envelopes(path: Path) -> Iterator[list[Envelope]]:
    """Read a recording in file order, a list per megabyte.

    Raises:
        RecordingError: a line is not an envelope.
    """
    line = 1
    with open_for_reading(path) as stream:
        for chunk in chunks(stream):
            try:
                batch = _envelopes.decode_lines(chunk)
            except msgspec.MsgspecError as error:
                raise _locate(path, line, chunk, error) from None
            line += chunk.count(b"\n")
            yield batch


def read_positions(path: Path) -> Iterator[list[Position]]:
    """Read only topic, partition, offset and time of each line, in file order.

    Raises:
        RecordingError: a line is not an envelope.
    """
    line = 1
    with open_for_reading(path) as stream:
        for chunk in chunks(stream):
            try:
                batch = _positions.decode_lines(chunk)
            except msgspec.MsgspecError as error:
                raise _locate(path, line, chunk, error) from None
            line += chunk.count(b"\n")
            yield batch


def _text_or_base64(value: bytes | None) -> tuple[str | None, str | None]:
    if value is None:
        return None, None
    try:
        return value.decode(), None
    except UnicodeDecodeError:
        return None, b64encode(value).decode()


def _locate(path: Path, first_line: int, chunk: bytes, error: Exception) -> RecordingError:
    for number, line in enumerate(chunk.split(b"\n"), first_line):
        if not line.strip():
            continue
        try:
            _envelopes.decode(line)
        except msgspec.MsgspecError as fault:
            return RecordingError(f"{path}:{number}: not a recorded record: {fault}")
    return RecordingError(f"{path}: {error}")
