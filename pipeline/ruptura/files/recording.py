"""Recordings: one JSON object a line in the envelope that `kcat -C -J` prints.

Files named `*.gz` or `*.zst` are compressed. What is not UTF-8 cannot stand in JSON; it is kept
whole in `key_base64`, `payload_base64` or `headers_base64`, the one addition to kcat's envelope.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, cast

import msgspec
import zstandard
from msgspec import Meta

from ruptura.core.contracts.record import Record

_CHUNK_BYTES = 1 << 20


Moment = Annotated[int, Meta(ge=-1, le=9_000_000_000_000)]
"""Milliseconds since the Unix epoch; -1 for a record without a time, as kcat writes it."""


class Envelope(msgspec.Struct, gc=False, omit_defaults=True):
    """A line of a recording, as kcat names its fields; `ts` is in milliseconds.

    `tstype` is `create` (the producer's clock), `logappend` (the broker's) or `unknown`.
    `headers` are names and values in turn; `headers_base64` are pairs of name and value, and
    stand instead of `headers` where a value is not UTF-8.
    """

    topic: str
    partition: int
    offset: int
    tstype: str = "unknown"
    ts: Moment = 0
    headers: list[str | None] | None = None
    key: str | None = None
    payload: str | None = None
    key_base64: bytes | None = None
    payload_base64: bytes | None = None
    headers_base64: list[tuple[str, bytes]] | None = None


class Position(msgspec.Struct, gc=False):
    """The part of an envelope that tells its place in time."""

    topic: str
    partition: int
    offset: int
    ts: Moment = 0


class RecordingError(Exception):
    """A file is not a recording; the text names file and line."""


_encoder = msgspec.json.Encoder()
_envelopes = msgspec.json.Decoder(Envelope)
_positions = msgspec.json.Decoder(Position)


def to_record(envelope: Envelope) -> Record:
    """Turn an envelope into the record that it stands for.

    Raises:
        RecordingError: a header has no value, or no name.
    """
    key, value = envelope.key, envelope.payload
    return Record(
        envelope.topic,
        envelope.partition,
        envelope.offset,
        envelope.ts / 1000,
        envelope.key_base64 if key is None else key.encode(),
        envelope.payload_base64 if value is None else value.encode(),
        _headers(envelope) if envelope.headers or envelope.headers_base64 else (),
    )


def to_line(record: Record, tstype: Literal["create", "logappend"] = "create") -> bytes:
    """Turn a record into a line of a recording, without the newline."""
    key, key_base64 = _text_or_bytes(record.key)
    payload, payload_base64 = _text_or_bytes(record.value)
    headers: list[str | None] | None = None
    headers_base64 = None
    if record.headers:
        try:
            headers = [part for name, value in record.headers for part in (name, value.decode())]
        except UnicodeDecodeError:
            headers_base64 = list(record.headers)
    return _encoder.encode(
        Envelope(
            record.topic,
            record.partition,
            record.offset,
            tstype,
            round(record.timestamp * 1000),
            headers,
            key,
            payload,
            key_base64,
            payload_base64,
            headers_base64,
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
        RecordingError: the file cannot be read, or a line is not an envelope.
    """
    for line, chunk in _numbered_chunks(path):
        try:
            yield _envelopes.decode_lines(chunk)
        except msgspec.MsgspecError as error:
            raise _locate(path, line, chunk, error) from None


def read_positions(path: Path) -> Iterator[list[Position]]:
    """Read only topic, partition, offset and time of each line, in file order.

    Raises:
        RecordingError: the file cannot be read, or a line is not an envelope.
    """
    for line, chunk in _numbered_chunks(path):
        try:
            yield _positions.decode_lines(chunk)
        except msgspec.MsgspecError as error:
            raise _locate(path, line, chunk, error) from None


def _numbered_chunks(path: Path) -> Iterator[tuple[int, bytes]]:
    """The chunks of a file, each with the number of its first line."""
    line = 1
    try:
        with open_for_reading(path) as stream:
            for chunk in chunks(stream):
                yield line, chunk
                line += chunk.count(b"\n")
    except (EOFError, zlib.error, zstandard.ZstdError) as error:
        raise RecordingError(
            f"{path}: damaged or cut short after line {line - 1}: {error}"
        ) from None
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from None


def _headers(envelope: Envelope) -> tuple[tuple[str, bytes], ...]:
    if envelope.headers_base64:
        return tuple(envelope.headers_base64)
    flat = envelope.headers or []
    names = [name for name in flat[::2] if name is not None]
    if len(flat) != 2 * len(names):
        raise RecordingError(
            f"{envelope.topic} [{envelope.partition}] offset {envelope.offset}: "
            "`headers` are not pairs of name and value"
        )
    # kcat prints the absent value that Kafka allows in a header as null.
    return tuple(zip(names, ((v or "").encode() for v in flat[1::2]), strict=True))


def _text_or_bytes(value: bytes | None) -> tuple[str | None, bytes | None]:
    if value is None:
        return None, None
    try:
        return value.decode(), None
    except UnicodeDecodeError:
        return None, value


def _locate(path: Path, first_line: int, chunk: bytes, error: Exception) -> RecordingError:
    for number, line in enumerate(chunk.split(b"\n"), first_line):
        if not line.strip():
            continue
        try:
            _envelopes.decode(line)
        except msgspec.MsgspecError as fault:
            return RecordingError(f"{path}:{number}: not a recorded record: {fault}")
    return RecordingError(f"{path}: {error}")
