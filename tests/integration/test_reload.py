"""New settings for a worker that runs on real Kafka: no restart, and no warm-up anew."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import msgspec
import pytest

from ruptura.settings import Settings
from tests.integration.publisher import publish
from tests.integration.workers import SERVICES, START, WorkerProcess, alerts_on, scenario, tuned
from tests.simulation.contact_centre import HOUR

pytestmark = pytest.mark.integration

DEAF = "[alert]\nopen_buckets = 1440\n"
BROKEN = "[alert]\nopen_buckets = 0\n"
TOO_MUCH = "[alert]\nopen_buckets = 2\n[window]\nbucket_seconds = 30\n"
ALERT = "[alert]\nopen_buckets = 2\n"


def hand_over(settings: Settings, begin: float, end: float) -> int:
    """Publish these hours of the scenario as if they were sent now; return how many records."""
    told = [
        msgspec.structs.replace(record, timestamp=time.time())
        for record in scenario()
        if begin <= (record.timestamp - START) / HOUR < end
    ]
    publish(settings, told)
    return len(told)


def state(running: WorkerProcess) -> tuple[float, float, float]:
    """Whether the last reload went well, how many alerts opened, how many channels warm up."""
    return (
        running.counter("ruptura_settings_reload_successful"),
        running.counter("ruptura_alerts_total", reason="opened"),
        running.counter("ruptura_channel_state", state="warming_up"),
    )


def put(folder: Path, text: str) -> None:
    """Swap the link to the settings' folder in one go, as Kubernetes does with a ConfigMap."""
    target = folder / f"settings-{time.monotonic_ns()}"
    target.mkdir()
    (target / "ruptura.toml").write_text(text)
    (folder / "new").symlink_to(target)
    (folder / "new").rename(folder / "settings")


def test_settings_change_while_a_worker_runs_whole_or_not_at_all(
    tmp_path: Path, topic_settings: Settings
) -> None:
    settings = tuned(topic_settings)
    put(tmp_path, DEAF)
    config = tmp_path / "settings" / "ruptura.toml"
    with WorkerProcess(settings, tmp_path / "worker.log", config=config) as running:
        running.wait_ready()
        # Six hours, in the last of which one service falls silent and one fails; nobody hears it.
        sent = hand_over(settings, 0.0, 6.0)
        running.wait_consumed(sent)
        running.wait(lambda: running.counter("ruptura_channel_state", state="normal") == 6)
        assert state(running) == (1.0, 0.0, 0.0)
        loaded_at = running.counter("ruptura_settings_last_reload_timestamp_seconds")

        # A file that does not hold, seen by its change.
        put(tmp_path, BROKEN)
        running.wait(lambda: running.counter("ruptura_settings_reload_successful") == 0.0)
        [refusal] = running.said("settings refused; the previous ones stay in force")
        assert refusal["cause"] == (
            f"{config}: alert.open_buckets: got 0, expected a whole number from 1 to 1440"
        )

        # A file with one key too many, loaded on a signal; its other key is not applied either.
        put(tmp_path, TOO_MUCH)
        running.process.send_signal(signal.SIGHUP)
        running.wait(lambda: len(running.said(refusal["event"])) == 2)
        cause = running.said(refusal["event"])[1]["cause"]
        assert "window.bucket_seconds: got 30, expected 60 while the worker runs" in cause
        assert "warms up every series" in cause
        assert state(running) == (0.0, 0.0, 0.0)
        assert running.counter("ruptura_settings_last_reload_timestamp_seconds") == loaded_at

        put(tmp_path, ALERT)
        [change] = running.wait(lambda: running.said("settings changed"))
        assert change["changes"] == ["alert.open_buckets: 1440 -> 2"]
        running.wait(lambda: running.counter("ruptura_settings_reload_successful") == 1.0)
        assert running.counter("ruptura_settings_last_reload_timestamp_seconds") > loaded_at
        running.process.send_signal(signal.SIGHUP)
        running.wait(lambda: running.said("settings loaded again; nothing has changed"))

        # From here on what breaks is heard: by the same process, without a warm-up.
        sent += hand_over(settings, 6.0, 9.0)
        running.wait_consumed(sent)
        running.wait(lambda: any(alert["service"] == SERVICES[3] for alert in alerts(settings)))
        assert running.counter("ruptura_channel_state", state="warming_up") == 0.0
        assert len(running.said("worker starts")) == 1
        running.stop()
    assert {alert["status"] for alert in alerts(settings)} >= {"critical", "resolved"}


def alerts(settings: Settings) -> list[dict[str, str]]:
    return [json.loads(document) for document in alerts_on(settings)]
