"""Import: CSV in, a recording out; what cannot be used is reported, never passed over."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.contracts.event import Rejection
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.decode import decode_ticket
from ruptura.files.recording import Envelope, read_envelopes, to_line, to_record
from ruptura.tools.importing.convert import ImportSummary, SourceError, import_csv
from ruptura.tools.importing.mapping import MappingError

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "importing"

ANY_CALLS = """
[fields]
service = "{service}"
channel = "{channel}"
ticket_id = "{id}"
rating = "{rating}"

[[events]]
type = "opened"
at = "time"
when = { increased = "n" }
"""

QUEUE_SIZES = """
[source]
path = '(?P<shop>[^/]+)/(?P<channel>[^/]+)\\.csv$'

[fields]
service = "{@shop}"
channel = "{@channel}"

[[metrics]]
metric = "queue_size"
at = "timestamp"
fields = { value = "{value}" }
"""


def run(
    tmp_path: Path, mapping: Path | str, *sources: Path | str | bytes
) -> tuple[ImportSummary, list[Envelope], list[str]]:
    """Import, and return summary, envelopes and reported lines; texts become files first."""
    if isinstance(mapping, str):
        text, mapping = mapping, tmp_path / "mapping.toml"
        mapping.write_text(text, encoding="utf-8")
    paths = []
    for number, source in enumerate(sources):
        path = source if isinstance(source, Path) else tmp_path / f"source-{number}.csv"
        if not isinstance(source, Path):
            path.write_bytes(source if isinstance(source, bytes) else source.encode())
        paths.append(path)
    faults, output = io.StringIO(), tmp_path / "out.jsonl"
    summary = import_csv(mapping, paths, output, faults)
    envelopes = [envelope for batch in read_envelopes(output) for envelope in batch]
    return summary, envelopes, faults.getvalue().replace(f"{tmp_path}/", "").splitlines()


def documents(envelopes: list[Envelope]) -> list[dict[str, Any]]:
    return [json.loads(envelope.payload or "") for envelope in envelopes]


def helpdesk(tmp_path: Path) -> tuple[ImportSummary, list[Envelope], list[str]]:
    return run(tmp_path, FIXTURES / "helpdesk.toml", FIXTURES / "helpdesk.csv")


def audit(tmp_path: Path) -> tuple[ImportSummary, list[Envelope], list[str]]:
    return run(tmp_path, FIXTURES / "audit.toml", FIXTURES / "audit.csv")


# One row, several events


def test_each_event_of_a_row_stands_at_its_own_time_in_the_order_of_time(tmp_path: Path) -> None:
    _, envelopes, _ = helpdesk(tmp_path)
    assert [
        (event["occurred_at"], event["ticket_id"], event["type"]) for event in documents(envelopes)
    ] == [
        ("2024-03-04T08:15:00Z", "7002", "opened"),
        ("2024-03-04T09:00:00Z", "7001", "opened"),
        ("2024-03-04T09:10:00Z", "7004", "opened"),
        ("2024-03-04T09:10:00Z", "7004", "resolved"),
        ("2024-03-04T09:10:00Z", "7004", "rated"),
        ("2024-03-04T10:30:00Z", "7001", "resolved"),
        ("2024-03-04T10:30:00Z", "7001", "rated"),
        ("2024-03-08T10:30:00Z", "7001", "closed"),
    ]


def test_columns_become_fields_by_templates_maps_units_and_durations(tmp_path: Path) -> None:
    _, envelopes, _ = helpdesk(tmp_path)
    events = {(e["ticket_id"], e["type"]): e for e in documents(envelopes)}
    assert events["7001", "opened"] == {
        "event_id": "7001/opened/1",
        "ticket_id": "7001",
        "type": "opened",
        "occurred_at": "2024-03-04T09:00:00Z",
        "service": "shop",
        "channel": "webchat",
        "exception": "service",
        "wait_seconds": 240.0,
        "attributes": {"reason": "Late delivery (closed)"},
    }
    assert events["7001", "resolved"]["resolution_seconds"] == 5400.0
    assert events["7001", "rated"]["rating"] == 5
    assert events["7004", "rated"]["rating"] == 1
    assert "wait_seconds" not in events["7002", "opened"]
    assert events["7002", "opened"]["channel"] == "email"


def test_what_cannot_be_used_is_reported_with_line_and_reason(tmp_path: Path) -> None:
    summary, _, faults = helpdesk(tmp_path)
    file = FIXTURES / "helpdesk.csv"
    assert faults == [
        f"{file}:4: unknown_value: channel from 'Carrier pigeon'",
        f"{file}:6: bad_time: 'soon' fits none of %Y-%m-%d %H:%M",
        f"{file}:7: field_count: 5 cells instead of 9",
        f"{file}:8: missing_value: channel has no value",
        f"{file}:9: bad_number: wait_seconds is 'several'",
    ]
    assert summary == ImportSummary(
        files=1,
        rows=8,
        events={"opened": 3, "resolved": 2, "closed": 1, "rated": 2},
        faults=dict(Counter(line.split(": ")[1] for line in faults)),
    )


def test_the_shipped_template_reads_the_export_that_it_shows(tmp_path: Path) -> None:
    template = FIXTURES.parents[2] / "deploy" / "mappings" / "template.toml"
    shown = [line[4:] for line in template.read_text().splitlines() if line.startswith("#   ")]
    header = next(i for i, line in enumerate(shown) if line.startswith("Ticket ID,"))
    _, envelopes, faults = run(tmp_path, template, "\n".join(shown[header : header + 2]))
    assert faults == []
    assert [e["type"] for e in documents(envelopes)] == ["opened", "resolved", "rated"]
    assert documents(envelopes)[1]["wait_seconds"] == 240.0


def test_a_record_looks_as_if_it_came_from_the_topic(tmp_path: Path) -> None:
    mapping = (FIXTURES / "helpdesk.toml").read_text() + (
        "\n[output]\ntickets = 'shop.tickets'\npartition = 3\n"
    )
    _, envelopes, _ = run(tmp_path, mapping, FIXTURES / "helpdesk.csv")
    assert {(e.topic, e.partition, e.key) for e in envelopes} == {("shop.tickets", 3, "shop")}
    assert [e.offset for e in envelopes] == list(range(8))
    assert envelopes[0].ts == 1_709_540_100_000


# A history: one row per update


def test_conditions_compare_a_row_with_the_previous_one_of_its_ticket(tmp_path: Path) -> None:
    _, envelopes, _ = audit(tmp_path)
    assert [(e["ticket_id"], e["occurred_at"][11:16], e["type"]) for e in documents(envelopes)] == [
        ("1", "10:00", "opened"),
        ("2", "10:01", "opened"),
        ("2", "10:01", "transferred"),
        ("1", "10:05", "transferred"),
        ("1", "10:05", "updated"),
        ("1", "10:07", "resolved"),
        ("1", "10:10", "transferred"),
        ("2", "10:10", "resolved"),
        ("1", "10:11", "updated"),
        ("1", "10:11", "resolved"),
    ]


def test_an_unusable_row_is_no_part_of_its_tickets_past(tmp_path: Path) -> None:
    # Row 7 has an unknown state, nine moves and another owner; row 8 is as row 6 was.
    _, envelopes, faults = audit(tmp_path)
    assert faults == [f"{FIXTURES / 'audit.csv'}:7: unknown_value: state is '-100'"]
    assert not any("10:09" in e["occurred_at"] for e in documents(envelopes))


def test_repeated_events_of_a_ticket_have_ids_of_their_own(tmp_path: Path) -> None:
    _, envelopes, _ = audit(tmp_path)
    ids = [event["event_id"] for event in documents(envelopes)]
    assert len(set(ids)) == len(ids)
    assert {"1/resolved/1", "1/resolved/2", "2/resolved/1"} <= set(ids)


# Measurements


def test_metric_files_of_an_archive_take_service_and_channel_from_their_path(
    tmp_path: Path,
) -> None:
    archive = tmp_path / "metrics.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in {
            "all/north/voice.csv": "timestamp,value\n2024-01-01T00:01:00Z,7\n2024-01-01,3\n",
            "all/south/email.csv": "value,timestamp\n5,2024-01-01T00:00:30Z\n,2024-01-01\n",
            "all/north/voice.csv-metadata.json": "{}",
            "stray.csv": "a,b\n1,2\n",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    summary, envelopes, faults = run(tmp_path, QUEUE_SIZES, archive)
    assert {e.topic for e in envelopes} == {"ruptura.channel-metrics"}
    assert [
        (e["service"], e["channel"], e["metric"], e["value"]) for e in documents(envelopes)
    ] == [
        ("north", "voice", "queue_size", 3.0),
        ("south", "email", "queue_size", 5.0),
        ("north", "voice", "queue_size", 7.0),
    ]
    assert faults == [
        "metrics.tgz/all/south/email.csv:3: missing_value: value has no value",
        "metrics.tgz/stray.csv:1: path: stray.csv does not match source.path",
    ]
    assert summary.files == 3
    assert summary.events == {"channel_metric": 3}


def test_a_repeated_measurement_can_be_known_as_a_duplicate(tmp_path: Path) -> None:
    folder = tmp_path / "north"
    folder.mkdir()
    source = folder / "voice.csv"
    source.write_text("timestamp,value\n2024-01-01,3\n2024-01-01,3\n2024-01-02,3\n")
    _, envelopes, _ = run(tmp_path, QUEUE_SIZES, source)
    first, second, third = (event["event_id"] for event in documents(envelopes))
    assert first == second != third


def test_one_file_can_hold_tickets_and_measurements(tmp_path: Path) -> None:
    mapping = """
