"""promtool, as Debian ships it, on what is deployed: configuration, rules, and their unit tests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.prometheus_rules import PROMETHEUS, UNIT_TESTS, rules

pytestmark = pytest.mark.integration

RUNBOOKS = PROMETHEUS.parent / "runbooks"
ALERTS = [rule["alert"] for rule in rules() if "alert" in rule]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_configuration_is_sound() -> None:
    check = promtool("check", "config", PROMETHEUS / "prometheus.yml")
    assert check.returncode == 0, check.stdout + check.stderr
    assert "2 rule files found" in check.stdout


def test_the_rules_are_sound() -> None:
    files = sorted((PROMETHEUS / "rules").glob("*.yml"))
    check = promtool("check", "rules", "--lint=all", "--lint-fatal", *files)
    assert check.returncode == 0, check.stdout + check.stderr
    assert sum(map(int, re.findall(r"(\d+) rules found", check.stdout))) == len(rules())


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
def test_the_unit_tests_of_the_rules_pass(file: Path) -> None:
    check = promtool("test", "rules", file)
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_unit_tests_notice_every_alert_that_never_fires(tmp_path: Path) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    path = tmp_path / "prometheus" / "rules" / "ruptura-alerts.yml"
    expression = re.compile(r"^( {8}expr: )\|\n(?: {10}.*\n)+", re.MULTILINE)
    marred, count = expression.subn(r"\1vector(0) > 1\n", path.read_text())
    assert count == len(ALERTS)
    path.write_text(marred)
    copies = tmp_path / "prometheus" / "tests"
    checks = [promtool("test", "rules", copies / file.name) for file in UNIT_TESTS]
    faults = "".join(check.stdout + check.stderr for check in checks)
    assert set(re.findall(r"alertname: ?(\w+), time", faults)) == set(ALERTS)


def test_the_queries_in_runbooks_are_promql(tmp_path: Path) -> None:
    queries = [
        query
        for page in sorted(RUNBOOKS.glob("*.md"))
        for query in re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    assert len(queries) >= len(ALERTS)
    records = [{"record": f"query:number{i}:x", "expr": text} for i, text in enumerate(queries)]
    file = tmp_path / "queries.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "runbooks", "rules": records}]}))
    check = promtool("check", "rules", file)
    assert check.returncode == 0, check.stdout + check.stderr
