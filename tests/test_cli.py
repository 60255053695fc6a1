"""The command line, as a user meets it: exit codes, one clear line per fault, clean pipes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ruptura.cli import cli
from ruptura.core.contracts.record import Record
from ruptura.core.decide.lifecycle import instant
from ruptura.files.recording import open_for_writing, to_line

NOON = 1_750_000_000


@pytest.fixture
def silenced(tmp_path: Path) -> Path:
    """A day and a half of a ticket every 20 s, then nothing for two hours but another channel."""
    path = tmp_path / "day.jsonl.zst"
    with open_for_writing(path) as file:
        for index, second in enumerate(range(0, 133_200, 20)):
            for channel in ("whatsapp", "voice"):
                if channel == "voice" and second > 126_000:
                    continue
                event = {
                    "event_id": f"{channel}-{index}",
                    "ticket_id": f"{channel}-{index}",
                    "type": "opened",
                    "occurred_at": _instant(NOON + second),
                    "service": "loja",
                    "channel": channel,
                }
                record = Record(
                    "ruptura.tickets",
                    0,
                    2 * index,
                    float(NOON + second),
                    b"loja",
                    json.dumps(event).encode(),
                )
                file.write(to_line(record) + b"\n")
    return path


def _instant(second: int) -> str:
    return instant(second).isoformat()


def _ruptura(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ruptura", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def test_piped_stdout_holds_alert_documents_and_nothing_else(silenced: Path) -> None:
    done = _ruptura("replay", silenced)
    assert done.returncode == 0, done.stderr.decode()
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert documents[0]["kind"] == "silence"
    assert documents[0]["channel"] == "voice"
    assert {d["channel"] for d in documents} == {"voice"}
    summary = done.stderr.decode()
    assert "events      12,961 in" in summary  # 6,660 and 6,301
    assert "alerts      1 (silence 1)" in summary


def test_twice_the_same_bytes(silenced: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    a = _ruptura("replay", silenced, "--alerts", first)
    b = _ruptura("replay", silenced, "--alerts", second)
    assert first.read_bytes() == second.read_bytes() == a.stdout == b.stdout
    assert first.stat().st_size > 0


def test_the_series_are_a_table_with_a_row_per_closed_bucket(
    silenced: Path, tmp_path: Path
) -> None:
    table = tmp_path / "series.csv"
    assert _ruptura("replay", silenced, "--series", table).returncode == 0
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    voice = [row for row in rows if row["channel"] == "voice" and row["series"] == "tickets.opened"]
    assert voice[0]["expected"] == ""  # warming up
    assert float(voice[-1]["expected"]) == pytest.approx(3.0, rel=0.05)
    assert float(voice[-1]["observed"]) == 0.0
    assert voice[-1]["start"].endswith(":00Z")


def test_a_broken_recording_is_one_line_with_its_place(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"topic":"t","partition":0,"offset":0,"ts":0}\nnot json\n')
    done = _ruptura("replay", broken)
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"ruptura: {broken}:2: ")


def test_a_wrong_setting_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    settings = tmp_path / "ruptura.toml"
    settings.write_text("[window]\nbucket_seconds = 7\n")
    for command in (["config", "check"], ["worker"], ["topics", "check"]):
        done = CliRunner().invoke(cli, [*command, "-c", str(settings)])
        assert done.exit_code == 2, done.output
        assert len(done.output.splitlines()) == 1
        assert "window.bucket_seconds" in done.output
        assert "7" in done.output


def test_the_example_of_the_settings_is_valid(tmp_path: Path) -> None:
    runner = CliRunner()
    example = runner.invoke(cli, ["config", "example"])
    path = tmp_path / "ruptura.toml"
    path.write_text(example.output)
    assert runner.invoke(cli, ["config", "check", "-c", str(path)]).exit_code == 0


def test_secrets_are_masked_where_settings_are_shown(tmp_path: Path) -> None:
    settings = tmp_path / "ruptura.toml"
    settings.write_text(
        '[kafka]\nsecurity_protocol = "SASL_PLAINTEXT"\nsasl_username = "u"\n'
        'sasl_password = "hunter2"\n'
    )
    shown = CliRunner().invoke(cli, ["config", "show", "-c", str(settings)])
    assert shown.exit_code == 0
    assert "hunter2" not in shown.output
    assert "***" in shown.output


def test_no_broker_is_one_line_and_exit_code_1() -> None:
    runner = CliRunner(env={"RUPTURA_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    done = runner.invoke(cli, ["topics", "create"])
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "ruptura: cannot reach Kafka at 127.0.0.1:1: Connection refused"
    ]


def test_a_speed_is_a_number_above_zero_or_max(silenced: Path) -> None:
    for speed in ("0", "-1", "fast", "inf", "nan"):
        done = CliRunner().invoke(cli, ["publish", str(silenced), "--speed", speed])
        assert done.exit_code == 2, speed


def test_every_command_tells_what_it_does() -> None:
    runner = CliRunner()
    commands = runner.invoke(cli, ["--help"]).output
    for name in ("replay", "import", "worker", "topics", "publish", "record", "demo", "config"):
        assert name in commands
        assert runner.invoke(cli, [name, "--help"]).exit_code == 0


def test_what_is_read_is_never_written_over(silenced: Path, tmp_path: Path) -> None:
    before = silenced.read_bytes()
    for option in ("--alerts", "--series"):
        done = CliRunner().invoke(cli, ["replay", str(silenced), option, str(silenced)])
        assert done.exit_code == 2, option
    same = str(tmp_path / "out")
    done = CliRunner().invoke(cli, ["replay", str(silenced), "--alerts", same, "--series", same])
    assert done.exit_code == 2
    assert silenced.read_bytes() == before


def test_a_recording_without_records_is_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    done = _ruptura("replay", empty)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"ruptura: {empty}: no records\n"


def test_a_time_out_of_all_bounds_is_one_line_with_its_place(tmp_path: Path) -> None:
    odd = tmp_path / "odd.jsonl"
    odd.write_text('{"topic":"t","partition":0,"offset":0,"ts":1700000000000000}\n')
    done = _ruptura("replay", odd)
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"ruptura: {odd}:1: ")
    assert len(done.stderr.decode().splitlines()) == 1


def test_an_import_without_a_usable_row_fails(root: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("timestamp,kind,title,township\nnever,EMS,A,B\n")
    mapping = root / "deploy" / "mappings" / "montgomery-911.toml"
    out = tmp_path / "out.jsonl"
    done = CliRunner().invoke(cli, ["import", "-m", str(mapping), str(rows), "-o", str(out)])
    assert done.exit_code == 1
    assert "rows.csv:2: bad_time" in done.output
