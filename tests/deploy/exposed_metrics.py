"""Every metric that a worker can expose, with its labels: taken from the code that makes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import msgspec
from faust import Monitor
from faust.types import TP
from prometheus_client import CollectorRegistry

from ruptura.core.contracts.document import AlertSignal, Kind, Status
from ruptura.core.contracts.effects import ChannelPoint, Effects, OpenAlert, SeriesPoint, State
from ruptura.core.contracts.event import ExceptionKind
from ruptura.core.contracts.facts import Prior, Term
from ruptura.outputs.prometheus.metrics import Metrics
from ruptura.settings import Settings
from ruptura.worker.faust_metrics import FaustCollector
from ruptura.worker.health import Health

PACKAGE = Path(import_module("ruptura").__path__[0])
COLLECTED = {
    "metrics",
    "counters",
    "timings",
    "channels",
    "open_alerts",
    "health",
    "faust_metrics",
    "reload",
}
"""The modules that make metrics, as filled below; a test holds this against the sources."""


class Exposed(msgspec.Struct, frozen=True):
    """The labels of one sample name, and the values that those with a fixed set can take."""

    labels: frozenset[str]
    values: Mapping[str, frozenset[str]]


FIXED = {"severity", "kind", "exception", "incident_role", "state", "beat", "reason", "language"}
"""Labels whose values the code fixes: an expression that names another one can never match."""


@cache
def exposed() -> Mapping[str, Exposed]:
    """All samples by name, as a scrape would show them (`_total`, `_bucket` and the like)."""
    registry = CollectorRegistry()
    _fill(Metrics(registry, 1000))
    registry.register(Health(lambda: 0.0))
    registry.register(_faust())
    status = _settings_status()
    if status is not None:
        registry.register(status)
    samples: dict[str, list[dict[str, str]]] = {}
    for family in registry.collect():
        assert family.samples, f"{family.name} is not filled: no label of it is known"
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample.labels)
    return {
        name: Exposed(
            frozenset(label for labels in found for label in labels),
            {
                label: frozenset(labels[label] for labels in found if label in labels)
                for label in FIXED
            },
        )
        for name, found in samples.items()
    }


def _fill(metrics: Metrics) -> None:
    channels: list[ChannelPoint] = []
    for kind in get_args(Kind):
        for severity in ("warning", "critical"):
            for exception in (None, *get_args(ExceptionKind)):
                for role in ("primary", "joined"):
                    channels.append(_open(f"c{len(channels)}", kind, severity, exception, role))
    channels += (ChannelPoint("shop", f"is {state}", 60.0, 0.5, state) for state in get_args(State))
    metrics.apply(
        Effects(
            consumed={"t": 1},
            misrouted={"shop": 1},
            points=[SeriesPoint("shop", "c0", "s", 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)],
            channels=channels,
            event_times={("t", 0): 1.0},
        )
    )
    metrics.observe_lag(2.0)
    metrics.jumped("t")


def _open(
    channel: str, kind: Kind, severity: Status, exception: ExceptionKind | None, role: str
) -> ChannelPoint:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    signal = AlertSignal("s", "above", 2.0, 1.0, 0.0, 1.0, 0.001, since)
    causes = [Term("prior", -9.0, Prior(1e-4))]
    alert = OpenAlert("a", "i", role, severity, kind, exception, causes, [signal])
    state: State = "critical" if severity == "critical" else "warning"
    return ChannelPoint("shop", channel, 60.0, 0.9, state, 0.5, 60.0, alert)


def _faust() -> FaustCollector:
    monitor = Monitor()
    monitor.tp_committed_offsets[TP("t", 0)] = 1
    monitor.track_tp_end_offset(TP("t", 0), 1)
    return FaustCollector(monitor)


def _settings_status() -> Any:
    if find_spec("ruptura.worker.reload") is None:
        return None
    return import_module("ruptura.worker.reload").SettingsStatus(Settings())
