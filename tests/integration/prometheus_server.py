"""A real Prometheus on loopback.

    with PrometheusServer(folder, ["127.0.0.1:6066"], rules=[file], alertmanager=target) as server:
        server.ask("ruptura_alert_info")

Program: `prometheus`, of the Debian package of that name.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.integration.kafka_server import free_ports
from tests.integration.server_process import ServerProcess

Labels = tuple[tuple[str, str], ...]
"""Names and values of labels, sorted: fit for a key."""


def compressed_rules(
    source: Path, folder: Path, *, interval: str = "1s", hold: str = "0s", keep: str = "2s"
) -> Path:
    """Write a file of rules with other times; return the copy's path.

    Nothing else differs: expressions, labels and annotations are those of the file.

    Args:
        source: Rules of Prometheus.
        folder: Where the copy goes, under the same name.
        interval: Between evaluations, for every group.
        hold: `for`, where a rule has one.
        keep: `keep_firing_for`, where a rule has one.
    """
    document = yaml.safe_load(source.read_text())
    for group in document["groups"]:
        group["interval"] = interval
        for rule in group["rules"]:
            for name, value in (("for", hold), ("keep_firing_for", keep)):
                if name in rule:
                    rule[name] = value
    copy = folder / source.name
    copy.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return copy


class PrometheusServer(ServerProcess):
    """Prometheus with its data in a folder.

    Args:
        folder: An existing folder for configuration, data and log.
        targets: host:port of each worker, scraped as job `ruptura`.
        rules: Files of rules.
        alertmanager: host:port of the Alertmanager that gets alerts; none: nobody does.
        interval: Between scrapes, and between evaluations of groups that have none of their own.
        external_labels: What rules see as `$externalLabels`; alerts carry them too.

    Raises:
        ServerError: on entering the `with`, where it is absent or does not start.
    """

    def __init__(
        self,
        folder: Path,
        targets: Sequence[str],
        *,
        rules: Sequence[Path] = (),
        alertmanager: str | None = None,
        interval: str = "1s",
        external_labels: Mapping[str, str] | None = None,
    ) -> None:
        [port] = free_ports(1)
        self.target = f"127.0.0.1:{port}"
        """Host and port."""
        self.address = f"http://{self.target}"
        """The address, without a slash at its end."""
        config: dict[str, Any] = {
            "global": {
                "scrape_interval": interval,
                "evaluation_interval": interval,
                "external_labels": dict(external_labels or {}),
            },
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {"job_name": "ruptura", "static_configs": [{"targets": list(targets)}]}
            ],
        }
        if alertmanager is not None:
            config["alerting"] = {
                "alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]
            }
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        super().__init__(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={self.target}",
                # An alert is sent again so often: what resolved is told soon.
                "--rules.alert.resend-delay=1s",
            ],
            f"{self.address}/-/ready",
            folder / "prometheus.log",
        )

    def ask(self, query: str) -> dict[Labels, float]:
        """The samples that a query yields now, by their labels."""
        data = self.get("query", query=query)
        return {
            tuple(sorted(found["metric"].items())): float(found["value"][1])
            for found in data["result"]
        }

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts pending and firing, each with `labels`, `annotations` and `state`."""
        return list(self.get("alerts")["alerts"])

    def get(self, path: str, **parameters: object) -> Any:
        """The data of an answer of the API.

        Raises:
            OSError: nobody answers, or Prometheus refuses.
        """
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - an address of ours
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]
