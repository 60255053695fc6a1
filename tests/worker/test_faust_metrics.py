"""What Faust counts, in the names and units of Prometheus."""

from __future__ import annotations

from faust import Monitor
from faust.types import TP
from prometheus_client import CollectorRegistry, generate_latest

from ruptura.worker.faust_metrics import FaustCollector


def page(monitor: Monitor) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(FaustCollector(monitor))
    lines = generate_latest(registry).decode().splitlines()
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
        for line in lines
        if not line.startswith("#")
    }


def test_everything_starts_at_zero_and_reads_what_the_monitor_has_now() -> None:
    monitor = Monitor()
    assert set(page(monitor).values()) == {0.0}
    monitor.events_total = 7
    monitor.send_errors = 2
    monitor.rebalances = 3
    monitor.send_latency.extend([0.5, 0.25])
    shown = page(monitor)
    assert shown["ruptura_faust_batches_total"] == 7
    assert shown["ruptura_faust_send_errors_total"] == 2
    assert shown["ruptura_faust_rebalances_total"] == 3
    assert shown["ruptura_faust_send_latency_seconds"] == 0.25


def test_offsets_are_by_partition_and_absent_while_unknown() -> None:
    monitor = Monitor()
    monitor.tp_committed_offsets[TP("t", 1)] = 40
    monitor.track_tp_end_offset(TP("t", 1), 42)
    monitor.track_tp_end_offset(TP("t", 0), None)  # type: ignore[arg-type]  # Faust passes it on
    shown = page(monitor)
    assert shown['ruptura_faust_committed_offset{partition="1",topic="t"}'] == 40
    assert shown['ruptura_faust_end_offset{partition="1",topic="t"}'] == 42
    assert not [name for name in shown if 'partition="0"' in name]
