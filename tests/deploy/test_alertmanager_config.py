"""What can be seen of Alertmanager's configuration without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

NAMES = ("alertmanager.yml", "alertmanager.accounts.yml")
SECRET = re.compile(r"(_key|password|secret|token|api_url)$")


@pytest.fixture(scope="module")
def configs(root: Path) -> dict[str, Any]:
    folder = root / "deploy" / "alertmanager"
    return {name: yaml.safe_load((folder / name).read_text()) for name in NAMES}


def routes(route: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield route
    for child in route.get("routes", ()):
        yield from routes(child)


def keys(document: object) -> Iterator[str]:
    if isinstance(document, dict):
        yield from document
        for value in document.values():
            yield from keys(value)
    elif isinstance(document, list):
        for value in document:
            yield from keys(value)


def test_with_and_without_accounts_routes_and_inhibitions_are_the_same(
    configs: dict[str, Any],
) -> None:
    plain, accounts = (configs[name] for name in NAMES)
    for part in ("templates", "route", "inhibit_rules"):
        assert plain[part] == accounts[part]
    assert [r["name"] for r in plain["receivers"]] == [r["name"] for r in accounts["receivers"]]


@pytest.mark.parametrize("name", NAMES)
def test_secrets_are_only_read_from_files(configs: dict[str, Any], name: str) -> None:
    assert [key for key in keys(configs[name]) if SECRET.search(key)] == []


def test_the_default_reaches_nothing_but_this_machine(configs: dict[str, Any]) -> None:
    for receiver in configs[NAMES[0]]["receivers"]:
        assert receiver.keys() <= {"name", "webhook_configs"}
        for webhook in receiver.get("webhook_configs", ()):
            assert webhook["url"] == f"http://127.0.0.1:5001/{receiver['name']}"
            assert webhook["send_resolved"]


def test_every_receiver_is_used_and_only_the_quiet_one_says_nothing(
    configs: dict[str, Any],
) -> None:
    for config in configs.values():
        used = {route["receiver"] for route in routes(config["route"])}
        assert used == {receiver["name"] for receiver in config["receivers"]}
        assert [r["name"] for r in config["receivers"] if r.keys() == {"name"}] == ["quiet"]


def test_what_an_inhibition_compares_is_there_on_both_sides(configs: dict[str, Any]) -> None:
    """Alertmanager takes a label that both lack for an equal one.

    `service` is the exception: every alert of Ruptura has it.
    """
    for rule in configs[NAMES[0]]["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            for label in set(rule.get("equal", ())) - {"service"}:
                assert f'{label}!=""' in rule[side], rule


def test_inhibitions_leave_alerts_of_others_alone(configs: dict[str, Any]) -> None:
    for rule in configs[NAMES[0]]["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            assert any(m.startswith("alertname") and "Ruptura" in m for m in rule[side]), rule


def test_both_languages_define_the_same_messages(root: Path) -> None:
    defined: dict[str, set[str]] = {"en": set(), "pt-BR": set()}
    for path in (root / "deploy" / "alertmanager" / "templates").glob("*.tmpl"):
        for name, language in re.findall(r'define "([\w.]+)\.(en|pt-BR)"', path.read_text()):
            defined[language].add(name)
    assert defined["en"] > {"ruptura.title", "ruptura.text", "ruptura.email.html"}
    assert defined["pt-BR"] - defined["en"] == {"ruptura.kind"}
    assert defined["en"] - defined["pt-BR"] == set()


def test_templates_that_receivers_name_exist(root: Path) -> None:
    folder = root / "deploy" / "alertmanager"
    texts = [path.read_text() for path in (folder / "templates").glob("*.tmpl")]
    defined = {name for text in texts for name in re.findall(r'define "([^"]+)"', text)}
    texts.append((folder / NAMES[1]).read_text())
    used = {name for text in texts for name in re.findall(r'template "([^"]+)"', text)}
    assert used <= defined
    assert {"ruptura.slack.text.en", "ruptura.email.html.pt-BR"} <= used
