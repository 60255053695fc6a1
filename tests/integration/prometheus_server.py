"""A real Prometheus for a test, and its answers."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.kafka_server import free_ports


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """A Prometheus that scrapes one target each second; its address."""
    [port] = free_ports(1)
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        f"  - {{job_name: ruptura, static_configs: [{{targets: ['{target}']}}]}}\n"
    )
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def ask(address: str, query: str) -> dict[tuple[tuple[str, str], ...], float]:
    """The samples that a query yields, by their labels; empty while Prometheus starts."""
    try:
        data = get(address, "query", query=query)
    except OSError:
        return {}
    return {
        tuple(sorted(found["metric"].items())): float(found["value"][1]) for found in data["result"]
    }


def get(address: str, path: str, **parameters: object) -> Any:
    """The data of an answer of the API.

    Raises:
        OSError: Nobody answers, or Prometheus refuses.
    """
    url = f"{address}/api/v1/{path}?" + urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - an address of ours
        document = json.load(answer)
    assert document["status"] == "success", document
    return document["data"]
