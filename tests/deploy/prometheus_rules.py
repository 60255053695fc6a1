"""The rules as they are deployed, their unit tests, and what their expressions name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.exposed_metrics import Exposed, exposed

PROMETHEUS = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
UNIT_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
FOREIGN = {"up": frozenset({"job", "instance"})}
"""Metrics that Prometheus makes itself."""

_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_METRIC = re.compile(r"(?<![\w:$.])((?:\w+:)?ruptura_\w+(?::\w+)?|up)\b(?!\s*\()(\{[^}]*\})?")
_MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*(\"[^\"]*\"|'[^']*')")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
_QUERY = re.compile(r"query (\"(?:[^\"\\]|\\.)*\")|printf (\"(?:[^\"\\]|\\.)*\")[^|}]*\| query")


def rules() -> list[dict[str, Any]]:
    """All rules, in the order of their files."""
    found: list[dict[str, Any]] = []
    for path in sorted((PROMETHEUS / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            found += group["rules"]
    return found


def alerts() -> dict[str, dict[str, Any]]:
    """The alerting rules by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


@cache
def recorded() -> Mapping[str, Exposed]:
    """The recorded metrics, with the labels that their expressions leave."""
    found: dict[str, Exposed] = {}
    for rule in rules():
        if "record" in rule:
            groupings = [set(_names(g)) for g in re.findall(r"\bby \(([^)]*)\)", rule["expr"])]
            # The outermost level says it first; what has no level has lost all labels.
            labels = frozenset(groupings[0] - {"le"}) if groupings else frozenset()
            values = {
                label: frozenset().union(
                    *(metric.values.get(label, frozenset()) for metric in _sources(rule["expr"]))
                )
                for label in labels
            }
            found[rule["record"]] = Exposed(labels, values)
    return found


def queries(rule: dict[str, Any]) -> Iterator[str]:
    """The expression of an alert, and those in its annotations, their blanks filled in."""
    yield rule["expr"]
    for text in rule.get("annotations", {}).values():
        for plain, printed in _QUERY.findall(text):
            quoted = plain or printed
            yield re.sub(r"\\(.)", r"\1", quoted[1:-1]).replace("%q", '"x"')


def faults(expression: str) -> list[str]:
    """Metrics, labels and fixed label values of an expression that nothing can expose."""
    known = {**exposed(), **recorded(), **{n: Exposed(v, {}) for n, v in FOREIGN.items()}}
    found: list[str] = []
    here: set[str] = {"le"}
    named = list(_metrics(expression))
    if not named:
        found.append("names no metric")
    for name, matchers in named:
        if name not in known:
            found.append(f"no metric {name}")
            continue
        metric = known[name]
        # What a scrape adds.
        labels = metric.labels | {"job", "instance"} if ":" not in name else metric.labels
        here |= labels
        for label, operator, quoted in _MATCHER.findall(matchers):
            value = quoted[1:-1]
            if label not in labels:
                found.append(f"no label {label} of {name}")
            elif values := metric.values.get(label, frozenset()):
                choices = value.split("|") if "~" in operator else [value]
                found += [
                    f"{name} never has {label}={c}" for c in choices if c not in {*values, "x"}
                ]
    for grouping in _GROUPING.findall(_STRING.sub('""', expression)):
        found += [f"nothing has the label {n}" for n in _names(grouping) if n not in here]
    return found


def unit_tests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each case of each file that says when an alert fires: its alert, and the case."""
    for path in UNIT_TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                yield case["alertname"], case


def _sources(expression: str) -> list[Exposed]:
    known = exposed()
    return [known[name] for name, _ in _metrics(expression) if name in known]


def _metrics(expression: str) -> Iterator[tuple[str, str]]:
    # Outside strings only; a matcher's strings are read again with it.
    blank = _STRING.sub(lambda m: m[0][0] + "_" * (len(m[0]) - 2) + m[0][0], expression)
    for match in _METRIC.finditer(blank):
        yield match[1], expression[match.start(2) : match.end(2)] if match[2] else ""


def _names(grouping: str) -> list[str]:
    return [name.strip() for name in grouping.split(",") if name.strip()]
