"""Import: exports of ticket systems and files of measurements (CSV) become a recording.

A row is used as a whole or not at all: one that holds something unknown is reported, makes
no event, and is not part of its ticket's past.
"""

from __future__ import annotations

import csv
import io
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, Protocol, TextIO

import msgspec
import zstandard

from ruptura.core.contracts.event import Rejection
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.decode import decode_channel_metric, decode_ticket
from ruptura.files.atomic_write import atomic_write
from ruptura.files.recording import open_for_reading, open_for_writing, to_line
from ruptura.tools.importing.mapping import Mapping, MappingError, load_mapping
from ruptura.tools.importing.rows import Cells, Columns, Draft, Language, NoColumnError, Unusable

_TARS = (".tgz", ".tar.gz", ".tar")


class SourceError(Exception):
    """A file cannot be read as CSV; one line that names the file."""


class ImportSummary(msgspec.Struct, frozen=True):
    """What became of the sources.

    Attributes:
        files: CSV files read, members of tars included.
        rows: Rows read, unusable ones included.
        events: Events written, by ticket event type; measurements under `channel_metric`.
        faults: What could not be used, by reason: rows for `field_count`, `malformed_csv`,
            `unknown_value`, `missing_value`, `bad_time`, `bad_number` and `rejected` (by the
            contract), whole files for `path`.
    """

    files: int
    rows: int
    events: dict[str, int]
    faults: dict[str, int]


def import_csv(
    mapping: Path, sources: Sequence[Path], output: Path, faults: TextIO
) -> ImportSummary:
    """Turn CSV files into a recording, sorted by event time; the same input, the same bytes.

    Where the mapping gives no `event_id`, a ticket event has `ticket/type/n`, the n-th event of
    its type, and a measurement `service/channel/metric/time`, so that a measurement that an
    export repeats is known as a duplicate.

    Args:
        mapping: The mapping file.
        sources: CSV files, plain or `.gz` or `.zst`, and tars (`.tgz`, `.tar.gz`, `.tar`) of
            them, read in this order.
        output: The recording, compressed by its name; appears whole or not at all.
        faults: Gets a line per unusable row: `file:line: reason: what was found`.

    Raises:
        MappingError: the mapping is wrong, or names a column that a file does not have.
        SourceError: a file is missing, broken or not CSV.
        OSError: the output cannot be written.
    """
    run = _Run(load_mapping(mapping), mapping, faults)
    for source in sources:
        for label, name, lines in _files(source, run.mapping.source.encoding):
            run.read_file(label, name, lines)
    run.write(output)
    return ImportSummary(run.files, run.rows, dict(run.events), dict(run.faults))


class _Waiting(NamedTuple):
    """An event that waits for its place in the order of time; `at` in ms since the epoch."""

    at: int
    topic: str
    key: bytes
    value: bytes


