"""A guarded child ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ruptura.tools.demo import child_guard

# A holder that starts a guarded module, tells its process id, and waits.
HOLDER = """
import subprocess, sys, time
from ruptura.tools.demo import child_guard
none = subprocess.DEVNULL
child = child_guard.start(child_guard.guarded("pet"), stdout=none, stderr=none)
print(child.pid, flush=True)
time.sleep(60)
"""

PET = """
import pathlib, signal, sys, time

def stop(number, frame):
    pathlib.Path("stopped").touch()
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
pathlib.Path("running").touch()
while True:
    time.sleep(0.02)
"""


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def kennel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module `pet` that children find, and leave notes in."""
    (tmp_path / "pet.py").write_text(PET)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_child_is_asked_to_stop_when_its_parent_is_killed(kennel: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert int(holder.stdout.readline()) > 0
        assert until((kennel / "running").exists)
        holder.send_signal(signal.SIGKILL)
    assert until((kennel / "stopped").exists)


def test_a_child_is_out_of_reach_of_the_terminals_interrupt(kennel: Path) -> None:
    child = child_guard.start(
        child_guard.guarded("pet"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert until((kennel / "running").exists)
        assert os.getpgid(child.pid) != os.getpgid(0)
    finally:
        assert child_guard.stop(child, 20) == 0
    assert (kennel / "stopped").exists()


def test_a_module_sees_its_own_arguments(kennel: Path) -> None:
    (kennel / "echo.py").write_text("import sys; print(__name__, *sys.argv[1:])")
    child = child_guard.start(
        child_guard.guarded("echo", "--config", "a b"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    assert child.stdout.read() == b"__main__ --config a b\n"
    assert child.wait() == 0
    child_guard.stop(child, 1)


def test_a_child_that_ignores_the_request_is_killed(kennel: Path) -> None:
    (kennel / "deaf.py").write_text(
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path('running').touch()\n"
        "time.sleep(60)\n"
    )
    child = child_guard.start(
        child_guard.guarded("deaf"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert until((kennel / "running").exists)
    assert child_guard.stop(child, 0.1) == -signal.SIGKILL
