"""A real Prometheus scrapes a real worker, and answers the questions that dashboards ask."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ruptura.settings import Settings
from tests.integration.prometheus_server import ask, prometheus
from tests.integration.workers import (
    SERVICES,
    ruptura,
    scenario,
    tuned,
    worker,
    write_recording,
)

pytestmark = pytest.mark.integration


def test_prometheus_knows_what_the_worker_has_seen(
    tmp_path: Path, topic_settings: Settings
) -> None:
    tuning = tuned(topic_settings)
    told = scenario()
    recording = write_recording(tmp_path / "in.jsonl", told, tuning)
    with worker(tuning, tmp_path / "worker.log") as running:
        target = running.url("").removeprefix("http://").rstrip("/")
        with prometheus(tmp_path, target) as address:
            # A first scrape shows counters at zero, so that `increase` sees all that follows.
            running.wait(lambda: ask(address, 'up{job="ruptura"} == 1'))
            ruptura(tuning, "publish", str(recording), "--speed", "max")
            total = "sum(ruptura_events_consumed_total)"
            running.wait(lambda: set(ask(address, total).values()) == {float(len(told))})

            def answers(query: str) -> dict[str, float]:
                return {
                    dict(labels).get("service", ""): value
                    for labels, value in ask(address, query).items()
                }

            opened = answers('sum(ruptura_alerts_total{reason="opened"})')
            assert opened[""] >= 4
            by_service = answers("count by (service) (ruptura_series_expected)")
            assert by_service.keys() == set(SERVICES)
            for name in ("observed", "lower", "upper", "score"):
                assert answers(f"count by (service) (ruptura_series_{name})").keys() == set(
                    SERVICES
                )
            risk = answers("max by (service) (ruptura_channel_risk)")
            assert all(0.0 <= value <= 1.0 for value in risk.values())
            assert risk.keys() == set(SERVICES)
            states = answers("sum by (service) (ruptura_channel_state)")
            assert states == dict.fromkeys(SERVICES, 1.0)
            assert answers("sum(ruptura_events_rejected_total)") == {"": 0.0}
            late = ask(address, "sum(ruptura_events_late_total)")
            assert set(late.values()) == {0.0}
            quantile = (
                "histogram_quantile(0.99, sum by (le) (ruptura_batch_processing_seconds_bucket))"
            )
            assert 0.0 < answers(quantile)[""] < 5.0
            assert ask(address, "ruptura_build_info")
            ages = ask(address, "ruptura_worker_beat_age_seconds")
            assert len(ages) == 5
            lag = ask(address, "sum(ruptura_faust_end_offset - ruptura_faust_committed_offset)")
            deadline = time.monotonic() + 20
            while set(lag.values()) != {0.0} and time.monotonic() < deadline:
                time.sleep(0.5)
                lag = ask(address, "sum(ruptura_faust_end_offset - ruptura_faust_committed_offset)")
            assert set(lag.values()) == {0.0}, "everything is committed a moment later"
            assert running.get("/healthz")[0] == 200
        running.stop()
