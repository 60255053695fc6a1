"""A file that is replaced is at every moment the old one or the new one, and nothing else."""

from __future__ import annotations

import gzip
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ruptura.files.atomic_write import atomic_write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_until_it_is_finished_the_old_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with atomic_write(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_until_it_is_finished_a_new_file_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with atomic_write(path) as draft:
        draft.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"


@pytest.mark.parametrize("fault", [ValueError, OSError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, fault: type[BaseException]
) -> None:
    path = tmp_path / "out"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as draft:
            draft.write_text("ne")
            raise fault

    with pytest.raises(fault):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_program_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    program = """
import os, signal, sys
from pathlib import Path
from ruptura.files.atomic_write import atomic_write
with atomic_write(Path(sys.argv[1])) as draft:
    draft.write_text("ne")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program, path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_the_draft_has_the_name_of_the_file_which_gzip_writes_into_it(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl.gz"
    with atomic_write(path) as draft, gzip.GzipFile(draft, "wb", mtime=0) as stream:
        stream.write(b"{}")
    with gzip.GzipFile(tmp_path / "straight.gz", "wb", mtime=0) as stream:
        stream.write(b"{}")
    straight = (tmp_path / "straight.gz").read_bytes()
    assert path.read_bytes() == straight.replace(b"straight\0", b"out.jsonl\0")


def test_it_may_be_read_by_whom_the_users_mask_allows(tmp_path: Path) -> None:
    straight, path = tmp_path / "straight", tmp_path / "out"
    straight.write_text("")
    with atomic_write(path) as draft:
        draft.write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(straight.stat().st_mode)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_write(link) as draft:
        draft.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert names(target.parent) == ["target"]


def test_a_pipe_is_written_to_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with atomic_write(path) as draft:
            draft.write_text("new")
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_folder_that_is_absent_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "out"
    with pytest.raises(FileNotFoundError) as raised, atomic_write(path):
        pytest.fail("there is nowhere to write to")
    assert raised.value.filename == str(path)
