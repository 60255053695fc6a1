"""Processes that are measured: how far they are, and the CPU that they took, seen from outside."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

ROOT = Path(__file__).resolve().parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_POLL_SECONDS = 0.05
_STOP_SECONDS = 10.0


class BenchError(RuntimeError):
    """A benchmark cannot go on; the text says why."""


class Seen(msgspec.Struct, frozen=True):
    """A look at a process.

    Attributes:
        at: Monotonic time in seconds.
        cpu: User and system time of all its threads so far, in seconds.
        count: Records so far.
    """

    at: float
    cpu: float
    count: int


class Rate(msgspec.Struct, frozen=True):
    """How fast a process went.

    Attributes:
        per_second: Records a second of wall clock.
        per_cpu_second: Records a second of CPU; exact to the kernel's 10 ms ticks.
        records, seconds, cpu: What they are made of.
    """

    per_second: float
    per_cpu_second: float
    records: int
    seconds: float
    cpu: float


def rate(looks: Sequence[Seen]) -> Rate:
    """From the first look that shows progress to the last one that shows more.

    The start of an interpreter, the settling of a group, and waiting at the end are outside.

    Raises:
        BenchError: progress was seen fewer than two times.
    """
    steps = [
        look
        for before, look in zip((None, *looks), looks, strict=False)
        if look.count > (0 if before is None else before.count)
    ]
    if len(steps) < 2:
        raise BenchError("it made no progress that could be measured")
    first, last = steps[0], steps[-1]
    records = last.count - first.count
    seconds, cpu = last.at - first.at, max(last.cpu - first.cpu, 1.0 / _TICKS)
    return Rate(records / seconds, records / cpu, records, seconds, cpu)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its threads included; of its children not."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def watch(
    pid: int,
    count: Callable[[], int],
    total: int,
    *,
    seconds: float,
    start_seconds: float = 60.0,
    idle_seconds: float = 6.0,
) -> list[Seen]:
    """Look at a process until it has all, stands still, or has been going on for long enough.

    Args:
        pid: Of the process.
        count: Tells how far it is.
        total: When it has all.
        seconds: Longest time after the first progress.
        start_seconds: Longest time to the first progress.
        idle_seconds: Longest time without progress.

    Raises:
        BenchError: it does not start.
    """
    looks: list[Seen] = []
    begun = time.monotonic()
    moved = begun
    while True:
        found = count()
        now = time.monotonic()
        if found > (looks[-1].count if looks else 0):
            looks.append(Seen(now, cpu_seconds(pid), found))
            moved = now
        if not looks and now - begun > start_seconds:
            raise BenchError(f"it does not start within {start_seconds:.0f} s")
        if looks and (found >= total or now - looks[0].at > seconds or now - moved > idle_seconds):
            return looks
        time.sleep(_POLL_SECONDS)


class Child:
    """A Python module of this folder in a process of its own; its stdout tells numbers.

    Args:
        module: For example `tests.bench.baselines.stock_faust`.
        arguments: Of the module.
        log: Gets its stderr.
        python: The interpreter.
        environment: Further variables.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        log: Path,
        *,
        python: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.last = 0
        self.lines: list[str] = []
        self._log = log
        paths = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [python, "-m", module, *arguments],
                cwd=ROOT,
                env=dict(os.environ) | {"PYTHONPATH": paths} | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._reader.join()

    def count(self) -> int:
        """The last number that it told.

        Raises:
            BenchError: it has ended.
        """
        if self.process.poll() is not None:
            raise BenchError(f"it ended with code {self.process.returncode}:\n{self.tail()}")
        return self.last

    def result(self, seconds: float) -> str:
        """Wait for its end and return the last line that it told.

        Raises:
            BenchError: it takes longer, or fails.
        """
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise BenchError(f"it takes longer than {seconds:.0f} s:\n{self.tail()}") from None
        self._reader.join()
        if code or not self.lines:
            raise BenchError(f"it ended with code {code}:\n{self.tail()}")
        return self.lines[-1]

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        with stream:
            for line in stream:
                text = line.strip()
                if text.isdigit():
                    self.last = int(text)
                elif text:
                    self.lines.append(text)
