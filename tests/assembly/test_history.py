"""Files of what was learned: written whole, refused with one line, and used by replay."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ruptura.assembly.history import HistoryError, warm_engine, write_history
from ruptura.cli import cli
from ruptura.files.recording import to_line
from ruptura.settings import Settings
from tests.simulation.contact_centre import (
    DAY,
    HOUR,
    MONDAY,
    contacts,
    day_shape,
    engine,
    lives,
    merged,
    records,
    run,
)


def recording(path: Path, start: float, span: float, seed: int) -> Path:
    moments = contacts(day_shape(120.0), 216.0, start, start + span, seed).tolist()
    told = records([each for each in lives(moments, seed) if each[0] < start + span])
    path.write_bytes(b"".join(to_line(one) + b"\n" for one in told))
    return path


def warming(series: Path) -> set[bool]:
    """Whether the buckets of `tickets.opened` have no score."""
    header, *rows = (line.split(",") for line in series.read_text().splitlines())
    score, name = header.index("score"), header.index("series")
    return {row[score] == "" for row in rows if row[name] == "tickets.opened"}


def ruptura(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_replay_hands_what_it_learned_to_another(tmp_path: Path) -> None:
    past = recording(tmp_path / "past.jsonl", MONDAY, 2 * DAY, 1)
    today = recording(tmp_path / "today.jsonl", MONDAY + 30 * DAY, HOUR, 2)
    learned, cold, warm = tmp_path / "learned", tmp_path / "cold.csv", tmp_path / "warm.csv"
    ruptura("replay", past, "--state-out", learned)
    ruptura("replay", today, "--series", cold)
    ruptura("replay", today, "--state-in", learned, "--series", warm)
    assert warming(cold) == {True}
    assert warming(warm) == {False}


def test_it_may_be_renewed_in_place_but_is_no_recording(tmp_path: Path) -> None:
    past = recording(tmp_path / "past.jsonl", MONDAY, HOUR, 1)
    result = CliRunner().invoke(cli, ["replay", str(past), "--state-out", str(past)])
    assert result.exit_code == 2
    assert "named twice" in result.output
    assert past.read_bytes().startswith(b"{")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"(\xb5/\xfd\x00\x00\x01\x00\x00", b"(\xb5/\xfd \x00\x01\x00\x00"]
)
def test_a_file_that_is_none_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "none"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match="none: not a history: "):
        warm_engine(Settings(), path)
    past = recording(tmp_path / "past.jsonl", MONDAY, HOUR, 1)
    result = CliRunner().invoke(cli, ["replay", str(past), "--state-in", str(path)])
    assert result.exit_code == 1
    assert result.output.startswith(f"ruptura: {path}: ")
    assert result.output.count("\n") == 1


def test_one_flipped_byte_is_noticed(tmp_path: Path) -> None:
    learned = engine()
    moments = contacts(day_shape(120.0), 216.0, MONDAY, MONDAY + HOUR, 1).tolist()
    run(learned, merged(records(list(lives(moments, 1)))))
    path = tmp_path / "learned"
    write_history(learned, path)
    warm_engine(Settings(), path)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(HistoryError, match="learned: "):
        warm_engine(Settings(), path)


def test_a_directory_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_history(engine(), tmp_path / "absent" / "learned")
