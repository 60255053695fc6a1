"""The demo as a whole: with a stand-in for the worker where that is enough, and with the real one.

Each run is a process of its own, as a user starts it, so that what it leaves behind can be seen.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ruptura.files.recording import open_for_writing, read_envelopes, to_line, to_record
from ruptura.tools.demo.run import FOLDER
from ruptura.tools.demo.story import load_story
from ruptura.tools.demo.worker import telling_lines

RUN = """
import json, os, pathlib, sys
from rich.console import Console
from ruptura.tools.demo.run import run_demo
arguments = json.loads(sys.argv[1])
arguments["folder"] = pathlib.Path(arguments["folder"])
sys.exit(run_demo(Console(width=100), **arguments))
"""

# Reads all that is published, says so in its metrics, and sends one alert; notes its process id.
STAND_IN = """
import http.server, os, pathlib, sys
from confluent_kafka import Producer
pathlib.Path("worker.pid").write_text(str(os.getpid()))
assert sys.argv[1] == "--config" and pathlib.Path(sys.argv[2]).is_file()
assert "RUPTURA_KAFKA__SECURITY_PROTOCOL" not in os.environ
alert = pathlib.Path("alert.json").read_bytes()

class Handler(http.server.BaseHTTPRequestHandler):
    scrapes = 0

    def do_GET(self):
        body = b""
        if self.path == "/metrics":
            Handler.scrapes += 1
            if Handler.scrapes == 1:
                producer = Producer({"bootstrap.servers": os.environ[
                    "RUPTURA_KAFKA__BOOTSTRAP_SERVERS"]})
                producer.produce("ruptura.alerts", key=b"desk", value=alert)
                producer.flush(10)
            body = b'''ruptura_events_consumed_total{topic="t"} 1000000
ruptura_newest_event_timestamp_seconds{topic="t",partition="0"} 1457356800
ruptura_channel_risk{service="desk",channel="voice"} 0.97
ruptura_channel_state{service="desk",channel="voice",state="critical"} 1
'''
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

port = int(os.environ["RUPTURA_WORKER__WEB_PORT"])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

Run = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def short_story(tmp_path: Path, root: Path) -> Path:
    """A folder like the bundled one, with the first 400 records of its recording."""
    folder = tmp_path / "story"
    folder.mkdir()
    story = load_story(FOLDER)
    for name in ("story.toml", story.settings):
        (folder / name).write_bytes((FOLDER / name).read_bytes())
    first = [envelope for batch in read_envelopes(FOLDER / story.recording) for envelope in batch]
    with open_for_writing(folder / story.recording) as stream:
        for envelope in first[:400]:
            stream.write(to_line(to_record(envelope)) + b"\n")
    alert = root / "schemas" / "examples" / "valid" / "alert.surge-warning.json"
    (tmp_path / "alert.json").write_bytes(alert.read_bytes())
    return folder


