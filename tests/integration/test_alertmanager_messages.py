"""The messages as people get them: rendered by `amtool`, compared with what was looked at once.

Golden files stand in messages/: `<situation>.json` is what Alertmanager gives to a template,
`<situation>.<message>` what comes out. Written anew with RUPTURA_WRITE_MESSAGES=1; look at them.
"""

from __future__ import annotations

import json
import os
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

MESSAGES = Path(__file__).with_name("messages")
SITUATIONS = ("firing", "resolved", "joined", "partly", "watcher")
PARTS = {
    "title.{}.txt": ("text", "ruptura.title.{}"),
    "text.{}.txt": ("text", "ruptura.text.{}"),
    "slack.{}.txt": ("text", "ruptura.slack.text.{}"),
    "slack-title.{}.txt": ("text", "ruptura.slack.title.{}"),
    "email.{}.html": ("html", "ruptura.email.html.{}"),
}
LANGUAGES = ("en", "pt-BR")


def render(root: Path, data: Path, kind: str, template: str) -> str:
    templates = root / "deploy" / "alertmanager" / "templates" / "*.tmpl"
    done = subprocess.run(
        [
            "amtool", "template", "render", f"--template.glob={templates}",
            f"--template.type={kind}", f"--template.data={data}",
            f'--template.text={{{{ template "{template}" . }}}}',
        ],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def rendered(root: Path, tmp_path: Path) -> Any:
    """Render a message of one alert with some annotations or labels changed."""

    def one(template: str, kind: str = "text", **changed: str) -> str:
        document = json.loads((MESSAGES / "firing.json").read_text())
        for part in ("labels", "annotations"):
            had = document["alerts"][0][part]
            had.update({name: value for name, value in changed.items() if name in had})
        data = tmp_path / "data.json"
        data.write_text(json.dumps(document))
        return render(root, data, kind, template)

    return one


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("part", PARTS)
def test_a_message_is_what_was_looked_at(
    root: Path, situation: str, part: str, language: str
) -> None:
    kind, template = PARTS[part]
    found = render(root, MESSAGES / f"{situation}.json", kind, template.format(language))
    golden = MESSAGES / f"{situation}.{part.format(language)}"
    if os.environ.get("RUPTURA_WRITE_MESSAGES"):
        golden.write_text(found)
    assert found == golden.read_text()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_long_explanation_is_cut_between_two_words_and_says_so(
    rendered: Any, language: str
) -> None:
    long = " ".join(f"palavra{number}" for number in range(200))
    for template in ("ruptura.text.{}", "ruptura.slack.text.{}"):
        text = rendered(template.format(language), description=long, description_pt_br=long)
        [line] = [line for line in text.splitlines() if line.startswith("palavra0")]
        kept, _, remark = line.partition(" […] ")
        assert 600 < len(kept) <= 700
        assert long.startswith(f"{kept} ")
        assert ("painel" if language == "pt-BR" else "dashboard") in remark


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_explanation_of_just_the_length_is_left_alone(rendered: Any, language: str) -> None:
    whole = "ç" * 700
    text = rendered(f"ruptura.text.{language}", description=whole, description_pt_br=whole)
    assert whole in text.splitlines()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_that_an_alert_says_becomes_markup_of_an_e_mail(
    rendered: Any, language: str
) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    template = f"ruptura.email.html.{language}"
    calm, tried = _Tags(), _Tags()
    calm.feed(rendered(template, "html"))
    tried.feed(
        rendered(
            template, "html", service=evil, channel=evil, summary=evil, description=evil,
            description_pt_br=evil, risk=evil, runbook_url="javascript:alert(1)",
        )
    )  # fmt: skip
    assert tried.tags == calm.tags
    assert not [link for link in tried.links if link and link.startswith("javascript")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_that_an_alert_says_calls_people_on_slack(rendered: Any, language: str) -> None:
    evil = "<!channel> & <https://evil.example|click>"
    changed = dict.fromkeys(
        ("service", "channel", "summary", "description", "description_pt_br", "risk"), evil
    ) | {"dashboard_url": "/d/x?a=b|c>d<!here>", "runbook_url": "https://x/|y>"}
    for part in ("text", "title"):
        text = rendered(f"ruptura.slack.{part}.{language}", **changed)
        assert "&lt;!channel&gt; &amp; " in text
        assert "<!" not in text
        assert "<https://evil" not in text
    assert "a=b%7Cc%3Ed%3C!here%3E|" in rendered(f"ruptura.slack.text.{language}", **changed)
