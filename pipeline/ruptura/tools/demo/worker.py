"""The worker of the demo: the one that a user runs, but for its pace, in a process of its own."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ruptura.tools.demo import child_guard

COMMAND = child_guard.guarded("ruptura.tools.demo.quick_worker")
_HOST = "127.0.0.1"
_HTTP_SECONDS = 2.0
_STOP_SECONDS = 12.0
_TAIL_LINES = 8


class _LogLine(msgspec.Struct):
    event: str = ""
    level: str = ""
    exception: str = ""


class WorkerError(Exception):
    """The worker is not there; one line says so, and what its log tells follows."""


class DemoWorker:
    """A running worker.

    Args:
        process: Of the worker.
        port: Of its web server.
        log: File with its output.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process = process
        self._port = port
        self._log = log

    @property
    def metrics_url(self) -> str:
        """Where a person finds the metrics."""
        return f"http://{_HOST}:{self._port}/metrics"

    def is_ready(self) -> bool:
        """Whether it says so; WorkerError if it has ended."""
        answer = self._get("/readyz")
        return answer is not None and answer[0] == http.HTTPStatus.OK

    def metrics(self) -> str | None:
        """Return the text of /metrics, None if there is no answer; WorkerError if it has ended."""
        answer = self._get("/metrics")
        return answer[1] if answer is not None and answer[0] == http.HTTPStatus.OK else None

    def failure(self, what: str) -> WorkerError:
        """Return an error that says what went wrong, with what the log tells."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        tail = "\n".join(f"  {line}" for line in telling_lines(text)) or "  (it wrote nothing)"
        return WorkerError(f"{what}; from its log:\n{tail}")

    def _get(self, path: str) -> tuple[int, str] | None:
        code = self._process.poll()
        if code is not None:
            raise self.failure(f"the worker ended with code {code}")
        # http.client, since urllib would take a proxy from the environment.
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=_HTTP_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


@contextmanager
def running_worker(
    command: Sequence[str],
    *,
    config: Path,
    bootstrap_servers: str,
    folder: Path,
    environment: Mapping[str, str],
) -> Iterator[DemoWorker]:
    """Run a worker for as long as the `with` lasts; it ends with this process in any case.

    Args:
        command: That takes `--config FILE`.
        config: Settings of the worker.
        bootstrap_servers: Of the broker.
        folder: For its log.
        environment: Of this process; its RUPTURA_ variables are not for the demo.
    """
    port = _free_port()
    variables = {k: v for k, v in environment.items() if not k.startswith("RUPTURA_")}
    variables |= {
        "RUPTURA_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "RUPTURA_WORKER__WEB_HOST": _HOST,
        "RUPTURA_WORKER__WEB_PORT": str(port),
    }
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = child_guard.start(
            [*command, "--config", os.fspath(config)],
            stdout=output,
            stderr=subprocess.STDOUT,
            environment=variables,
        )
    try:
        yield DemoWorker(process, port, log)
    finally:
        child_guard.stop(process, _STOP_SECONDS)


def telling_lines(log: str) -> list[str]:
    """Choose from a log what may tell why a worker failed: its errors, else its last lines."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [told for line in lines if (told := _error(line)) is not None]
    return errors[:_TAIL_LINES] or lines[-_TAIL_LINES:]


def _error(line: str) -> str | None:
    """Return what a line of JSON logs as an error, with the last line of its traceback."""
    try:
        entry = msgspec.json.decode(line, type=_LogLine)
    except msgspec.DecodeError:
        return None
    if entry.level not in ("error", "critical"):
        return None
    cause = entry.exception.strip().splitlines()[-1:]
    return ": ".join([" ".join(entry.event.split()), *cause])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
