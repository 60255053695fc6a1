"""A real server as a child process: its log, its readiness and its end."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_LOG_TAIL_LINES = 40


class ServerError(RuntimeError):
    """The program is absent, ended or does not get ready; the text says why."""


class ServerProcess:
    """A program that serves HTTP; runs inside the `with`.

    Args:
        command: The program with its arguments.
        ready_url: Answers 200 once it is ready.
        log: Where its output goes.
        seconds: How long it may take to get ready.
    """

    def __init__(
        self, command: Sequence[str], ready_url: str, log: Path, seconds: float = 30.0
    ) -> None:
        self._command = list(command)
        self._ready_url = ready_url
        self._log = log
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            ServerError: it is absent, ends, or is not ready in time.
        """
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except FileNotFoundError as error:
            raise ServerError(f"the integration tests need `{self._command[0]}`") from error
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop(0.0)
            raise

    def stop(self, seconds: float = 20.0) -> None:
        """Ask it to end, and kill it if it has not after `seconds`."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def log_tail(self) -> str:
        """The last lines of its output."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + self._seconds
        while time.monotonic() < deadline:
            code = self._process.poll()
            if code is not None:
                raise ServerError(f"{self._command[0]} ended with code {code}:\n{self.log_tail()}")
            try:
                with urllib.request.urlopen(self._ready_url, timeout=2):  # noqa: S310 - an address of ours
                    return
            except OSError:
                time.sleep(0.05)
        raise ServerError(f"{self._command[0]} is not ready in time:\n{self.log_tail()}")