@pytest.fixture
def run(tmp_path: Path, short_story: Path) -> Run:
    """Start the demo in a folder of its own, where its temporary files go too."""
    (tmp_path / "tmp").mkdir()

    def start(worker: str | None, **arguments: object) -> subprocess.Popen[bytes]:
        arguments |= {"folder": str(short_story)}
        if worker is not None:
            arguments |= {"worker": [sys.executable, "-c", worker]}
        return subprocess.Popen(
            [sys.executable, "-c", RUN, msgspec.json.encode(arguments).decode()],
            cwd=tmp_path,
            env={
                **os.environ,
                "TMPDIR": str(tmp_path / "tmp"),
                "RUPTURA_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",  # of the user's own Kafka
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    return start


def left_behind(tmp_path: Path) -> list[str]:
    """Files and processes that a demo should have cleaned up."""
    left = [path.name for path in (tmp_path / "tmp").iterdir()]
    note = tmp_path / "worker.pid"
    if note.exists():
        try:
            os.kill(int(note.read_text()), 0)
        except ProcessLookupError:
            pass
        else:
            left.append("the worker")
    return left


def test_elsewhere_than_on_a_terminal_all_is_told_in_plain_lines(run: Run, tmp_path: Path) -> None:
    with run(STAND_IN, seconds=0.5) as demo:
        assert demo.stdout is not None
        text = demo.stdout.read().decode()
    assert demo.returncode == 0, text
    assert "\x1b" not in text
    assert re.search(r"^metrics    http://127\.0\.0\.1:\d+/metrics", text, re.MULTILINE)
    assert "-- Learning what is normal" in text
    assert re.search(r"^desk +voice .* 0\.97 +critical$", text, re.MULTILINE)
    assert re.search(r"^alerts     \d", text, re.MULTILINE)
    assert "documents  1 (" in text
    assert "CC BY 4.0" in text
    assert "ruptura replay" in text
    assert left_behind(tmp_path) == []


def test_a_worker_that_does_not_start_is_one_clear_line_and_what_its_log_tells(
    run: Run, tmp_path: Path
) -> None:
    with run("import sys; sys.exit('ruptura: worker.web_port: no')") as demo:
        assert demo.stdout is not None
        lines = demo.stdout.read().decode().splitlines()
    assert demo.returncode == 1
    assert lines[-2:] == [
        "ruptura: the worker ended with code 1; from its log:",
        "  ruptura: worker.web_port: no",
    ]
    assert left_behind(tmp_path) == []


def test_a_worker_that_never_gets_ready_does_not_hang_the_demo(run: Run, tmp_path: Path) -> None:
    with run("import time; print('waiting', flush=True); time.sleep(60)", limit_seconds=1) as demo:
        assert demo.stdout is not None
        text = demo.stdout.read().decode()
    assert demo.returncode == 1
    assert "the worker was starting for too long: the demo may take 1 s; from its log:" in text
    assert text.endswith("  waiting\n")
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cleans_up(run: Run, tmp_path: Path, number: signal.Signals) -> None:
    with run(STAND_IN, seconds=60) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith(b"--"):
                break
        demo.send_signal(number)
        text = demo.stdout.read().decode()
    assert demo.returncode == 130
    assert text.endswith("Interrupted; worker and broker are stopped.\n")
    assert (tmp_path / "worker.pid").exists()
    assert left_behind(tmp_path) == []


def test_a_demo_that_is_killed_takes_a_real_worker_with_it(run: Run) -> None:
    with run(None, seconds=60) as demo:
        assert demo.stdout is not None
        found = None
        while found is None:
            found = re.search(rb"127\.0\.0\.1:(\d+)/metrics", demo.stdout.readline())
        variable = f"RUPTURA_WORKER__WEB_PORT={int(found[1])}"
        wait_until(lambda: processes_with(variable) != [])
        demo.send_signal(signal.SIGKILL)
    wait_until(lambda: processes_with(variable) == [])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_with(variable: str) -> list[int]:
    """Processes that were started with a variable of the environment."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and variable.encode() in (
                (folder / "environ").read_bytes().split(b"\0")
            ):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_with_the_real_worker_every_event_is_seen(run: Run, tmp_path: Path) -> None:
    with run(None, seconds=0.5) as demo:
        assert demo.stdout is not None
        text = demo.stdout.read().decode()
    assert demo.returncode == 0, text
    assert re.search(r"^events     400 in \d+ s, on 1 channels$", text, re.MULTILINE), text
    assert re.search(r"^service-desk +voice +tickets\.opened .* warming up$", text, re.MULTILINE)
    assert left_behind(tmp_path) == []


def test_of_a_log_the_errors_are_told_with_their_cause_and_else_its_last_lines() -> None:
    log = [{"event": f"step {number}", "level": "info"} for number in range(20)]
    crash = {"event": "it  crashed", "level": "error", "exception": "Traceback\n  ...\nKeyError: 1"}
    lines = [msgspec.json.encode(entry).decode() for entry in log]
    assert telling_lines("\n".join(lines)) == lines[-8:]
    with_error = [*lines[:5], msgspec.json.encode(crash).decode(), *lines[5:]]
    assert telling_lines("\n".join(with_error)) == ["it crashed: KeyError: 1"]
    assert telling_lines("Traceback\n\nOSError: port\n") == ["Traceback", "OSError: port"]
