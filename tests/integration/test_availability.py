"""A worker and its brokers' absence; workers that stand by for each other."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ruptura.settings import Settings
from ruptura.tools import topics
from tests.integration.conftest import settings_for
from tests.integration.kafka_server import KafkaServer
from tests.integration.publisher import publish
from tests.integration.workers import WorkerProcess, scenario, tuned, worker

pytestmark = pytest.mark.integration


def test_a_worker_waits_for_its_broker_in_one_line_and_starts_by_itself(
    kafka_cache: Path, tmp_path: Path
) -> None:
    with KafkaServer(kafka_cache, tmp_path / "kafka") as broker:
        tuning = tuned(settings_for(broker.bootstrap_servers, "waits"))
        assert topics.create(tuning).ok
        broker.kill()
        with WorkerProcess(tuning, tmp_path / "worker.log") as running:
            running.wait(lambda: running.get("/readyz")[0])
            status, text = running.get("/readyz")
            assert (status, json.loads(text)["reasons"]) == (503, ["Kafka does not answer"])
            time.sleep(3.0)  # several tries
            assert running.get("/healthz")[0] == 200
            assert running.counter("ruptura_worker_kafka_reachable") == 0
            [_, said] = running.lines
            assert said["event"] == "waiting for Kafka"
            assert said["cause"].startswith(f"cannot reach Kafka at {broker.bootstrap_servers}: ")
            broker.start()
            running.wait_ready()
            running.stop()


def test_a_worker_outlives_its_broker_s_absence_and_says_so(
    kafka_cache: Path, tmp_path: Path
) -> None:
    with KafkaServer(kafka_cache, tmp_path / "kafka") as broker:
        tuning = tuned(settings_for(broker.bootstrap_servers, "outlives"))
        assert topics.create(tuning).ok
        publish(tuning, scenario()[:2000])
        with worker(tuning, tmp_path / "worker.log") as running:
            running.wait(lambda: running.counter("ruptura_events_consumed_total") == 2000)
            broker.kill()
            running.wait(lambda: running.get("/readyz")[0] == 503)
            running.wait(lambda: running.said("cannot reach Kafka; trying again"))
            time.sleep(tuning.kafka.session_timeout_seconds + 2.0)
            assert running.get("/healthz")[0] == 200, "it is not the worker's fault"
            assert len(running.said("cannot reach Kafka; trying again")) == 1
            broker.start()
            running.wait_ready()
            publish(tuning, scenario()[2000:4000])
            running.wait(lambda: running.counter("ruptura_events_consumed_total") == 4000)
            assert running.counter("ruptura_events_late_total") == 0
            running.stop()


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_worker_stands_by_for_the_state_of_another_and_takes_over_from_it(
    tmp_path: Path, topic_settings: Settings, replicas: int
) -> None:
    tuning = tuned(topic_settings, standby_replicas=replicas)
    told = scenario()
    publish(tuning, told[:6000])
    with worker(tuning, tmp_path / "one.log") as one:
        one.wait(lambda: one.counter("ruptura_events_consumed_total") == 6000)
        with worker(tuning, tmp_path / "two.log") as two:

            def held() -> list[float]:
                return [each.counter("ruptura_worker_partitions") for each in (one, two)]

            def state() -> tuple[float, float]:
                [mine, other] = [each.counter("ruptura_worker_state_bytes") for each in (one, two)]
                return mine, other

            one.wait(lambda: held() == [4, 4])
            if replicas:
                # Each holds all, half of it for the other.
                one.wait(lambda: min(state()) > 0 and state()[0] == state()[1])
            else:
                one.wait(lambda: min(state()) > 0 and state()[0] != state()[1])
            one.kill()
            two.wait(lambda: held_by(two) == 8)
            services = sum(line["services"] for line in two.said("partition adopted")[-4:])
            assert services == 6
            publish(tuning, told[6000:7000])
            two.wait(lambda: two.counter("ruptura_events_consumed_total") >= 1000)
            assert two.counter("ruptura_events_late_total") == 0
            two.stop()


def held_by(running: WorkerProcess) -> float:
    return running.counter("ruptura_worker_partitions")