[fields]
service = "s"
channel = "voice"
ticket_id = "{id}"
numerator = "{bad}"
denominator = "{all}"

[[events]]
type = "opened"
at = "time"

[[metrics]]
metric = "dropped_calls_ratio"
at = "time"
"""
    source = "id,time,bad,all\n1,2024-01-01,1,4\n2,2024-01-02,5,4\n"
    summary, envelopes, faults = run(tmp_path, mapping, source)
    assert summary.events == {"opened": 1, "channel_metric": 1}
    assert [(e.topic, e.offset) for e in envelopes] == [
        ("ruptura.tickets", 0),
        ("ruptura.channel-metrics", 0),
    ]
    assert faults == [
        "source-0.csv:3: rejected: Expected `numerator` <= `denominator` - at `$.numerator`"
    ]


# Files as they come


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.zst"])
def test_compression_follows_the_file_name_and_changes_nothing_else(
    tmp_path: Path, suffix: str
) -> None:
    content = (FIXTURES / "audit.csv").read_bytes()
    source = tmp_path / f"audit{suffix}"
    source.write_bytes(
        {
            ".csv": lambda data: data,
            ".csv.gz": gzip.compress,
            ".csv.zst": zstandard.ZstdCompressor().compress,
        }[suffix](content)
    )
    mapping = (FIXTURES / "audit.toml").read_text().replace("{number}", "{@file}-{number}")
    summary, envelopes, _ = run(tmp_path, mapping, source)
    assert summary.rows == 10
    assert documents(envelopes)[0]["ticket_id"] == "audit-1"


def test_a_byte_order_mark_blanks_and_quoted_line_ends_do_no_harm(tmp_path: Path) -> None:
    source = (
        b"\xef\xbb\xbfservice, channel ,id,rating,time,n\r\n"
        b'" s ","two\nlines",1,,2024-01-01,1\r\n'
        b"\r\n"
        b"s,voice,2,,never,1\r\n"
    )
    _, envelopes, faults = run(tmp_path, ANY_CALLS, source)
    [event] = documents(envelopes)
    assert (event["service"], event["channel"]) == ("s", "two\nlines")
    assert faults == ["source-0.csv:5: bad_time: 'never' fits none of iso"]


def test_bytes_that_fit_no_encoding_are_replaced(tmp_path: Path) -> None:
    source = b"service,channel,id,rating,time,n\ns,telef\xf3nica,1,,2024-01-01,1\n"
    _, envelopes, _ = run(tmp_path, ANY_CALLS, source)
    assert documents(envelopes)[0]["channel"] == "telef\ufffdnica"
    mapping = ANY_CALLS + "[source]\nencoding = 'latin-1'\n"
    _, envelopes, _ = run(tmp_path, mapping, source)
    assert documents(envelopes)[0]["channel"] == "telefónica"


def test_a_cell_beyond_all_bounds_costs_its_row_only(tmp_path: Path) -> None:
    source = (
        "service,channel,id,rating,time,n\n"
        f"s,{'x' * 200_000},1,,2024-01-01,1\n"
        f"s,{'x' * 2_000},2,,2024-01-01,1\n"
        "s,voice,3,,2024-01-01,1\n"
    )
    summary, envelopes, faults = run(tmp_path, ANY_CALLS, source)
    assert [event["ticket_id"] for event in documents(envelopes)] == ["3"]
    assert summary.faults == {"malformed_csv": 1, "rejected": 1}
    assert faults[1] == (
        "source-0.csv:3: rejected: Expected `str` of length <= 128 - at `$.channel`"
    )


def test_reported_values_are_short_and_cannot_steer_a_terminal(tmp_path: Path) -> None:
    source = f"service,channel,id,rating,time,n\ns,v,1,,\x1b[2J{'x' * 500},1\n"
    _, _, [fault] = run(tmp_path, ANY_CALLS, source)
    assert "\x1b" not in fault
    assert len(fault) < 200


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "none.csv: cannot be read: No such file or directory"),
        (
            "cut.csv.gz",
            gzip.compress(b"a,b\n" * 9_000, mtime=0)[:-20],
            "cut.csv.gz: cannot be read: ",
        ),
        ("plain.csv.gz", b"a,b\n", "plain.csv.gz: cannot be read: Not a gzipped file"),
        ("plain.csv.zst", b"a,b\n" * 9, "plain.csv.zst: cannot be read: "),
        ("plain.tgz", b"a,b\n", "plain.tgz: cannot be read: "),
        ("empty.csv", b"", "empty.csv: the first line must name each column"),
        ("twice.csv", b"a,b,a\n", "twice.csv: the first line must name each column"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_leaves_an_old_recording_alone(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    (tmp_path / "out.jsonl").write_text("precious")
    mapping = ANY_CALLS.replace("{service}", "s").replace("{channel}", "v")
    for column in ("id", "rating", "n", "time"):
        mapping = mapping.replace(f'"{{{column}}}"', '"{a}"').replace(f'"{column}"', '"a"')
    with pytest.raises(SourceError) as raised:
        run(tmp_path, mapping, tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path}/{message}")
    assert "\n" not in str(raised.value)
    assert (tmp_path / "out.jsonl").read_text() == "precious"


def test_a_recording_that_cannot_be_finished_leaves_the_old_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.jsonl").write_text("precious")
    lines: list[Record] = []

    def full_after_one_line(record: Record) -> bytes:
        lines.append(record)
        if len(lines) == 2:
            raise OSError(28, "No space left on device")
        return to_line(record)

    monkeypatch.setattr("ruptura.tools.importing.convert.to_line", full_after_one_line)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, FIXTURES / "helpdesk.toml", FIXTURES / "helpdesk.csv")
    assert (tmp_path / "out.jsonl").read_text() == "precious"


def test_an_archive_without_csv_files_is_one_line(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz"):
        pass
    with pytest.raises(SourceError, match=r"a\.tar\.gz: holds no file named \*\.csv"):
        run(tmp_path, QUEUE_SIZES, tmp_path / "a.tar.gz")


@pytest.mark.parametrize(
    ("old", "new"),
    [("{channel}", "{chanel}"), ('at = "time"', 'at = "tme"'), ('"n"', '"m"'), ("{id}", "{@id}")],
)
def test_a_column_that_the_file_does_not_have_is_one_line(
    tmp_path: Path, old: str, new: str
) -> None:
    source = "service,channel,id,rating,time,n\n"
    with pytest.raises(MappingError) as raised:
        run(tmp_path, ANY_CALLS.replace(old, new), source)
    name = new.split('"')[-2] if '"' in new else new.strip("{}")
    assert str(raised.value) == (
        f"{tmp_path}/mapping.toml: {name!r} is not a column of {tmp_path}/source-0.csv; "
        "allowed: service, channel, id, rating, time, n, @file, @row, @line"
    )


# Properties


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    outputs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        outputs.append(tmp_path / name / "out.jsonl.gz")
        sources = [FIXTURES / "audit.csv", FIXTURES / "audit.csv"]
        import_csv(FIXTURES / "audit.toml", sources, outputs[-1], io.StringIO())
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


CELL = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["1", "5", "-3", "nan", "1e400", "2024-01-01", "2024-01-01 10:00", "", '"']),
)


@given(rows=st.lists(st.lists(CELL, min_size=5, max_size=7), max_size=12), raw=st.binary())
def test_whatever_the_rows_hold_every_event_written_fits_the_contract(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], raw: bytes
) -> None:
    tmp_path = tmp_path_factory.mktemp("any")
    body = "\n".join(",".join(row) for row in rows).encode() + b"\n" + raw
    source = b"service,channel,id,rating,time,n\n" + body
    summary, envelopes, faults = run(tmp_path, ANY_CALLS, source)
    for envelope in envelopes:
        assert not isinstance(decode_ticket(to_record(envelope)), Rejection)
    assert [e.ts for e in envelopes] == sorted(e.ts for e in envelopes)
    assert sum(summary.events.values()) == len(envelopes)
    assert sum(summary.faults.values()) == len(faults)
    assert len(envelopes) + len(faults) <= summary.rows
