"""A real Alertmanager on loopback, under the configuration that is shipped.

    config = compressed(root / "deploy/alertmanager/alertmanager.yml", folder, webhook.address)
    with AlertmanagerServer(config, folder) as alertmanager:
        alertmanager.post([{"labels": {"alertname": "RupturaCritical", ...}}])

Program: `prometheus-alertmanager`, of the Debian package of that name.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from tests.integration.kafka_server import free_ports
from tests.integration.server_process import ServerProcess

SHIPPED_WEBHOOK = "http://127.0.0.1:5001"
"""Where the receivers of the shipped configuration post to."""

SHIPPED_SECRETS = "/etc/alertmanager/secrets"
"""Where the shipped configuration with accounts reads secrets."""


def compressed(
    source: Path,
    folder: Path,
    webhook: str,
    *,
    secrets: Path | None = None,
    group_wait: str = "1s",
    group_interval: str = "1s",
    repeat_interval: str = "1h",
) -> Path:
    """Write a shipped configuration with other times and addresses; return the copy's path.

    Nothing else differs: routes, inhibitions, receivers and templates are the shipped ones.

    Args:
        source: The shipped configuration, whose webhooks begin with `SHIPPED_WEBHOOK`.
        folder: Where `alertmanager.yml` is written.
        webhook: Address, without a slash at its end, that takes the place of the shipped one.
        secrets: Folder that takes the place of `SHIPPED_SECRETS`; none: the shipped one.
        group_wait, group_interval, repeat_interval: Durations of Prometheus, for every route.
    """
    text = source.read_text().replace(SHIPPED_WEBHOOK, webhook)
    if secrets is not None:
        text = text.replace(SHIPPED_SECRETS, str(secrets))
    config = yaml.safe_load(text)
    config["templates"] = [str(source.parent / glob) for glob in config["templates"]]
    times = {
        "group_wait": group_wait,
        "group_interval": group_interval,
        "repeat_interval": repeat_interval,
    }
    config["route"] |= times
    _retime(config["route"], times)
    copy = folder / "alertmanager.yml"
    copy.write_text(yaml.safe_dump(config, sort_keys=False))
    return copy


def _retime(route: dict[str, Any], times: Mapping[str, str]) -> None:
    for name, value in times.items():
        if name in route:
            route[name] = value
    for child in route.get("routes", ()):
        _retime(child, times)


class AlertmanagerServer(ServerProcess):
    """Alertmanager, alone (no cluster), with its data in a folder.

    Args:
        config: The configuration file.
        folder: An existing folder for data and log.

    Raises:
        ServerError: on entering the `with`, where it is absent or does not start.
    """

    def __init__(self, config: Path, folder: Path) -> None:
        [port] = free_ports(1)
        self.target = f"127.0.0.1:{port}"
        """Host and port, as Prometheus wants them."""
        self.address = f"http://{self.target}"
        """The address, without a slash at its end."""
        super().__init__(
            [
                "prometheus-alertmanager",
                f"--config.file={config}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={self.target}",
                f"--web.external-url={self.address}",
                "--cluster.listen-address=",
            ],
            f"{self.address}/-/ready",
            folder / "alertmanager.log",
        )

    def post(self, alerts: Iterable[Mapping[str, Any]]) -> None:
        """Send alerts by API v2; each has `labels`, and may have `annotations`, `endsAt`."""
        request = urllib.request.Request(  # noqa: S310 - an address of ours
            f"{self.address}/api/v2/alerts",
            json.dumps(list(alerts)).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - an address of ours
            pass

    def resolve(self, alerts: Iterable[Mapping[str, Any]]) -> None:
        """Say that alerts have ended, now."""
        now = datetime.now(UTC).isoformat()
        self.post([{**alert, "endsAt": now} for alert in alerts])

    def alerts(self, *matchers: str) -> list[dict[str, Any]]:
        """The alerts that it holds, muted ones too, with `labels`, `receivers` and `status`.

        Args:
            matchers: As in `alertname="RupturaCritical"`; all must hold.
        """
        query = urllib.parse.urlencode([("filter", matcher) for matcher in matchers])
        with urllib.request.urlopen(f"{self.address}/api/v2/alerts?{query}", timeout=10) as answer:  # noqa: S310 - an address of ours
            found: list[dict[str, Any]] = json.load(answer)
            return found
