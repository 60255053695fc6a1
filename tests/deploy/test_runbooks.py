"""The runbooks: links lead somewhere, and what they tell people to type is there to be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

import click
import pytest

from ruptura.cli import cli
from ruptura.core.contracts.document import Kind
from ruptura.outputs.texts import drafts
from ruptura.settings.keys import section_keys, service_keys
from tests.deploy.prometheus_rules import alerts, faults, recorded

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "deploy" / "runbooks"
PAGES = sorted(RUNBOOKS.glob("*.md"))
ALERTS = alerts()
SECTIONS = [
    "What it means",
    "True or false",
    "First three actions",
    "Tune or mute",
    "What the customer sees",
]
DRAFTS: dict[str, Kind] = {
    "RupturaCritical": "failure",
    "RupturaWarning": "surge",
    "RupturaSilence": "silence",
    "RupturaBreachForecast": "forecast",
}


def text_of(name: str) -> str:
    return (RUNBOOKS / f"{name}.md").read_text()


def section(name: str, title: str) -> str:
    return re.split(r"^## ", text_of(name).split(f"## {title}\n", 1)[1], flags=re.MULTILINE)[0]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path) -> list[str]:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    return broken


def unwrapped(text: str) -> str:
    """Paragraphs and quotations as one line, whatever their line breaks."""
    return " ".join(text.replace("\n>", "\n").split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text(
        "# One: two\n[a](#one-two) [b](#three) [c](no.md) [d](a.md#one-two) [e](a.md#x)"
    )
    assert broken_links(page) == ["#three", "no.md", "a.md#x"]


def test_every_alert_links_to_its_page_and_every_page_is_an_alerts() -> None:
    linked = set()
    for name, rule in ALERTS.items():
        path = re.search(r"/blob/main/([\w/]+)\" }}(/\S+)$", rule["annotations"]["runbook_url"])
        assert path is not None, name
        file, _, anchor = (path[1] + path[2]).partition("#")
        assert (ROOT / file).is_file(), name
        assert not anchor or anchor in anchors(ROOT / file)
        linked.add(ROOT / file)
    assert linked == {page for page in PAGES if page.stem != "README"}


def test_the_index_names_every_alert_with_its_severity() -> None:
    index = text_of("README")
    for name, rule in ALERTS.items():
        [row] = re.findall(rf"^\| \[{name}\]\({name}\.md\) \| ([a-z, ]+) \|", index, re.MULTILINE)
        told = rule.get("labels", {}).get("severity")
        if told is None:
            matcher = re.search(r'severity="(\w+)"', rule["expr"])
            told = matcher[1] if matcher else row
        assert told == row or told in row.split(", "), name


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_says_all_that_who_is_paged_needs(name: str) -> None:
    assert text_of(name).startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text_of(name), re.MULTILINE) == SECTIONS
    actions = re.findall(r"^(\d)\. ", section(name, "First three actions"), re.MULTILINE)
    assert actions == ["1", "2", "3"]
    assert "```promql" in section(name, "True or false")


@pytest.mark.parametrize("name", ALERTS)
def test_queries_name_what_there_is(name: str) -> None:
    found = []
    for query in re.findall(r"```promql\n(.*?)```", text_of(name), re.DOTALL):
        # One metric is matched with another of its labels; names of examples are free.
        found += faults(re.sub(r'(service|channel)="\w+"', r'\1="x"', query))
    assert found == []


@pytest.mark.parametrize("name", [*ALERTS, "README"])
def test_settings_that_are_named_exist(name: str) -> None:
    sections = section_keys()
    named = re.findall(r"`([a-z_]+|services\.<service>)\.([a-z_]+)(?: = \w+)?`", text_of(name))
    named = [(table, key) for table, key in named if key not in ("md", "yml")]
    for table, key in named:
        if table == "services.<service>":
            assert key in service_keys(), key
        elif table != "tickets":
            assert key in sections[table], f"{table}.{key}"
    if name != "README":
        assert named or name == "RupturaReloadFailed"


@pytest.mark.parametrize("name", ALERTS)
def test_the_silence_matches_this_alert_and_its_labels(name: str) -> None:
    commands = re.findall(r"^amtool silence add (.+)$", section(name, "Tune or mute"), re.MULTILINE)
    assert len(commands) == 1
    matchers: dict[str, str] = {}
    options: dict[str, str] = {}
    for word in shlex.split(commands[0]):
        label, _, value = word.partition("=")
        (options if label.startswith("--") else matchers)[label] = value
    assert matchers.pop("alertname") == name
    assert options.keys() == {"--duration", "--comment"}
    assert re.fullmatch(r"\d+h", options["--duration"])
    grouping = re.search(r"by \(([^)]*)\)", ALERTS[name]["expr"])
    grouped = set(grouping[1].split(", ")) if grouping else set()
    for metric, exposed in recorded().items():
        if ALERTS[name]["expr"].startswith(metric):
            grouped |= exposed.labels
    assert matchers.keys() <= grouped


@pytest.mark.parametrize("name", [*ALERTS, "README"])
def test_commands_of_ruptura_exist_with_their_options(name: str) -> None:
    for line in re.findall(r"`ruptura ([^`]+)`", text_of(name)):
        command: click.Command = cli
        words = unwrapped(line).split()
        while isinstance(command, click.Group):
            word = words.pop(0)
            assert word in command.commands, f"ruptura {line}"
            command = command.commands[word]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, f"ruptura {line}"


@pytest.mark.parametrize(("name", "kind"), DRAFTS.items())
def test_the_drafts_for_customers_are_those_of_the_alerts(name: str, kind: Kind) -> None:
    told = unwrapped(section(name, "What the customer sees"))
    draft = drafts.draft(kind, "warning", "{service}", "{channel}")
    over = drafts.draft(kind, "resolved", "{service}", "{channel}")
    for text in (draft.pt_br, draft.en, over.pt_br):
        assert text in told


def test_every_kind_of_alert_has_its_draft_on_a_page() -> None:
    assert set(DRAFTS.values()) == set(get_args(Kind))
