"""New settings for a worker that runs: on SIGHUP, or when their file changes; all or nothing.

What is in force stays in force until all of the new settings hold and none of the keys that differ
needs a restart. A file is known by what it holds, so that a link that is put on another file (as
Kubernetes does with a ConfigMap) counts, and a mere touch does not.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

import structlog
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ruptura.settings import (
    Change,
    Settings,
    SettingsError,
    changes,
    fingerprint,
    load_with_origins,
    refused,
)

_CHECK_SECONDS: Final = 1.0  # between two looks at the file
_NAP_SECONDS: Final = 0.2  # between two looks at whether a signal has come

_log = structlog.get_logger("ruptura.worker")


class SettingsStatus(Collector):
    """Which settings are in force, as gauges.

    Args:
        settings: Those that the worker starts with.
        clock: Seconds since the Unix epoch.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.take(settings)

    def take(self, settings: Settings) -> None:
        """Note settings that are in force now, be they new or the same."""
        self._hash = fingerprint(settings)
        self._loaded_at = self._clock()
        self._is_successful = True

    def refuse(self) -> None:
        """Note that settings were refused, and the former ones are in force still."""
        self._is_successful = False

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges as they stand."""
        yield GaugeMetricFamily(
            "ruptura_settings_reload_successful",
            "Whether the last attempt to load the settings has succeeded (1) or not (0).",
            value=1 if self._is_successful else 0,
        )
        yield GaugeMetricFamily(
            "ruptura_settings_last_reload_timestamp_seconds",
            "When settings were last loaded with success, as a Unix time.",
            value=self._loaded_at,
        )
        info = GaugeMetricFamily(
            "ruptura_settings_info",
            "Hash of the settings in force, without secrets; workers with the same have the same.",
            labels=["hash"],
        )
        info.add_metric([self._hash], 1)
        yield info


class Reloader:
    """Takes new settings over.

    Args:
        path: The file; None: there is none, and only the environment counts.
        settings: In force.
        status: Takes note of every attempt.
        warnings: What has been warned of already.
    """

    def __init__(
        self,
        path: Path | None,
        settings: Settings,
        status: SettingsStatus,
        warnings: Sequence[str] = (),
    ) -> None:
        self._warned = set(warnings)
        self._path = path
        self._settings = settings
        self._status = status
        self._is_asked = False
        # What the file held; nothing is known yet, so that what has changed before is seen too.
        self._tried: bytes | None = None
        self._seen: bytes | None = None

    def ask(self, *_: object) -> None:
        """Have the settings loaded again soon; can be the handler of a signal, and comes often."""
        self._is_asked = True

    async def run(
        self, apply: Callable[[Settings], Awaitable[None]], should_stop: Callable[[], bool]
    ) -> None:
        """Look for changes until the worker stops.

        Args:
            apply: Puts settings into force, or raises and changes nothing.
            should_stop: Whether the worker stops.
        """
        due = 0.0
        while not should_stop():
            await asyncio.sleep(_NAP_SECONDS)
            if self._is_asked:
                self._is_asked = False
                await self.reload(apply)
            elif self._path is not None and time.monotonic() >= due:
                due = time.monotonic() + _CHECK_SECONDS
                if self.has_changed():
                    await self.reload(apply, is_first=self._tried is None)

    def has_changed(self) -> bool:
        """Return whether the file holds what was not tried yet, and the same as at the last look.

        A file that is being written, or replaced by deletion, is not yet what it is going to be.
        """
        now = self._digest()
        before, self._seen = self._seen, now
        return now == before and now != self._tried

    async def reload(
        self, apply: Callable[[Settings], Awaitable[None]], *, is_first: bool = False
    ) -> None:
        """Load the settings, and put them into force or say why not.

        Args:
            apply: As for `run`.
            is_first: Then it is not worth a word that nothing has changed.
        """
        self._tried = self._digest()
        try:
            # Aside: the holidays of a country take a while.
            settings, found, warnings = await asyncio.to_thread(self._load)
            if found:
                await apply(settings)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker goes on as before
            self._status.refuse()
            is_ours = isinstance(error, SettingsError)
            cause = str(error) if is_ours else f"{type(error).__name__}: {error}"
            _log.error("settings refused; the previous ones stay in force", cause=cause)
            return
        self._settings = settings
        self._status.take(settings)
        for warning in warnings:
            if warning not in self._warned:
                _log.warning("setting without effect", cause=warning)
        self._warned = set(warnings)
        if found:
            _log.info("settings changed", changes=[str(change) for change in found])
        elif not is_first:
            _log.info("settings loaded again; nothing has changed")

    def _load(self) -> tuple[Settings, list[Change], Sequence[str]]:
        loaded = load_with_origins(self._path, os.environ)
        found = list(changes(self._settings, loaded.settings))
        cause = refused(found, loaded.origins)
        if cause is not None:
            raise SettingsError(cause)
        return loaded.settings, found, loaded.warnings

    def _digest(self) -> bytes:
        """Return what the file holds; empty where it cannot be read."""
        if self._path is None:
            return b""
        try:
            return blake2b(self._path.read_bytes(), digest_size=16).digest()
        except OSError:
            return b""