class _Run:
    """One import: what is remembered from row to row."""

    def __init__(self, mapping: Mapping, path: Path, report: TextIO) -> None:
        self.mapping = mapping
        self.files = 0
        self.rows = 0
        self.events: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._path = path
        self._report = report
        self._language = Language(mapping)
        self._past: dict[str, tuple[str, ...]] = {}
        self._ordinals: Counter[tuple[object, str]] = Counter()
        self._keys: dict[object, bytes] = {}
        self._waiting: list[_Waiting] = []

    def read_file(self, label: str, name: str, lines: Iterable[str]) -> None:
        """Read one CSV file; `label` is for people, `name` is what `source.path` looks at."""
        source = self.mapping.source
        reader = csv.reader(lines, delimiter=source.delimiter)
        try:
            header = [cell.strip() for cell in next(reader, [])]
        except csv.Error as error:
            raise SourceError(f"{label}:1: not CSV: {error}") from None
        if not header or len(set(header)) != len(header):
            raise SourceError(f"{label}: the first line must name each column, and each once")
        self.files += 1
        found = re.search(source.path or "", name)
        if found is None:
            self._fault(label, 1, Unusable("path", f"{name} does not match source.path"))
            return
        groups = found.groupdict(default="")
        fixed = [*groups.values(), re.sub(r"\.csv(\.gz|\.zst|\.zstd)?$", "", Path(name).name)]
        names = [*header, *(f"@{group}" for group in groups), "@file", "@row", "@line"]
        try:
            columns = Columns(self._language, names)
        except NoColumnError as error:
            raise MappingError(
                f"{self._path}: {error.column!r} is not a column of {label}; "
                f"allowed: {', '.join(names)}"
            ) from None
        self._read_rows(label, reader, len(header), fixed, columns)

    def _read_rows(
        self, label: str, reader: _Lines, width: int, fixed: list[str], columns: Columns
    ) -> None:
        missing = {"", *self.mapping.source.missing}
        number = 0
        while True:
            line = reader.line_num + 1  # where the row starts: quoted cells may span lines
            try:
                row = next(reader, None)
                if row is None:
                    break
                if not row:
                    continue
                number += 1
                _check_width(row, width)
                cells = ["" if (c := cell.strip()) in missing else c for cell in row]
                self._read_row(columns, [*cells, *fixed, str(number), str(line)])
            except csv.Error as error:
                number += 1
                self._fault(label, line, Unusable("malformed_csv", str(error)))
            except Unusable as fault:
                self._fault(label, line, fault)
        self.rows += number

    def _read_row(self, columns: Columns, cells: Cells) -> None:
        ticket = columns.ticket_id(cells)
        past = self._past.get(ticket)
        columns.keep(cells, past)
        waiting = [
            (draft.kind if draft.is_ticket else "channel_metric", self._check(draft))
            for draft in columns.drafts(cells, past)
        ]
        if ticket:
            self._past[ticket] = columns.watched(cells)
        for kind, event in waiting:
            self.events[kind] += 1
            self._waiting.append(event)

    def _check(self, draft: Draft) -> _Waiting:
        """Complete a draft, and hold it against the contract that its reader will apply."""
        document, output = draft.document, self.mapping.output
        service = document["service"]
        if document["event_id"] is None:
            if draft.is_ticket:
                identity = (document["ticket_id"], draft.kind)
                self._ordinals[identity] += 1
                event_id = f"{document['ticket_id']}/{draft.kind}/{self._ordinals[identity]}"
            else:
                prefix = f"{service}/{document['channel']}/{draft.kind}"
                event_id = f"{prefix}/{document['occurred_at']}"
            document["event_id"] = event_id
        key = self._keys.setdefault(service, str(service).encode())
        topic = output.tickets if draft.is_ticket else output.channel_metrics
        value = msgspec.json.encode(document)
        record = Record(topic, output.partition, 0, draft.at / 1000, key, value)
        event = decode_ticket(record) if draft.is_ticket else decode_channel_metric(record)
        if isinstance(event, Rejection):
            raise Unusable("rejected", event.text)
        return _Waiting(draft.at, topic, key, value)

    def _fault(self, label: str, line: int, fault: Unusable) -> None:
        self.faults[fault.reason] += 1
        self._report.write(f"{label}:{line}: {fault}\n")

    def write(self, output: Path) -> None:
        """Write all events in the order of time; those of one moment keep their order."""
        self._waiting.sort(key=lambda event: event.at)
        offsets: Counter[str] = Counter()
        partition = self.mapping.output.partition
        with atomic_write(output) as draft, open_for_writing(draft) as stream:
            for at, topic, key, value in self._waiting:
                record = Record(topic, partition, offsets[topic], at / 1000, key, value)
                stream.write(to_line(record) + b"\n")
                offsets[topic] += 1


class _Lines(Protocol):
    """What `csv.reader` returns."""

    line_num: int

    def __next__(self) -> list[str]: ...
    def __iter__(self) -> Iterator[list[str]]: ...


def _check_width(row: list[str], width: int) -> None:
    if len(row) != width:
        raise Unusable("field_count", f"{len(row)} cells instead of {width}")


def _files(source: Path, encoding: str) -> Iterator[tuple[str, str, Iterable[str]]]:
    """The CSV files in a source: for each its label, its path and its lines."""
    label = str(source)
    if not source.name.endswith(_TARS):
        yield label, source.as_posix(), _lines(label, partial(open_for_reading, source), encoding)
        return
    found = False
    with _readable(label), tarfile.open(source) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(".csv"):
                found = True
                opened = partial(_member, tar, member)
                name = f"{source}/{member.name}"
                yield name, member.name, _lines(name, opened, encoding)
    if not found:
        raise SourceError(f"{source}: holds no file named *.csv")


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:  # only for what is no file
        raise FileNotFoundError(member.name)
    return content


def _lines(label: str, opened: Callable[[], IO[bytes]], encoding: str) -> Iterator[str]:
    with (
        _readable(label),
        opened() as stream,
        io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="") as text,
    ):
        yield from text


@contextmanager
def _readable(label: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, zstandard.ZstdError, tarfile.TarError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        first_line = text.split("\n")[0].rstrip(":")
        raise SourceError(f"{label}: cannot be read: {first_line}") from None
