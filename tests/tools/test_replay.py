"""Replay: recordings drive the engine; files, their order and their cuts change nothing."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest

from ruptura.core.contracts.record import Record
from ruptura.files.recording import RecordingError, to_line
from ruptura.outputs.memory import AlertList
from ruptura.outputs.sink import Sinks
from ruptura.settings import Settings
from ruptura.tools.replay import Summary, replay, survey
from tests.golden.storm import SETTINGS, storm
from tests.simulation.contact_centre import METRICS, MONDAY, TICKETS, alert_bytes, record, ticket


def write(path: Path, held: list[Record]) -> Path:
    path.write_bytes(b"".join(to_line(one) + b"\n" for one in held))
    return path


def play(*paths: Path, settings: Settings = SETTINGS) -> tuple[Summary, dict[str, list[bytes]]]:
    told = AlertList()
    return replay(paths, settings, sink=told), alert_bytes(told.alerts)


@pytest.fixture(scope="module")
def recorded() -> list[Record]:
    return storm()


@pytest.fixture(scope="module")
def whole(recorded: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("recordings") / "whole.jsonl", recorded)


def test_twice_the_same_bytes(whole: Path) -> None:
    one, other = play(whole), play(whole)
    assert one == other
    assert one[1]


def test_a_file_per_topic_or_out_of_order_gives_the_same_alerts(
    whole: Path, recorded: list[Record], tmp_path: Path
) -> None:
    by_topic = [
        write(tmp_path / f"{topic}.jsonl", [r for r in recorded if r.topic == topic])
        for topic in (METRICS, TICKETS)
    ]
    one_after_another = write(
        tmp_path / "appended.jsonl", sorted(recorded, key=lambda r: (r.topic, r.offset))
    )
    expected = play(whole)[1]
    assert play(*by_topic)[1] == expected
    assert play(*reversed(by_topic))[1] == expected
    assert play(one_after_another)[1] == expected


def test_a_compressed_recording_is_the_same(whole: Path, tmp_path: Path) -> None:
    packed = tmp_path / "whole.jsonl.gz"
    packed.write_bytes(gzip.compress(whole.read_bytes()))
    assert play(packed) == play(whole)


def test_the_summary_counts_every_record(whole: Path, recorded: list[Record]) -> None:
    summary, alerts = play(whole)
    assert summary.records == len(recorded)
    assert summary.rejected == {"malformed_json": 1}
    assert sum(summary.documents.values()) == sum(map(len, alerts.values()))
    assert summary.alerts == {"surge": 1, "failure": 1, "silence": 1}


def test_a_survey_tells_what_there_is(whole: Path, recorded: list[Record]) -> None:
    found = survey([whole])
    assert found.records == len(recorded)
    assert found.partitions == (0,)
    assert found.first == pytest.approx(min(r.timestamp for r in recorded), abs=0.001)
    assert found.last == pytest.approx(max(r.timestamp for r in recorded), abs=0.001)


def test_an_empty_recording_is_an_empty_summary(tmp_path: Path) -> None:
    assert play(write(tmp_path / "empty.jsonl", []))[0] == Summary(last=0.0)


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.jsonl", [record(ticket(MONDAY, 1), 0, MONDAY)])
    path.write_bytes(path.read_bytes() + b"not json\n")
    with pytest.raises(RecordingError, match=r"bad\.jsonl:2"):
        play(path)


def test_progress_ends_at_the_number_of_records(whole: Path, recorded: list[Record]) -> None:
    seen: list[int] = []
    replay([whole], SETTINGS, sink=Sinks(), progress=lambda n, _: seen.append(n))
    assert seen == sorted(seen)
    assert seen[-1] == len(recorded)


def test_several_partitions_are_each_by_themselves(recorded: list[Record], tmp_path: Path) -> None:
    spread = [msgspec.structs.replace(r, partition=p) for r in recorded for p in (0, 3)]
    spread.sort(key=lambda r: r.timestamp)
    summary, alerts = play(write(tmp_path / "two.jsonl", spread))
    single = play(write(tmp_path / "one.jsonl", recorded))
    assert summary.buckets == 2 * single[0].buckets
    assert {s: sorted(lines * 2) for s, lines in single[1].items()} == {
        s: sorted(lines) for s, lines in alerts.items()
    }
