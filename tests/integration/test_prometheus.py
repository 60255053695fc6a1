"""A real Prometheus scrapes a real worker, and answers the questions that dashboards ask."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ruptura.settings import Settings
from tests.integration.kafka_server import free_ports
from tests.integration.workers import (
    SERVICES,
    ruptura,
    scenario,
    tuned,
    worker,
    write_recording,
)

pytestmark = pytest.mark.integration


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
    url = f"{address}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - an address of ours
            document = json.load(answer)
    except OSError:
        return {}
    assert document["status"] == "success", document
    return {
        tuple(sorted(found["metric"].items())): float(found["value"][1])
        for found in document["data"]["result"]
    }


def test_prometheus_knows_what_the_worker_has_seen(
    tmp_path: Path, topic_settings: Settings
) -> None:
    tuning = tuned(topic_settings)
    told = scenario()
    recording = write_recording(tmp_path / "in.jsonl", told, tuning)
    with worker(tuning, tmp_path / "worker.log") as running:
        target = running.url("").removeprefix("http://").rstrip("/")
        with prometheus(tmp_path, target) as address:
            # A first scrape shows counters at zero, so that `increase` sees all that follows.
            running.wait(lambda: ask(address, 'up{job="ruptura"} == 1'))
            ruptura(tuning, "publish", str(recording), "--speed", "max")
            total = "sum(ruptura_events_consumed_total)"
            running.wait(lambda: set(ask(address, total).values()) == {float(len(told))})

            def answers(query: str) -> dict[str, float]:
                return {
                    dict(labels).get("service", ""): value
                    for labels, value in ask(address, query).items()
                }

            opened = answers('sum(ruptura_alerts_total{reason="opened"})')
            assert opened[""] >= 4
            by_service = answers("count by (service) (ruptura_series_expected)")
            assert by_service.keys() == set(SERVICES)
            for name in ("observed", "lower", "upper", "score"):
                assert answers(f"count by (service) (ruptura_series_{name})").keys() == set(
                    SERVICES
                )
            risk = answers("max by (service) (ruptura_channel_risk)")
            assert all(0.0 <= value <= 1.0 for value in risk.values())
            assert risk.keys() == set(SERVICES)
            states = answers("sum by (service) (ruptura_channel_state)")
            assert states == dict.fromkeys(SERVICES, 1.0)
            assert answers("sum(ruptura_events_rejected_total)") == {"": 0.0}
            late = ask(address, "sum(ruptura_events_late_total)")
            assert set(late.values()) == {0.0}
            quantile = (
                "histogram_quantile(0.99, sum by (le) (ruptura_batch_processing_seconds_bucket))"
            )
            assert 0.0 < answers(quantile)[""] < 5.0
            assert ask(address, "ruptura_build_info")
            ages = ask(address, "ruptura_worker_beat_age_seconds")
            assert len(ages) == 5
            lag = ask(address, "sum(ruptura_faust_end_offset - ruptura_faust_committed_offset)")
            deadline = time.monotonic() + 20
            while set(lag.values()) != {0.0} and time.monotonic() < deadline:
                time.sleep(0.5)
                lag = ask(address, "sum(ruptura_faust_end_offset - ruptura_faust_committed_offset)")
            assert set(lag.values()) == {0.0}, "everything is committed a moment later"
            assert running.get("/healthz")[0] == 200
        running.stop()
