"""What differs between two settings, and whether a worker that runs can take it over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from ruptura.settings.keys import Key, refusal, section_keys, service_keys, shown
from ruptura.settings.loading import Origins
from ruptura.settings.section import TakesEffect
from ruptura.settings.sections import Settings
from ruptura.settings.services import ServiceSettings

_MOST_REFUSALS: Final = 5
"""Refused keys that are named in one line; the others are counted."""

_HARMLESS: Final = (TakesEffect.NOW, TakesEffect.TOPICS)
"""What a worker that runs takes over. Of keys for topics it takes no note: it goes by the topics
that there are, also where their number of partitions shapes the state."""


class Change(msgspec.Struct, frozen=True):
    """A key that has another value.

    Attributes:
        path: Its dotted path; of a service with the name of the service.
        key: What it is.
        before, after: The values.
    """

    path: str
    key: Key
    before: object
    after: object

    def __str__(self) -> str:
        """Say what it was and what it is, on one line."""
        return f"{self.path}: {self._shown(self.before)} -> {self._shown(self.after)}"

    @property
    def refusal(self) -> str:
        """Say why it cannot be made now."""
        expected = f"{self._shown(self.before)} while the worker runs"
        after = "nothing" if self.after is None else self.after
        text = refusal(after, expected, secret=self.key.secret)
        return f"{self.path}: {text}: it takes effect {self.key.takes_effect.value}"

    def _shown(self, value: object) -> str:
        if value is None:
            return "nothing"
        return "***" if self.key.secret else shown(value)


def changes(before: Settings, after: Settings) -> Sequence[Change]:
    """Return what differs between two settings, in the order of the reference.

    A service is compared by what is in force for it, be it said in its own table or in `default`.
    """
    return [*_section_changes(before, after), *_service_changes(before, after)]


def refused(found: Sequence[Change], origins: Origins) -> str | None:
    """Return why changes cannot be made while a worker runs, on one line; None if they can.

    Args:
        found: As `changes` has returned them.
        origins: Where the new values were set.
    """
    wrong = [change for change in found if change.key.takes_effect not in _HARMLESS]
    if not wrong:
        return None
    named = [f"{_origin(change, origins)}: {change.refusal}" for change in wrong[:_MOST_REFUSALS]]
    if len(wrong) > len(named):
        named.append(f"and {len(wrong) - len(named)} more")
    return "; ".join(named)


def _section_changes(before: Settings, after: Settings) -> Iterator[Change]:
    for section, keys in section_keys().items():
        for name, key in keys.items():
            old = getattr(getattr(before, section), name)
            new = getattr(getattr(after, section), name)
            if old != new:
                yield Change(key.path, key, old, new)


def _service_changes(before: Settings, after: Settings) -> Iterator[Change]:
    names = before.services.keys() | after.services.keys() | {"default"}
    for service in sorted(names, key=lambda name: (name != "default", name)):
        old, new = _in_force(before, service), _in_force(after, service)
        for name, key in service_keys().items():
            one, other = getattr(old, name), getattr(new, name)
            if one != other:
                yield Change(f"services.{service}.{name}", key, one, other)


def _in_force(settings: Settings, service: str) -> ServiceSettings:
    return settings.services.get(service) or settings.services.get("default", ServiceSettings())


def _origin(change: Change, origins: Origins) -> str:
    name = change.key.name
    return origins.get(change.path) or origins.get(f"services.default.{name}", "defaults")
