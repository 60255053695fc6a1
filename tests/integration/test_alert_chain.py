"""From a rule of Prometheus through Alertmanager to whoever is told: the servers of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.integration.alertmanager_server import AlertmanagerServer, compressed
from tests.integration.kafka_server import free_ports
from tests.integration.prometheus_server import PrometheusServer, compressed_rules
from tests.integration.server_process import ServerError, ServerProcess
from tests.integration.webhook import WebhookReceiver

pytestmark = pytest.mark.integration

RULES = {
    "groups": [
        {
            "name": "watcher",
            "interval": "5m",
            "rules": [
                {
                    "alert": "RupturaWorkerAbsent",
                    "expr": 'absent(up{job="ruptura"} == 1)',
                    "for": "5m",
                    "keep_firing_for": "3m",
                    "labels": {"service": "ruptura", "kind": "pipeline", "severity": "critical"},
                    "annotations": {"summary": "No worker answers in {{ $externalLabels.region }}"},
                }
            ],
        }
    ]
}


def test_a_worker_that_does_not_answer_pages_and_one_that_does_ends_it(
    root: Path, tmp_path: Path
) -> None:
    rules = tmp_path / "shipped.yml"
    rules.write_text(yaml.safe_dump(RULES))
    folder = tmp_path / "copies"
    folder.mkdir()
    # A second Prometheus stands for the worker: it serves /metrics, which is all that `up` wants.
    [port] = free_ports(1)
    shipped = root / "deploy" / "alertmanager" / "alertmanager.yml"
    with (
        WebhookReceiver() as webhook,
        AlertmanagerServer(compressed(shipped, folder, webhook.address), folder) as alertmanager,
        PrometheusServer(
            folder,
            [f"127.0.0.1:{port}"],
            rules=[compressed_rules(rules, folder)],
            alertmanager=alertmanager.target,
            external_labels={"region": "south"},
        ) as prometheus,
    ):
        [page] = webhook.wait(lambda told: len(told) == 1)
        assert (page.receiver, page.status) == ("platform-page", "firing")
        assert page.alerts[0]["annotations"] == {"summary": "No worker answers in south"}
        assert [alert["state"] for alert in prometheus.alerts()] == ["firing"]
        worker = ServerProcess(
            ["prometheus", f"--config.file={folder / 'prometheus.yml'}",
             f"--storage.tsdb.path={tmp_path / 'other'}", f"--web.listen-address=127.0.0.1:{port}"],
            f"http://127.0.0.1:{port}/-/ready", tmp_path / "other.log",
        )  # fmt: skip
        with worker:
            [_, end] = webhook.wait(lambda told: len(told) == 2)
            assert (end.receiver, end.status) == ("platform-page", "resolved")
            assert prometheus.ask("up") == {
                (("__name__", "up"), ("instance", f"127.0.0.1:{port}"), ("job", "ruptura")): 1.0
            }
            assert prometheus.alerts() == []
    for server in (alertmanager, prometheus, worker):
        assert server.pid is None


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\n")
    server = AlertmanagerServer(config, tmp_path)
    with pytest.raises(ServerError, match=r"ended with code 1:(.|\n)*undefined receiver"):
        server.start()
    assert server.pid is None


def test_a_program_that_is_absent_is_named(tmp_path: Path) -> None:
    server = ServerProcess(["no-such-program"], "http://127.0.0.1:1", tmp_path / "log")
    with pytest.raises(ServerError, match="need `no-such-program`"):
        server.start()
