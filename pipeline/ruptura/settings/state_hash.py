"""A fingerprint of the settings that shape state: a snapshot of another shape must not be used."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from ruptura.settings.keys import section_keys, service_keys
from ruptura.settings.section import TakesEffect
from ruptura.settings.sections import Settings
from ruptura.settings.services import ServiceSettings


def settings_hash(settings: Settings) -> str:
    """Hash what learned numbers mean something under, as 32 hexadecimal digits.

    Those are the keys whose change takes effect by warming up anew; and with repartition the
    number of partitions, which then decides where services are. All others leave learned state
    valid: they say how it is judged, or what comes next.
    """
    shape: dict[str, object] = {}
    for section, keys in section_keys().items():
        for name, key in keys.items():
            if key.takes_effect is TakesEffect.REWARM and key.path != "topics.repartition":
                shape[name] = getattr(getattr(settings, section), name)
    if settings.topics.repartition:
        shape["repartition"] = settings.topics.partitions
    usual = settings.services.get("default", ServiceSettings())
    for name, key in service_keys().items():
        if key.takes_effect is TakesEffect.REWARM:
            shape[name] = default = getattr(usual, name)
            shape[f"{name}s"] = {
                service: value
                for service, own in settings.services.items()
                if (value := getattr(own, name)) != default
            }
    return blake2b(msgspec.json.encode(shape, order="deterministic"), digest_size=16).hexdigest()
