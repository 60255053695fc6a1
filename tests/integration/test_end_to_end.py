"""From a recorded rupture to the team that is told, and told that it is over: all programs real.

Kafka, a worker that starts with what it has learned, Prometheus with the shipped rules,
Alertmanager with the shipped routes, and a receiver of webhooks. Time is compressed by
configuration alone: the recording is published so many times as fast, rules and routes have
shorter times.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest

from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.record import Record
from ruptura.settings import Settings
from ruptura.simulator import load_scenario, shipped, simulate
from tests.integration.alertmanager_server import AlertmanagerServer, compressed
from tests.integration.prometheus_server import PrometheusServer, compressed_rules
from tests.integration.webhook import Notification, WebhookReceiver
from tests.integration.workers import alerts_on, ruptura, worker, write_recording

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT: Final = Path(__file__).parents[2]
SCENARIO, SEED = "exceptions_product", 3
"""A wave of contacts about defective products grows on one channel of one service."""

SPEED: Final = 240
BEFORE: Final = timedelta(minutes=40)
"""What is published before the onset; all that is earlier is history, learned before the start."""


def _moment(record: Record) -> datetime:
    return datetime.fromtimestamp(record.timestamp).astimezone()


class Stage:
    """The recording, cut where the worker starts, and the worker's settings.

    Args:
        settings: With the topics of this test.
        folder: For the files.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        scenario = load_scenario(shipped()[SCENARIO], series_registry())
        simulation = simulate(scenario, SEED)
        [self.rupture] = simulation.labels.ruptures
        cut = self.rupture.onset - BEFORE
        ends = self.rupture.ends + timedelta(hours=1)
        past = [record for record in simulation.records if _moment(record) < cut]
        now = [record for record in simulation.records if cut <= _moment(record) < ends]
        self.settings = msgspec.structs.replace(
            settings,
            # The recording is of another day: until it has been read no time may pass.
            window=msgspec.structs.replace(settings.window, idle_seconds=3600.0),
            worker=msgspec.structs.replace(settings.worker, web_port=0),
        )
        self.history = write_recording(folder / "history.jsonl", past, self.settings)
        self.recording = write_recording(folder / "rupture.jsonl", now, self.settings)
        self.config = folder / "services.toml"
        self.config.write_text(_services(shipped()[SCENARIO].read_text()))
        self.learned = folder / "learned"


def _services(scenario: str) -> str:
    """The tables of a scenario that are settings of Ruptura."""
    tables = scenario.split("\n[")
    return "".join(f"[{table}\n" for table in tables if table.startswith("services."))


def _told(notifications: Sequence[Notification]) -> list[tuple[str, str]]:
    return [(told.receiver, told.status) for told in notifications]


@pytest.fixture
def stage(topic_settings: Settings, tmp_path: Path) -> Stage:
    return Stage(topic_settings, tmp_path)


def test_one_rupture_is_one_page_to_its_team_with_the_reason_and_then_its_end(
    stage: Stage, tmp_path: Path
) -> None:
    settings = stage.settings
    ruptura(
        settings,
        *("replay", str(stage.history), "-c", str(stage.config)),
        *("--state-out", str(stage.learned)),
    )
    # Events of another day are behind by months, so the watch over the worker has to be patient.
    rules = [
        compressed_rules(path, tmp_path, hold="10m")
        for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
    ]
    assert len(rules) == 2
    with ExitStack() as stack:
        webhook = stack.enter_context(WebhookReceiver())
        routes = compressed(
            ROOT / "deploy/alertmanager/alertmanager.yml",
            tmp_path,
            webhook.address,
            # Ten minutes pass from the warning to the page, here 2.5 s.
            group_wait="10s",
        )
        alertmanager = stack.enter_context(AlertmanagerServer(routes, tmp_path))
        options = ("-c", str(stage.config), "--state-in", str(stage.learned))
        running = stack.enter_context(worker(settings, tmp_path / "worker.log", *options))
        target = running.url("").removeprefix("http://").rstrip("/")
        prometheus = stack.enter_context(
            PrometheusServer(tmp_path, [target], rules=rules, alertmanager=alertmanager.target)
        )
        running.wait(lambda: prometheus.ask('up{job="ruptura"} == 1'))
        ruptura(settings, "publish", str(stage.recording), "--speed", str(SPEED))

        webhook.wait(lambda told: len(told) >= 2, 60.0)
        page, end = webhook.notifications
        assert _told(webhook.notifications) == [
            ("product-page", "firing"),
            ("product-page", "resolved"),
        ], "one page, its end, and nothing to anybody else"

        assert page.names == ["RupturaCritical"]
        [alert] = page.alerts
        documents = [json.loads(document) for document in alerts_on(settings)]
        [incident] = {document["incident_id"] for document in documents}
        assert alert["labels"] == {
            "alertname": "RupturaCritical",
            "service": stage.rupture.service,
            "channel": stage.rupture.channels[0],
            "severity": "critical",
            "kind": "surge",
            "exception": "product",
            "incident_id": incident,
            "incident_role": "primary",
        }
        told = alert["annotations"]
        assert "tickets.exceptions_product above normal since" in told["description"]
        assert "tickets.exceptions_product acima do normal desde" in told["description_pt_br"]
        assert "var-service=loja" in told["dashboard_url"]
        runbook = told["runbook_url"].rpartition("/")[2]
        assert (ROOT / "deploy/runbooks" / runbook).is_file()

        [ended] = end.alerts
        assert ended["labels"] == alert["labels"]
        assert ended["status"] == "resolved"
        assert [document["reason"] for document in documents] == [
            "opened",
            "escalated",
            "recovered",
        ]
        running.stop()
