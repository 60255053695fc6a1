"""When a change of each key takes effect: at once, or only in a worker that is started anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Final

import msgspec

from ruptura.settings.keys import Key, refusal, section_keys, service_keys, shown
from ruptura.settings.loading import Origins
from ruptura.settings.sections import Settings
from ruptura.settings.services import ServiceSettings

_MOST_REFUSALS: Final = 5
"""Refused keys that are named in one line; the others are counted."""


class Timing(Enum):
    """When a change takes effect."""

    LIVE = "at once"
    WARM_UP = "after a restart, which warms up every series of every service anew"
    RESTART = "after a restart, which keeps what was learned"


_LIVE, _WARM_UP, _RESTART = Timing.LIVE, Timing.WARM_UP, Timing.RESTART

TIMING: Final[Mapping[str, Mapping[str, Timing]]] = {
    "kafka": {
        "bootstrap_servers": _RESTART,
        "group_id": _RESTART,
        "security_protocol": _RESTART,
        "ssl_cafile": _RESTART,
        "ssl_certfile": _RESTART,
        "ssl_keyfile": _RESTART,
        "ssl_key_password": _RESTART,
        "ssl_check_hostname": _RESTART,
        "sasl_mechanism": _RESTART,
        "sasl_username": _RESTART,
        "sasl_password": _RESTART,
        "session_timeout_seconds": _RESTART,
        "fetch_max_wait_seconds": _RESTART,
    },
    "topics": {
        "tickets": _RESTART,
        "channel_metrics": _RESTART,
        "alerts": _RESTART,
        "dead_letter": _RESTART,
        "partitions": _RESTART,
        "repartition": _RESTART,
        # Of these only `ruptura topics` takes note.
        "replication_factor": _LIVE,
        "retention_seconds": _LIVE,
        "output_retention_seconds": _LIVE,
    },
    "window": {
        "bucket_seconds": _WARM_UP,
        "lateness_seconds": _LIVE,
        "max_future_seconds": _LIVE,
        "idle_seconds": _LIVE,
        "duplicate_seconds": _LIVE,
        "duplicate_ids": _LIVE,
        "expire_seconds": _LIVE,
        "max_channels": _LIVE,
        "max_metrics": _LIVE,
        "max_open_tickets": _LIVE,
    },
    "detection": {
        "warm_up_seconds": _LIVE,
        "band_probability": _LIVE,
        "minimum_relative_effect": _LIVE,
        "minimum_level_effect": _LIVE,
        "minimum_count_effect": _LIVE,
        "signal_probability": _LIVE,
    },
    "alert": {
        "prior": _LIVE,
        "warning_risk": _LIVE,
        "critical_risk": _LIVE,
        "resolve_risk": _LIVE,
        "open_buckets": _LIVE,
        "resolve_buckets": _LIVE,
        "update_seconds": _LIVE,
    },
    "forecast": {
        "horizon_seconds": _LIVE,
        "window_seconds": _LIVE,
    },
    "worker": {
        "web_host": _RESTART,
        "web_port": _RESTART,
        "checkpoint_seconds": _RESTART,
        "tick_seconds": _RESTART,
        "max_fetched_bytes": _RESTART,
        "standby_replicas": _RESTART,
        "stop_seconds": _RESTART,
        "data_dir": _RESTART,
        "log_level": _LIVE,
        "log_format": _RESTART,
        "max_label_sets": _RESTART,
    },
    "services": {
        "time_zone": _WARM_UP,
        "country": _LIVE,
        "subdivision": _LIVE,
        "holiday_categories": _LIVE,
        "holidays": _LIVE,
        "commemorative_dates": _LIVE,
        "planned": _LIVE,
        "opening_hours": _LIVE,
        "channel_hours": _LIVE,
        "objectives": _LIVE,
        "runbook_url": _LIVE,
        "actions": _LIVE,
    },
}
"""Every key by section, those of one service under `services`; a test fails where one is absent."""


class Change(msgspec.Struct, frozen=True):
    """A key that has another value.

    Attributes:
        path: Its dotted path; of a service with the name of the service.
        key: What it is.
        before, after: The values.
        timing: When the change takes effect.
    """

    path: str
    key: Key
    before: object
    after: object
    timing: Timing

    def __str__(self) -> str:
        """Say what it was and what it is, on one line."""
        return f"{self.path}: {self._shown(self.before)} -> {self._shown(self.after)}"

    @property
    def refusal(self) -> str:
        """Say why it cannot be made now."""
        expected = f"{self._shown(self.before)} while the worker runs"
        after = "nothing" if self.after is None else self.after
        text = refusal(after, expected, secret=self.key.secret)
        return f"{self.path}: {text}: it takes effect {self.timing.value}"

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
    wrong = [change for change in found if change.timing is not Timing.LIVE]
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
                yield Change(key.path, key, old, new, TIMING[section][name])


def _service_changes(before: Settings, after: Settings) -> Iterator[Change]:
    names = before.services.keys() | after.services.keys() | {"default"}
    for service in sorted(names, key=lambda name: (name != "default", name)):
        old, new = _in_force(before, service), _in_force(after, service)
        for name, key in service_keys().items():
            one, other = getattr(old, name), getattr(new, name)
            if one != other:
                path = f"services.{service}.{name}"
                yield Change(path, key, one, other, TIMING["services"][name])


def _in_force(settings: Settings, service: str) -> ServiceSettings:
    return settings.services.get(service) or settings.services.get("default", ServiceSettings())


def _origin(change: Change, origins: Origins) -> str:
    name = change.key.name
    return origins.get(change.path) or origins.get(f"services.default.{name}", "defaults")
