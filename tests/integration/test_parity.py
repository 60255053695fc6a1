"""One recording, two runners: a worker on real Kafka and a replay say the same, byte for byte."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ruptura.settings import Settings
from tests.integration.publisher import Publisher, named, publish
from tests.integration.recordings import kcat
from tests.integration.workers import (
    END,
    PARTITIONS,
    SERVICES,
    in_order,
    partition_of,
    replayed,
    ruptura,
    scenario,
    tuned,
    wait_for_alerts,
    worker,
    write_recording,
)
from tests.integration.workers import alerts_on as alerts_read_by_kafka_python
from tests.simulation.contact_centre import MINUTE

pytestmark = pytest.mark.integration


def test_the_scenario_is_worth_the_comparison(tmp_path: Path, settings: Settings) -> None:
    tuning = tuned(settings)
    told = scenario()
    assert {partition_of(service) for service in SERVICES} == set(range(PARTITIONS))
    assert {record.topic for record in told} == {"ruptura.tickets", "ruptura.channel-metrics"}
    expected = replayed([write_recording(tmp_path / "in.jsonl", told, tuning)], tuning)
    alerts = [json.loads(document) for document in expected.alerts.values()]
    assert len({alert["service"] for alert in alerts}) >= 4
    assert {alert["status"] for alert in alerts} == {"warning", "critical", "resolved"}
    assert {"surge", "failure"} <= {alert["kind"] for alert in alerts}


def test_worker_and_replay_publish_the_same_alerts(
    tmp_path: Path, topic_settings: Settings
) -> None:
    """`topics create`, `publish` and `worker` are the commands that a person would type."""
    tuning = tuned(topic_settings)
    recording = write_recording(tmp_path / "in.jsonl", scenario(), tuning)
    expected = replayed([recording], tuning)
    ruptura(tuning, "topics", "check")
    ruptura(tuning, "publish", str(recording), "--speed", "max")
    with worker(tuning, tmp_path / "worker.log") as running:
        wait_for_alerts(running, tuning, expected)
        running.stop()

    by_kafka_python = expected.comparable(alerts_read_by_kafka_python(tuning))
    by_kcat = expected.comparable(
        line.encode() for line in kcat(tuning, tuning.topics.alerts, "-f", "%s\n")
    )
    assert in_order(by_kafka_python) == in_order(expected.alerts)
    assert in_order(by_kcat) == in_order(expected.alerts)
    keys = kcat(tuning, tuning.topics.alerts, "-f", "%k %s\n")
    assert all(
        line.split(" ", 1)[0] == json.loads(line.split(" ", 1)[1])["service"] for line in keys
    )

    # What `record` takes from the topics leads a replay to the same alerts again, and `replay` as
    # a command prints the very lines.
    again = tmp_path / "recorded.jsonl.zst"
    ruptura(tuning, "record", "-o", str(again), "--until-end")
    printed = ruptura(tuning, "replay", str(again), "--json").stdout.encode().splitlines()
    assert in_order(expected.comparable(printed)) == in_order(expected.alerts)


def test_events_that_arrive_while_the_worker_runs_lead_to_the_same(
    tmp_path: Path, topic_settings: Settings
) -> None:
    tuning = tuned(topic_settings)
    told = [record for record in scenario(2) if record.timestamp >= END - 240 * MINUTE]
    # Every source has spoken before time runs: at this speed, a source of which nobody knows yet
    # would be late by minutes for a hundredth of a second.
    begun = END - 230 * MINUTE
    head = [record for record in told if record.timestamp < begun]
    rest = [record for record in told if record.timestamp >= begun]
    whole = write_recording(tmp_path / "whole.jsonl", told, tuning)
    expected = replayed([whole], tuning)
    assert expected.alerts
    publish(tuning, head)
    with worker(tuning, tmp_path / "worker.log") as running:
        running.wait(lambda: running.counter("ruptura_events_consumed_total") == len(head))
        # Almost four hours in five seconds: ticks come in between, and have to change nothing.
        paced = Publisher(tuning, named(rest, tuning), seconds=5.0)
        paced.start()
        paced.finish()
        wait_for_alerts(running, tuning, expected)
        assert running.counter("ruptura_events_late_total") == 0
        running.stop()
    found = expected.comparable(alerts_read_by_kafka_python(tuning))
    assert in_order(found) == in_order(expected.alerts)


def test_the_table_of_a_stopped_worker_can_be_read_from_its_changelog(
    tmp_path: Path, topic_settings: Settings
) -> None:
    tuning = tuned(topic_settings)
    publish(tuning, scenario()[:3000])
    with worker(tuning, tmp_path / "worker.log") as running:
        running.wait(lambda: running.counter("ruptura_events_consumed_total") == 3000)
        running.stop()
    done = subprocess.run(
        ["kcat", "-b", tuning.kafka.bootstrap_servers, "-C", "-e", "-q", "-f", "%p %k\n",
         "-t", f"{tuning.kafka.group_id}-state-changelog", "-o", "beginning"],
        capture_output=True, check=True, text=True, timeout=30,
    )  # fmt: skip
    entries = {tuple(line.split(" ", 1)) for line in done.stdout.splitlines()}
    services = {(str(partition_of(s)), f"{partition_of(s)}/service/{s}") for s in SERVICES}
    assert services <= entries
    assert {key for _, key in entries - services} == {f"{n}/clock" for n in range(PARTITIONS)}
