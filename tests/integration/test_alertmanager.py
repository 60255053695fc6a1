"""A real Alertmanager under the shipped configuration: who is told what, and how often.

Only times are compressed, to a second. That something is *not* told is seen by waiting for
`QUIET_SECONDS`, in which every group would have been told twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.alertmanager_server import AlertmanagerServer, compressed
from tests.integration.webhook import WebhookReceiver

pytestmark = pytest.mark.integration

QUIET_SECONDS = 3.0

Alert = dict[str, Any]


@pytest.fixture
def webhook() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def alertmanager(
    root: Path, tmp_path: Path, webhook: WebhookReceiver
) -> Iterator[AlertmanagerServer]:
    shipped = root / "deploy" / "alertmanager" / "alertmanager.yml"
    config = compressed(shipped, tmp_path, webhook.address)
    with AlertmanagerServer(config, tmp_path) as server:
        yield server


def channel_alert(channel: str, name: str = "RupturaCritical", **labels: str) -> Alert:
    """An alert as the rules make it: of one channel, in an incident of its own service."""
    usual = {
        "alertname": name,
        "service": "loja-aurora",
        "channel": channel,
        "severity": "warning" if name == "RupturaWarning" else "critical",
        "kind": "surge",
        "incident_id": "incident-1",
        "incident_role": "primary",
    }
    return {"labels": usual | labels, "annotations": {"summary": f"{channel} breaks"}}


def watcher_alert(name: str, severity: str = "critical") -> Alert:
    labels = {
        "alertname": name,
        "service": "ruptura",
        "kind": "pipeline",
        "severity": severity,
    }
    if name == "RupturaWorkerAbsent":
        labels["judging"] = "nobody"
    return {"labels": labels, "annotations": {"summary": name}}


def told(webhook: WebhookReceiver) -> list[tuple[str, str, list[str]]]:
    """Receiver, status and alerts of all notifications, once nothing more comes."""
    time.sleep(QUIET_SECONDS)
    return [(n.receiver, n.status, n.names) for n in webhook.notifications]


def test_an_incident_of_three_channels_is_one_page_and_one_resolution(
    alertmanager: AlertmanagerServer, webhook: WebhookReceiver
) -> None:
    incident = [
        channel_alert("voice"),
        channel_alert("webchat", incident_role="joined"),
        channel_alert("email", "RupturaWarning", incident_role="joined"),
    ]
    alertmanager.post(incident)
    [page] = webhook.wait(lambda told: len(told) >= 1)
    assert [alert["labels"]["channel"] for alert in page.alerts] == ["voice"]
    opened = ("operations-page", "firing", ["RupturaCritical"])
    assert told(webhook) == [opened]
    alertmanager.resolve(incident)
    webhook.wait(lambda told: len(told) >= 2)
    # What was muted while it was open is named once all has ended.
    ended = ("operations-page", "resolved", ["RupturaCritical", "RupturaCritical"])
    assert told(webhook) == [opened, ended]


def test_two_incidents_of_one_service_are_two_pages(
    alertmanager: AlertmanagerServer, webhook: WebhookReceiver
) -> None:
    alertmanager.post(
        [channel_alert("voice"), channel_alert("webchat", incident_id="incident-2")],
    )
    webhook.wait(lambda told: len(told) >= 2)
    assert told(webhook) == [("operations-page", "firing", ["RupturaCritical"])] * 2


def test_a_critical_channel_that_outlasts_the_primary_alert_stays_on_the_page(
    alertmanager: AlertmanagerServer, webhook: WebhookReceiver
) -> None:
    primary = channel_alert("voice")
    joined = channel_alert("webchat", incident_role="joined")
    alertmanager.post([primary, joined])
    webhook.wait(lambda told: len(told) >= 1)
    alertmanager.resolve([primary])
    assert sorted(told(webhook)) == [
        ("operations-page", "firing", ["RupturaCritical"]),
        ("operations-page", "firing", ["RupturaCritical", "RupturaCritical"]),
    ]


def test_a_critical_channel_that_joined_a_mere_warning_pages(
    alertmanager: AlertmanagerServer, webhook: WebhookReceiver
) -> None:
    alertmanager.post(
        [
            channel_alert("voice", "RupturaWarning"),
            channel_alert("webchat", incident_role="joined"),
            channel_alert("email", "RupturaWarning", incident_role="joined"),
        ]
    )
    webhook.wait(lambda told: len(told) >= 2)
    assert sorted(told(webhook)) == [
        ("operations-chat", "firing", ["RupturaWarning"]),
        ("operations-page", "firing", ["RupturaCritical"]),
    ]


def test_alerts_without_an_incident_do_not_mute_each_other(
    alertmanager: AlertmanagerServer, webhook: WebhookReceiver
) -> None:
    alertmanager.post(
        [
            channel_alert("voice", incident_id=""),
            channel_alert("webchat", incident_id="", incident_role="joined"),
        ]
    )
    webhook.wait(lambda told: len(told) >= 1)
    assert told(webhook) == [
        ("operations-page", "firing", ["RupturaCritical", "RupturaCritical"]),
    ]


def test_critical_mutes_the_warning_of_its_own_channel_only(
    alertmanager: AlertmanagerServer, webhook: WebhookReceiver
) -> None:
    alertmanager.post(
        [
            channel_alert("voice"),
            channel_alert("voice", "RupturaWarning"),
            channel_alert("webchat", "RupturaWarning", incident_id="incident-2"),
        ]
    )
    found = webhook.wait(lambda told: len(told) >= 2)
    [chat] = [n for n in found if n.receiver == "operations-chat"]
    assert [alert["labels"]["channel"] for alert in chat.alerts] == ["webchat"]
    assert sorted(told(webhook)) == [
        ("operations-chat", "firing", ["RupturaWarning"]),
        ("operations-page", "firing", ["RupturaCritical"]),
    ]


def test_a_warning_that_escalates_pages_once_and_chats_once(
    alertmanager: AlertmanagerServer, webhook: WebhookReceiver
) -> None:
    warning, critical = channel_alert("voice", "RupturaWarning"), channel_alert("voice")
    alertmanager.post([warning])
    webhook.wait(lambda told: len(told) >= 1)
    alertmanager.post([critical])
    webhook.wait(lambda told: len(told) >= 2)
    # Rules keep the warning for a while after the metric has become critical.
    alertmanager.resolve([warning])
    assert told(webhook) == [
        ("operations-chat", "firing", ["RupturaWarning"]),
        ("operations-page", "firing", ["RupturaCritical"]),
    ]


def test_each_kind_of_exception_pages_its_own_team(
    alertmanager: AlertmanagerServer, webhook: WebhookReceiver
) -> None:
    alertmanager.post(
        channel_alert("webchat", service=f"loja-{kind}", exception=kind)
        for kind in ("product", "service", "policy")
    )
    webhook.wait(lambda told: len(told) >= 3)
    assert sorted(receiver for receiver, _, _ in told(webhook)) == [
        "fulfilment-page",
        "policy-page",
        "product-page",
    ]


def test_a_dead_worker_mutes_what_it_watches_and_pages_once(
    alertmanager: AlertmanagerServer, webhook: WebhookReceiver
) -> None:
    alertmanager.post(
        [
            watcher_alert("RupturaWorkerAbsent"),
            watcher_alert("RupturaKafkaUnreachable"),
            watcher_alert("RupturaWorkerStalled"),
            watcher_alert("RupturaLag", "warning"),
            watcher_alert("RupturaWarmingUp", "info"),
            channel_alert("voice"),
            channel_alert("webchat", "RupturaSilence", service="loja-brisa"),
        ]
    )
    webhook.wait(lambda told: len(told) >= 1)
    assert told(webhook) == [("platform-page", "firing", ["RupturaWorkerAbsent"])]
    held = {
        alert["labels"]["alertname"]: alert["status"]["state"] for alert in alertmanager.alerts()
    }
    assert held.pop("RupturaWorkerAbsent") == "active"
    assert set(held.values()) == {"suppressed"}
    assert len(held) == 6


def test_a_worker_that_dies_and_returns_neither_resolves_nor_repeats_what_is_open(
    alertmanager: AlertmanagerServer, webhook: WebhookReceiver
) -> None:
    rupture, absent = channel_alert("voice"), watcher_alert("RupturaWorkerAbsent")
    alertmanager.post([rupture])
    webhook.wait(lambda told: len(told) >= 1)
    alertmanager.post([absent])
    webhook.wait(lambda told: len(told) >= 2)
    # With the worker its metrics are gone: Prometheus takes the alert to have ended.
    alertmanager.resolve([rupture])
    paged = [
        ("operations-page", "firing", ["RupturaCritical"]),
        ("platform-page", "firing", ["RupturaWorkerAbsent"]),
    ]
    assert told(webhook) == paged
    alertmanager.post([rupture])
    alertmanager.resolve([absent])
    assert told(webhook) == [*paged, ("platform-page", "resolved", ["RupturaWorkerAbsent"])]
    alertmanager.resolve([rupture])
    last = webhook.wait(lambda told: len(told) >= 4)[-1]
    assert (last.receiver, last.status) == ("operations-page", "resolved")


def test_slack_gets_the_explanation_in_the_language_of_the_team(
    root: Path, tmp_path: Path, webhook: WebhookReceiver
) -> None:
    (tmp_path / "slack-webhook-url").write_text(f"{webhook.address}/slack")
    shipped = root / "deploy" / "alertmanager" / "alertmanager.accounts.yml"
    config = compressed(shipped, tmp_path, webhook.address, secrets=tmp_path)
    why = {
        "summary": "voice may break",
        "description": "tickets.opened above normal: 60, 20 expected.",
        "description_pt_br": "tickets.opened acima do normal: 60, esperado 20.",
    }
    with AlertmanagerServer(config, tmp_path) as alertmanager:
        alertmanager.post(
            {**channel_alert("voice", "RupturaWarning", service=service), "annotations": why}
            for service in ("loja-aurora", "example-store")
        )
        found = webhook.wait(lambda told: len(told) >= 2)
    text = {n.document["channel"]: n.document["attachments"][0] for n in found}
    assert text.keys() == {"#operations", "#example-store"}
    assert text["#operations"]["title"] == "Warning: voice may break"
    assert why["description"] in text["#operations"]["text"]
    assert (
        text["#example-store"]["title"] == "Aviso: example-store / voice: demanda acima do normal"
    )
    assert why["description_pt_br"] in text["#example-store"]["text"]
