"""A fingerprint of all settings in force, to see whether workers have the same ones."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from ruptura.settings.keys import section_keys
from ruptura.settings.sections import Settings


def fingerprint(settings: Settings) -> str:
    """Hash every key but the secret ones, as 16 hexadecimal digits.

    It is published: of a secret that it held, guesses could be tried against it.
    """
    tables = msgspec.to_builtins(settings)
    for section, keys in section_keys().items():
        for key in keys.values():
            if key.secret:
                del tables[section][key.name]
    return blake2b(msgspec.json.encode(tables, order="deterministic"), digest_size=8).hexdigest()
