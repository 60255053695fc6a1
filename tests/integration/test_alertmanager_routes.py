"""`amtool` on the shipped configuration: it is valid, and each alert goes where it should."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

CHANNEL_RULES = ("RupturaCritical", "RupturaWarning", "RupturaSilence", "RupturaBreachForecast")
KINDS = {
    "RupturaCritical": "surge",
    "RupturaWarning": "failure",
    "RupturaSilence": "silence",
    "RupturaBreachForecast": "forecast",
}
WATCHER_CRITICAL = ("RupturaWorkerAbsent", "RupturaWorkerStalled", "RupturaKafkaUnreachable")
WATCHER_WARNING = (
    "RupturaCheckpointsStalled",
    "RupturaLag",
    "RupturaDeadLetters",
    "RupturaLateEvents",
    "RupturaEventsMisrouted",
    "RupturaStateRefused",
    "RupturaOffsetsJumped",
    "RupturaLabelOverflow",
    "RupturaReloadFailed",
)
EXCEPTIONS = {
    "": "operations",
    "product": "product",
    "service": "fulfilment",
    "policy": "policy",
}


@pytest.fixture(params=["alertmanager.yml", "alertmanager.accounts.yml"])
def config(request: pytest.FixtureRequest, root: Path) -> Path:
    return root / "deploy" / "alertmanager" / str(request.param)


def amtool(*arguments: str) -> str:
    done = subprocess.run(
        ["amtool", *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def receiver(config: Path, **labels: str) -> str:
    pairs = [f"{name}={value}" for name, value in labels.items() if value]
    return amtool("config", "routes", "test", f"--config.file={config}", *pairs).strip()


def channel_labels(name: str, severity: str) -> dict[str, str]:
    return {
        "alertname": name,
        "service": "loja-aurora",
        "channel": "voice",
        "severity": severity,
        "kind": KINDS[name],
        "incident_id": "incident-1",
        "incident_role": "primary",
    }


def severities(name: str) -> tuple[str, ...]:
    fixed = {"RupturaCritical": ("critical",), "RupturaWarning": ("warning",)}
    return fixed.get(name, ("critical", "warning"))


CHANNEL_ALERTS = [(name, severity) for name in CHANNEL_RULES for severity in severities(name)]


def test_amtool_accepts_the_configuration_and_its_templates(config: Path) -> None:
    told = amtool("check-config", str(config))
    assert "SUCCESS" in told
    assert "1 templates" in told


@pytest.mark.parametrize(("name", "severity"), CHANNEL_ALERTS)
def test_severity_decides_between_page_and_chat_and_the_exception_between_teams(
    config: Path, name: str, severity: str
) -> None:
    loudness = "page" if severity == "critical" else "chat"
    found = {
        exception: receiver(config, **channel_labels(name, severity), exception=exception)
        for exception in EXCEPTIONS
    }
    assert found == {exception: f"{team}-{loudness}" for exception, team in EXCEPTIONS.items()}


@pytest.mark.parametrize(
    "name", [name for name, severity in CHANNEL_ALERTS if severity == "warning"]
)
def test_a_joined_warning_pages_nobody_whatever_its_exception_and_owner(
    config: Path, name: str
) -> None:
    labels = channel_labels(name, "warning") | {"incident_role": "joined"}
    assert receiver(config, **labels) == "incident-chat"
    assert receiver(config, **labels, exception="product") == "incident-chat"
    assert receiver(config, **(labels | {"service": "example-store"})) == "incident-chat"


def test_a_joined_alert_that_is_critical_pages_unless_a_primary_one_mutes_it(config: Path) -> None:
    labels = channel_labels("RupturaCritical", "critical") | {"incident_role": "joined"}
    assert receiver(config, **labels) == "operations-page"
    assert receiver(config, **labels, exception="product") == "product-page"


@pytest.mark.parametrize(("name", "severity"), CHANNEL_ALERTS)
def test_the_team_that_owns_a_service_is_told_all_of_it(
    config: Path, name: str, severity: str
) -> None:
    loudness = "page" if severity == "critical" else "chat"
    for service in ("example-store", "example-store-north"):
        labels = channel_labels(name, severity) | {"service": service}
        assert receiver(config, **labels) == f"example-store-{loudness}"
        assert receiver(config, **labels, exception="policy") == f"example-store-{loudness}"
    stranger = channel_labels(name, severity) | {"service": "example-storefront"}
    assert receiver(config, **stranger) == f"operations-{loudness}"


@pytest.mark.parametrize(
    ("names", "severity", "expected"),
    [
        (WATCHER_CRITICAL, "critical", "platform-page"),
        (WATCHER_WARNING, "warning", "platform-chat"),
        (("RupturaWarmingUp",), "info", "quiet"),
    ],
)
def test_the_watcher_itself_is_the_platform_team_s(
    config: Path, names: tuple[str, ...], severity: str, expected: str
) -> None:
    for name in names:
        labels = {
            "alertname": name, "service": "ruptura", "kind": "pipeline", "severity": severity
        }  # fmt: skip
        assert receiver(config, **labels) == expected


def test_a_customer_s_service_named_like_the_watcher_stays_a_service(config: Path) -> None:
    labels = channel_labels("RupturaCritical", "critical") | {"service": "ruptura"}
    assert receiver(config, **labels) == "operations-page"


def test_news_are_nowhere_loud(config: Path) -> None:
    for exception in EXCEPTIONS:
        for service in ("loja-aurora", "example-store"):
            labels = channel_labels("RupturaWarning", "info") | {"service": service}
            assert receiver(config, **labels, exception=exception) == "quiet"


def test_what_nobody_claims_is_seen_by_somebody(config: Path) -> None:
    assert receiver(config, alertname="Anything") == "operations-chat"
