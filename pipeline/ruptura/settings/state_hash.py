"""A fingerprint of the settings that shape state: a snapshot of another shape must not be used."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from ruptura.settings.sections import Settings
from ruptura.settings.services import ServiceSettings


def settings_hash(settings: Settings) -> str:
    """Hash what learned numbers mean something under, as 32 hexadecimal digits.

    That is the length of a bucket, the time zone of each service (hours of the day are learned in
    it), and with repartition the number of partitions, which then decides where services are.
    Thresholds, opening hours, holidays and dates, limits of time and memory, brokers, other topics
    and plans leave learned state valid: they say how it is judged, or what comes next.
    """
    zones = {name: service.time_zone for name, service in settings.services.items()}
    usual = zones.pop("default", ServiceSettings().time_zone)
    shape: dict[str, object] = {
        "bucket_seconds": settings.window.bucket_seconds,
        "time_zone": usual,
        "time_zones": {name: zone for name, zone in zones.items() if zone != usual},
    }
    if settings.topics.repartition:
        shape["repartition"] = settings.topics.partitions
    return blake2b(msgspec.json.encode(shape, order="deterministic"), digest_size=16).hexdigest()
