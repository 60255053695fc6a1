"""Which metrics and labels a query names: as much of PromQL as our own queries use."""

from __future__ import annotations

import re

_STRING = r'"(?:[^"\\]|\\.)*"'
_SELECTOR = re.compile(rf"([a-zA-Z_:][\w:]*)\{{((?:[^}}\"]|{_STRING})*)\}}")
_MATCHER = re.compile(rf"(\w+)\s*(?:=~|!~|!=|=)\s*{_STRING}")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")


def selectors(expr: str) -> list[tuple[str, set[str]]]:
    """Each metric that a query selects, with the labels that it is selected by."""
    found = [
        (name, {matcher[1] for matcher in _MATCHER.finditer(inside)})
        for name, inside in _SELECTOR.findall(expr)
    ]
    bare = re.sub(_STRING, '""', _SELECTOR.sub("", expr))
    left = re.findall(r"\b(?:ruptura|process)_\w+", bare)
    found.extend((name, set()) for name in left)
    return found


def grouped(expr: str) -> set[str]:
    """The labels by which a query groups or joins."""
    names = {name.strip() for found in _GROUPING.findall(expr) for name in found.split(",")}
    return names - {""}
