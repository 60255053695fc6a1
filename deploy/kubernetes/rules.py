"""Make the operator's PrometheusRule from the rule files that any Prometheus reads.

python deploy/kubernetes/rules.py
"""

from __future__ import annotations

from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[1]
RULES = DEPLOY / "prometheus" / "rules"
MADE = Path(__file__).with_name("components") / "prometheus-operator" / "prometheusrule.yaml"

_HEAD = "# Made by deploy/kubernetes/rules.py from deploy/prometheus/rules; change those, run it.\n"


def prometheus_rule(folder: Path) -> str:
    """Return the manifest that holds all groups of a folder of rule files, by name of the file.

    Raises:
        FileNotFoundError: the folder holds no `*.yml`.
    """
    files = sorted(folder.glob("*.yml"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no rules")
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": "ruptura",
            "labels": {
                "app.kubernetes.io/name": "ruptura",
                "app.kubernetes.io/part-of": "ruptura",
            },
        },
        "spec": {"groups": groups},
    }
    return _HEAD + yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=100)


if __name__ == "__main__":
    MADE.write_text(prometheus_rule(RULES), encoding="utf-8")
