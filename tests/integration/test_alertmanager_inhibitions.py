"""Which open alert mutes which other one, as a real Alertmanager says; every pair both ways."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.alertmanager_server import AlertmanagerServer, compressed
from tests.integration.webhook import WebhookReceiver

pytestmark = pytest.mark.integration

Labels = dict[str, str]

CRITICAL = {
    "alertname": "RupturaCritical", "service": "loja", "channel": "voice", "severity": "critical",
    "kind": "surge", "incident_id": "1", "incident_role": "primary",
}  # fmt: skip
WARNING = CRITICAL | {"alertname": "RupturaWarning", "severity": "warning"}
ELSEWHERE = {"channel": "webchat", "incident_id": "2"}
JOINED = {"channel": "webchat", "incident_role": "joined"}
SERIES = {"alertname": "RupturaSeriesOdd", "series": "errors", "incident_id": ""}
WHOLE = {"alertname": "RupturaServiceOdd", "channel": "", "incident_id": "", "incident_role": ""}
ABSENT = {
    "alertname": "RupturaWorkerAbsent", "service": "ruptura", "severity": "critical",
    "kind": "pipeline", "judging": "nobody",
}  # fmt: skip
STALLED = {**ABSENT, "alertname": "RupturaWorkerStalled", "judging": ""}
UNREACHABLE = STALLED | {"alertname": "RupturaKafkaUnreachable"}
LAG = STALLED | {"alertname": "RupturaLag", "severity": "warning"}
WARMING_UP = STALLED | {"alertname": "RupturaWarmingUp", "severity": "info"}
FOREIGN = {"alertname": "DiskFull", "service": "loja", "channel": "voice", "severity": "warning"}

MUTES = {
    "critical over the warning of its channel": (CRITICAL, WARNING),
    "a primary critical over a joined critical": (CRITICAL, CRITICAL | JOINED),
    "a primary critical over a joined warning": (CRITICAL, WARNING | JOINED),
    "a primary warning over a joined warning": (WARNING, WARNING | JOINED),
    "a critical channel over its series": (CRITICAL, CRITICAL | SERIES),
    "a warned channel over a warning of its series": (WARNING, WARNING | SERIES),
    "a critical series over the warning of its channel": (CRITICAL | SERIES, WARNING),
    "a critical service over a critical channel": (CRITICAL | WHOLE, CRITICAL),
    "a critical service over a warned channel": (CRITICAL | WHOLE, WARNING),
    "a warned service over a warned channel": (WARNING | WHOLE, WARNING),
    "an absent worker over a channel": (ABSENT, CRITICAL),
    "an absent worker over a lesser alert of the watcher": (ABSENT, LAG),
    "a stalled worker over a lesser alert of the watcher": (STALLED, LAG),
    "an unreachable Kafka over news of the watcher": (UNREACHABLE, WARMING_UP),
    "an absent worker over a stalled one": (ABSENT, STALLED),
    "an absent worker over an unreachable Kafka": (ABSENT, UNREACHABLE),
    "an unreachable Kafka over a stalled worker": (UNREACHABLE, STALLED),
}
LEAVES = {
    "the warning of another channel": (CRITICAL, WARNING | ELSEWHERE),
    "the warning of a channel of that name of another service": (
        CRITICAL,
        WARNING | {"service": "outra", "incident_id": "3"},
    ),
    "a joined critical, beside a primary warning": (WARNING, CRITICAL | JOINED),
    "what joined another incident": (CRITICAL, CRITICAL | JOINED | {"incident_id": "2"}),
    "a warning that joined another incident": (WARNING, WARNING | JOINED | {"incident_id": "2"}),
    "what joined an incident without a name": (
        CRITICAL | {"incident_id": ""},
        CRITICAL | JOINED | {"incident_id": ""},
    ),
    "the series of another channel": (CRITICAL, CRITICAL | SERIES | ELSEWHERE),
    "a warning of the series of another channel": (WARNING, WARNING | SERIES | ELSEWHERE),
    "a critical channel of a warned service": (WARNING | WHOLE, CRITICAL),
    "a channel of another service": (CRITICAL | WHOLE, CRITICAL | {"service": "outra"}),
    "a warned channel of another service": (WARNING | WHOLE, WARNING | {"service": "outra"}),
    "a channel, while the watcher only lags": (LAG, WARNING),
    "a channel, while one worker of several is gone": (ABSENT | {"judging": "others"}, CRITICAL),
    "a channel, while one worker stands still": (STALLED, CRITICAL),
    "a channel, while one worker does not reach Kafka": (UNREACHABLE, CRITICAL),
    "a channel of a service named ruptura, while the watcher only lags": (
        LAG | {"severity": "critical"},
        CRITICAL | {"service": "ruptura"},
    ),
    "an alert of somebody else on the same channel": (CRITICAL, FOREIGN),
    "an alert of somebody else, while no worker runs": (ABSENT, FOREIGN),
    "a lesser alert of the watcher, beside another one": (
        LAG | {"alertname": "RupturaDeadLetters"},
        LAG,
    ),
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where notifications go: here nobody counts them."""
    with WebhookReceiver() as webhook:
        yield webhook.address


@pytest.fixture
def alertmanager(root: Path, tmp_path: Path, address: str) -> Iterator[AlertmanagerServer]:
    shipped = root / "deploy" / "alertmanager" / "alertmanager.yml"
    with AlertmanagerServer(compressed(shipped, tmp_path, address), tmp_path) as server:
        yield server


def muted(alertmanager: AlertmanagerServer, *alerts: Labels) -> list[bool]:
    """Whether each alert is muted, when all are open."""
    # Alertmanager takes alerts in one after the other: when the last one mutes, all are known.
    beacon = [found | {"service": "beacon", "incident_id": "9"} for found in (WARNING, CRITICAL)]
    alertmanager.post({"labels": labels} for labels in (*alerts, *beacon))
    deadline = time.monotonic() + 10
    while not _muted(alertmanager, beacon[0]):
        assert time.monotonic() < deadline, "the last alert mutes nothing"
        time.sleep(0.02)
    return [_muted(alertmanager, labels) for labels in alerts]


def _muted(alertmanager: AlertmanagerServer, labels: Labels) -> bool:
    having = {name: value for name, value in labels.items() if value}
    [held] = [alert for alert in alertmanager.alerts() if alert["labels"] == having]
    return bool(held["status"]["inhibitedBy"])


@pytest.mark.parametrize("pair", MUTES.values(), ids=MUTES.keys())
def test_the_first_alert_mutes_the_second_and_not_the_other_way(
    alertmanager: AlertmanagerServer, pair: tuple[Labels, Labels]
) -> None:
    assert muted(alertmanager, *pair) == [False, True]


@pytest.mark.parametrize("pair", LEAVES.values(), ids=LEAVES.keys())
def test_the_first_alert_leaves_the_second_alone(
    alertmanager: AlertmanagerServer, pair: tuple[Labels, Labels]
) -> None:
    assert muted(alertmanager, *pair) == [False, False]
