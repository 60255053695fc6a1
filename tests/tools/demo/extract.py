"""How the recording of `ruptura demo` was made; the attribution beside it tells what is in it.

    python tests/tools/demo/extract.py DATA ruptures.jsonl.zst

DATA is the folder with `servicenow-incidents.csv.gz` and `cloud-monitoring.tgz`.
"""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import zstandard

from ruptura.core.contracts.record import Record
from ruptura.files.recording import read_envelopes, to_line, to_record
from ruptura.tools.importing.convert import import_csv

MAPPINGS = Path(__file__).resolve().parents[3] / "deploy" / "mappings"
MEMBERS = (
    "data/data-ingress-rate/ingress-01.csv",
    "data/data-ingress-rate/ingress-05.csv",
    "data/mongodb-application-rps/mongo-02.csv",
    "data/mongodb-application-rps/mongo-03.csv",
)
SHIFT = timedelta(weeks=-112)
"""From 2018-04-25 to 2016-03-02. Whole weeks: days of the week and times of day stay."""

END = datetime(2016, 3, 12, 3, tzinfo=UTC)
"""Midnight at the service desk, after Friday the 11th."""


def extract(data: Path) -> bytes:
    """Return the lines of the recording; the same data give the same bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tickets = list(_imported([data / "servicenow-incidents.csv.gz"], "servicenow", folder))
        with tarfile.open(data / "cloud-monitoring.tgz") as archive:
            for member in MEMBERS:
                archive.extract(member, folder, filter="data")
        files = [folder / member for member in MEMBERS]
        metrics = list(_imported(files, "cloud-monitoring", folder))
    chosen = tickets + [_shifted(record) for record in metrics]
    chosen = [record for record in chosen if record.timestamp < END.timestamp()]
    chosen.sort(key=lambda record: record.timestamp)  # stable: equal times stay in source order
    offsets: Counter[str] = Counter()
    lines = []
    for record in chosen:
        placed = msgspec.structs.replace(record, partition=0, offset=offsets[record.topic])
        offsets[record.topic] += 1
        lines.append(to_line(placed) + b"\n")
    return b"".join(lines)


def _imported(sources: list[Path], mapping: str, folder: Path) -> Iterator[Record]:
    recording = folder / f"{mapping}.jsonl"
    import_csv(MAPPINGS / f"{mapping}.toml", sources, recording, io.StringIO())
    for batch in read_envelopes(recording):
        yield from map(to_record, batch)


def _shifted(record: Record) -> Record:
    """Move a measurement in time; its event_id keeps the time of the source."""
    document = msgspec.json.decode(record.value or b"")
    moved = datetime.fromisoformat(document["occurred_at"]) + SHIFT
    document["occurred_at"] = moved.strftime("%Y-%m-%dT%H:%M:%SZ")
    return msgspec.structs.replace(
        record, timestamp=moved.timestamp(), value=msgspec.json.encode(document)
    )


if __name__ == "__main__":
    compressor = zstandard.ZstdCompressor(level=19)
    Path(sys.argv[2]).write_bytes(compressor.compress(extract(Path(sys.argv[1]))))
