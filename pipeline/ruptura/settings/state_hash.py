"""A fingerprint of the settings that shape state: a snapshot of another shape must not be used."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from ruptura.settings.sections import Settings

_CALENDAR = (
    "time_zone",
    "country",
    "subdivision",
    "holiday_categories",
    "holidays",
    "opening_hours",
)


def settings_hash(settings: Settings) -> str:
    """Hash window, detection and the calendars of the services, as 32 hexadecimal digits.

    With repartition also the number of partitions, which then decides where services are.
    Brokers, other topics, thresholds of alerts, plans and the process leave learned state valid.
    """
    calendars = {
        name: {key: getattr(service, key) for key in _CALENDAR}
        for name, service in settings.services.items()
    }
    shape: dict[str, object] = {
        "window": msgspec.to_builtins(settings.window),
        "detection": msgspec.to_builtins(settings.detection),
        "calendars": calendars,
    }
    if settings.topics.repartition:
        shape["repartition"] = settings.topics.partitions
    return blake2b(msgspec.json.encode(shape, order="deterministic"), digest_size=16).hexdigest()
