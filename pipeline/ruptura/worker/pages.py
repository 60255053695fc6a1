"""What a worker shows of itself over HTTP: metrics, health, readiness."""

from __future__ import annotations

import time
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector

from ruptura.outputs.prometheus.metrics import CONTENT_TYPE, Metrics
from ruptura.settings import Settings
from ruptura.worker.health import Health
from ruptura.worker.reload import SettingsStatus

PAGES: Final = ("/metrics", "/healthz", "/readyz")


class Pages:
    """What a worker shows of itself, from its first moment on.

    Args:
        settings: Of the worker.
    """

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, settings.worker.max_label_sets)
        self.health = Health(time.monotonic)
        self.status = SettingsStatus(settings)
        self.registry.register(self.health)
        self.registry.register(self.status)
        ProcessCollector(registry=self.registry)  # memory and processor time, where /proc is

    def page(self, path: str, is_ready: bool) -> tuple[int, bytes, str]:
        """Return status, content and its type."""
        if path == "/metrics":
            return 200, self.metrics.render(), CONTENT_TYPE
        if path == "/healthz":
            faults = self.health.faults()
            return _answer("failing" if faults else "ok", faults, is_good=not faults)
        reasons = [] if is_ready else [self._unready()]
        return _answer("ready" if is_ready else "starting", reasons, is_good=is_ready)

    def _unready(self) -> str:
        if not self.health.is_answered:
            return "Kafka does not answer"
        return "partitions are not assigned and restored yet"


def _answer(status: str, reasons: list[str], *, is_good: bool) -> tuple[int, bytes, str]:
    content = msgspec.json.encode({"status": status, "reasons": reasons})
    return 200 if is_good else 503, content, "application/json"
