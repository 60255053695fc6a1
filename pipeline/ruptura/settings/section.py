"""What every table of the file is made of, and what each of its keys says of itself."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; an unknown key is an error."""


class TakesEffect(Enum):
    """When a change of a key takes effect."""

    NOW = "at once"
    RESTART = "after a restart, which keeps what was learned"
    REWARM = "after a restart, which warms up every series of every service anew"
    TOPICS = "when topics are created"


NOW: Final[dict[str, Any]] = {"takes_effect": TakesEffect.NOW}
RESTART: Final[dict[str, Any]] = {"takes_effect": TakesEffect.RESTART}
REWARM: Final[dict[str, Any]] = {"takes_effect": TakesEffect.REWARM}
TOPICS: Final[dict[str, Any]] = {"takes_effect": TakesEffect.TOPICS}
"""What each key has in the `extra` of its Meta; further entries are `unit` (where the name does not
say it), `allowed` (the range in words) and `secret`."""
