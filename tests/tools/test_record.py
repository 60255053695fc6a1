"""The file that `record` writes, and what a line of it keeps; Kafka itself is in integration."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.contracts.record import Record
from ruptura.files.recording import (
    Envelope,
    RecordingError,
    chunks,
    open_for_reading,
    read_envelopes,
    to_line,
    to_record,
)
from ruptura.tools.record import BlockWriter, RecordError

NAMES = ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"]


def lines(path) -> list[bytes]:
    with open_for_reading(path) as stream:
        return b"".join(chunks(stream)).splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_what_was_flushed_is_on_disk_and_whole_while_the_file_is_open(name, tmp_path):
    with BlockWriter(tmp_path / name) as writer:
        for number in range(3):
            writer.add(b"flushed %d" % number)
            writer.flush()
            writer.add(b"pending %d" % number)
            assert lines(tmp_path / name)[-1] == b"flushed %d" % number
        assert len(lines(tmp_path / name)) == 5
    assert len(lines(tmp_path / name)) == 6


@pytest.mark.parametrize(
    ("name", "tool"), [("out.jsonl.gz", ["gzip", "-dc"]), ("out.jsonl", ["cat"])]
)
def test_other_tools_read_the_file_too(name, tool, tmp_path):
    with BlockWriter(tmp_path / name) as writer:
        for line in (b"one", b"two"):
            writer.add(line)
            writer.flush()
    done = subprocess.run([*tool, tmp_path / name], capture_output=True, check=True)
    assert done.stdout == b"one\ntwo\n"


@pytest.mark.parametrize("name", NAMES)
def test_the_process_may_die_at_any_moment(name, tmp_path):
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom ruptura.tools.record import BlockWriter\n"
        "writer = BlockWriter(Path(sys.argv[1]))\n"
        "writer.add(b'safe')\nwriter.flush()\nwriter.add(b'lost')\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / name], check=False)
    assert done.returncode == -9
    assert lines(tmp_path / name) == [b"safe"]


def test_a_full_disk_leaves_the_blocks_before_as_they_were(tmp_path, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "out.jsonl.gz"
    writer = BlockWriter(path)
    writer.add(b"safe")
    writer.flush()
    writer.add(b"lost")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError, match=r"out\.jsonl\.gz: No space left on device"):
        writer.flush()
    with writer:
        pass
    assert lines(path) == [b"safe"]


def test_a_file_that_exists_is_not_touched_unless_told_so(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"dear\n")
    with pytest.raises(RecordError, match=r"out\.jsonl exists already"):
        BlockWriter(path)
    assert path.read_bytes() == b"dear\n"
    with BlockWriter(path, overwrite=True) as writer:
        writer.add(b"new")
    assert path.read_bytes() == b"new\n"


def test_a_file_that_cannot_be_made_is_one_line(tmp_path):
    with pytest.raises(RecordError, match=r"cannot write .*: No such file or directory"):
        BlockWriter(tmp_path / "nowhere" / "out.jsonl")


def test_the_same_lines_give_the_same_bytes(tmp_path):
    for name in ("1.jsonl.gz", "2.jsonl.gz"):
        with BlockWriter(tmp_path / name) as writer:
            writer.add(b"line")
    assert (tmp_path / "1.jsonl.gz").read_bytes() == (tmp_path / "2.jsonl.gz").read_bytes()


maybe_bytes = st.none() | st.binary(max_size=20)
records = st.builds(
    Record,
    topic=st.text(min_size=1, max_size=9),
    partition=st.integers(0, 9999),
    offset=st.integers(0, 2**62),
    timestamp=st.integers(0, 4_102_444_800_000).map(lambda ms: ms / 1000),
    key=maybe_bytes,
    value=maybe_bytes,
    headers=st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=9)), max_size=3).map(tuple),
)


@given(records, st.sampled_from(["create", "logappend"]))
def test_a_line_keeps_every_byte_of_a_record(record, tstype):
    line = to_line(record, tstype)
    assert b"\n" not in line
    envelope = msgspec.json.decode(line, type=Envelope)
    assert to_record(envelope) == record
    assert envelope.tstype == tstype


def test_a_line_has_the_names_that_kcat_gives_them():
    record = Record("t", 1, 2, 3.004, b"k", b"v", (("h", b"x"),))
    assert to_line(record) == (
        b'{"topic":"t","partition":1,"offset":2,"tstype":"create","ts":3004,'
        b'"headers":["h","x"],"key":"k","payload":"v"}'
    )


def test_the_null_that_kcat_prints_for_an_absent_header_value_is_read_as_empty():
    assert to_record(Envelope("t", 0, 0, headers=["a", None])).headers == (("a", b""),)


@pytest.mark.parametrize("headers", [["odd"], [None, "value"]])
def test_headers_that_are_no_pairs_are_refused(headers):
    with pytest.raises(RecordingError, match=r"t \[0\] offset 7: `headers` are not pairs"):
        to_record(Envelope("t", 0, 7, headers=headers))


@pytest.mark.parametrize(
    "line",
    [b'{"topic":"t","partition":0,"offset":0,"payload_base64":"%%%"}', b'{"topic":"t"}', b"x"],
)
def test_a_line_that_is_no_record_is_refused_by_its_number(line, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(to_line(Record("t", 0, 0, 1.0, None, None)) + b"\n" + line + b"\n")
    with pytest.raises(RecordingError, match=r"in\.jsonl:2: not a recorded record"):
        list(read_envelopes(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.gz", gzip.compress(os.urandom(9999))[:-99]),
        ("no.gz", b"plain text"),
        ("no.zst", b"plain text"),
        ("bad.gz", gzip.compress(b"")[:10] + b"\xff" * 99),
    ],
)
def test_a_damaged_file_is_one_line_not_a_stack_trace(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=rf".*{name}: .+"):
        list(read_envelopes(path))


def test_an_absent_file_is_one_line(tmp_path):
    with pytest.raises(RecordingError, match=r"no\.jsonl: No such file or directory"):
        list(read_envelopes(tmp_path / "no.jsonl"))
