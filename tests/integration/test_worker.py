"""The worker on real Kafka: what it refuses, what it reports, how it starts and stops."""

from __future__ import annotations

import base64
import json
import random
import signal
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from ruptura.core.contracts.event import Reason
from ruptura.settings import Settings
from tests.integration.publisher import publish
from tests.integration.workers import (
    SERVICES,
    WorkerProcess,
    partition_of,
    read_topic,
    ruptura,
    samples,
    scenario,
    tuned,
    worker,
)
from tests.simulation.contact_centre import TICKETS, ticket

pytestmark = pytest.mark.integration


def bad_values(seed: int, at: float) -> list[tuple[bytes | None, bytes | None, Reason]]:
    """Key, value and the reason for which they are refused: 200 of every kind that we know."""
    chance = random.Random(seed)
    good = json.dumps(ticket(at, 1)).encode()

    def one(kind: int) -> tuple[bytes | None, bytes | None, Reason]:
        match kind:
            case 0:
                return (
                    b"k",
                    b"\x00" + chance.randbytes(chance.randrange(1, 200)),
                    Reason.MALFORMED_JSON,
                )
            case 1:
                return b"k", good[: chance.randrange(1, len(good))], Reason.MALFORMED_JSON
            case 2:
                wrong = ticket(at, 1) | {chance.choice(("ticket_id", "service", "type")): 5}
                return b"k", json.dumps(wrong).encode(), Reason.INVALID_FIELD
            case 3:
                future = ticket(at + chance.uniform(600, 1e8), 1)
                return b"k", json.dumps(future).encode(), Reason.FUTURE_EVENT
            case 4:
                return b"k", None, Reason.NO_VALUE
            case 5:
                return chance.randbytes(9) + b"\xff", b"[]", Reason.INVALID_FIELD
            case _:
                return None, b"", Reason.MALFORMED_JSON

    return [one(n % 7) for n in range(200)]


def test_bad_records_become_dead_letters_once_each_with_reason_and_bytes(
    tmp_path: Path, topic_settings: Settings
) -> None:
    tuning = tuned(topic_settings)
    topic = tuning.topics.tickets
    bad = bad_values(7, time.time())
    sent: dict[tuple[int, int], tuple[bytes | None, bytes | None, Reason]] = {}
    with KafkaProducer(bootstrap_servers=tuning.kafka.bootstrap_servers) as producer:
        for number, (key, value, reason) in enumerate(bad):
            headers = [("trace", b"\xfe%d" % number)]
            got = producer.send(topic, value, key, headers, partition=number % 4).get(30)
            sent[got.partition, got.offset] = key, value, reason
        good = json.dumps(ticket(time.time(), 1)).encode()
        producer.send(topic, good, b"loja-aurora", partition=0).get(30)
    with worker(tuning, tmp_path / "worker.log") as running:
        running.wait(
            lambda: (
                running.counter("ruptura_events_dead_lettered_total") == len(bad)
                and running.counter("ruptura_events_consumed_total") == len(bad) + 1
            )
        )
        refused = {
            labels["reason"]: int(value)
            for name, labels, value in samples(running.get("/metrics")[1])
            if name == "ruptura_events_rejected_total" and value
        }
        running.stop()
    assert refused == Counter(reason.value for _, _, reason in bad)

    letters = [(record.key, json.loads(record.value)) for record in dead_letters(tuning)]
    assert len(letters) == len(bad)
    found = {}
    for key, letter in letters:
        assert letter["topic"] == topic
        assert key == unpacked(letter["key"])
        [(name, header)] = letter["headers"]
        assert name == "trace"
        assert (unpacked(header) or b"").startswith(b"\xfe")
        assert letter["text"]
        found[letter["partition"], letter["offset"]] = (
            key,
            unpacked(letter["value"]),
            Reason(letter["reason"]),
        )
    assert found == sent


def test_a_dead_letter_holds_the_largest_record_that_kafka_takes(
    tmp_path: Path, topic_settings: Settings
) -> None:
    letter, large = dead_letter_of_a_large_record(tmp_path, tuned(topic_settings))
    assert unpacked(letter["value"]) == large


def test_where_the_topic_takes_less_the_dead_letter_is_cut_and_stops_nobody(
    tmp_path: Path, settings: Settings
) -> None:
    tuning = tuned(settings)
    with KafkaAdminClient(bootstrap_servers=tuning.kafka.bootstrap_servers) as admin:
        shape = {"num_partitions": 4}
        admin.create_topics({tuning.topics.dead_letter: shape}, wait_for_metadata=True)
    ruptura(tuning, "topics", "create", code=1)
    letter, large = dead_letter_of_a_large_record(tmp_path, tuning)
    assert large.startswith(unpacked(letter["value"]) or b"?")
    assert "cut to 655360 bytes, whole at its source" in letter["text"]


def dead_letter_of_a_large_record(folder: Path, settings: Settings) -> tuple[dict[str, Any], bytes]:
    large = b"x" * 1_040_000
    with KafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, max_request_size=1_100_000
    ) as producer:
        producer.send(settings.topics.tickets, large, b"k").get(30)
    with worker(settings, folder / "worker.log") as running:
        running.wait(lambda: running.counter("ruptura_events_dead_lettered_total") == 1)
        running.stop()
    [record] = dead_letters(settings)
    return json.loads(record.value), large


def test_counters_equal_what_was_sent_and_the_page_is_well_formed(
    tmp_path: Path, topic_settings: Settings
) -> None:
    tuning = tuned(topic_settings)
    told = list(scenario(3)[:6000])
    doubled = [
        msgspec.structs.replace(record, offset=record.offset + 10_000_000) for record in told[-50:]
    ]
    publish(tuning, [*told, *doubled])
    misrouted = json.dumps(ticket(told[-1].timestamp, 77, service=SERVICES[0])).encode()
    with KafkaProducer(bootstrap_servers=tuning.kafka.bootstrap_servers) as producer:
        for _ in range(30):
            producer.send(
                tuning.topics.tickets, misrouted, b"by-ticket", partition=partition_of(SERVICES[0])
            )
    with worker(tuning, tmp_path / "worker.log") as running:
        total = len(told) + len(doubled) + 30
        running.wait(lambda: running.counter("ruptura_events_consumed_total") == total)
        status, page = running.get("/metrics")
        again = running.said("records are not keyed by their service: its events may be scattered")
        assert status == 200
        tickets = sum(record.topic == TICKETS for record in [*told, *doubled]) + 30
        count = running.counter
        assert count("ruptura_events_consumed_total", topic=tuning.topics.tickets) == tickets
        assert count("ruptura_events_duplicate_total") == len(doubled) + 29
        assert count("ruptura_events_misrouted_total", service=SERVICES[0]) == 30
        assert count("ruptura_events_late_total") == 0
        assert count("ruptura_events_rejected_total") == 0
        assert count("ruptura_buckets_closed_total") > 0
        assert count("ruptura_worker_beat_age_seconds", beat="step") < 30
        assert count("ruptura_faust_batches_total") > 0
        for _, labels, _ in samples(page):
            assert set(labels) <= {
                "topic", "partition", "service", "channel", "series", "kind", "severity", "reason",
                "state", "le", "label", "version", "python", "beat", "hash",
            }  # fmt: skip
        running.stop()
    assert len(again) == 1, "said once, not for every record"
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_pages_say_how_it_is(tmp_path: Path, topic_settings: Settings) -> None:
    with WorkerProcess(tuned(topic_settings), tmp_path / "worker.log") as running:
        # One answer, looked at twice: Faust's server takes the port over a moment later.
        first = running.wait(lambda: page if (page := running.get("/readyz"))[0] else None)
        assert first is not None
        assert (first[0], json.loads(first[1])["status"]) == (503, "starting")
        assert json.loads(first[1])["reasons"]
        running.wait_ready()
        assert running.get("/readyz") == (200, '{"status":"ready","reasons":[]}')
        assert running.get("/healthz") == (200, '{"status":"ok","reasons":[]}')
        running.stop()
    # A log is JSON, says what matters, and has nothing of the libraries.
    assert {line["logger"] for line in running.lines if line["level"] != "error"} == {
        "ruptura.worker"
    }
    assert "\x1b" not in running.output


HANGS = """
import asyncio
from ruptura.worker import health
from ruptura.worker.process import processor
health.LIMITS["step"] = (1.0, health.LIMITS["step"][1])
async def hang(self):
    await self._sources.idle_watermarks()
    if self._sources.intakes:
        async with self.stepper.lock:
            await asyncio.sleep(1e9)
processor.Processor._process_queued = hang
"""


def test_health_fails_when_the_loop_stands_still(tmp_path: Path, topic_settings: Settings) -> None:
    tuning = tuned(topic_settings, stop_seconds=1.0)
    publish(tuning, scenario()[:100])
    with WorkerProcess(tuning, tmp_path / "worker.log", HANGS) as running:
        running.wait(lambda: running.said("partition adopted"))
        running.wait(lambda: running.get("/healthz")[0] == 503)
        status, text = running.get("/healthz")
        assert status == 503
        [reason] = json.loads(text)["reasons"]
        assert reason.startswith("the loop that feeds the engine has not run for ")
        # Nor can it stop in order then, and the bound ends it.
        running.process.terminate()
        assert running.process.wait(30) == 1
        assert running.lines[-1]["event"] == "the stop takes too long; leaving what is not saved"


FAILS = """
from ruptura.core.engine import Engine
ingest, Engine.left = Engine.ingest, 2
def fail(self, records):
    self.left -= 1
    if not self.left:
        raise ArithmeticError("the engine is broken")
    return ingest(self, records)
Engine.ingest = fail
"""


def test_an_error_in_the_loop_ends_the_process_in_one_line_and_commits_no_more(
    tmp_path: Path, topic_settings: Settings
) -> None:
    tuning = tuned(topic_settings)
    told = scenario()[:4000]
    publish(tuning, told)
    with WorkerProcess(tuning, tmp_path / "worker.log", FAILS) as failing:
        assert failing.process.wait(60) == 1
    errors = [line for line in failing.lines if line["level"] not in {"info", "debug"}]
    assert [line["error"] for line in errors] == ["ArithmeticError: the engine is broken"]
    assert "Traceback" in errors[0]["exception"]
    assert not failing.said("everything is saved")

    # What was not saved comes again: as many records as a worker needs that starts from nothing.
    with KafkaConsumer(
        bootstrap_servers=tuning.kafka.bootstrap_servers, group_id=tuning.kafka.group_id
    ) as consumer:
        committed = sum(
            consumer.committed(TopicPartition(topic, n)) or 0
            for topic in (tuning.topics.tickets, tuning.topics.channel_metrics)
            for n in range(4)
        )
    assert committed < len(told)
    with worker(tuning, tmp_path / "worker.log") as running:
        running.wait(
            lambda: running.counter("ruptura_events_consumed_total") == len(told) - committed
        )
        running.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order_ten_times_in_a_row(
    tmp_path: Path, topic_settings: Settings, number: signal.Signals
) -> None:
    """Each at another moment: while it starts, right after it is ready, in the middle of work."""
    tuning = tuned(topic_settings)
    publish(tuning, scenario()[:8000])
    taken = []
    for pause in (0.0, 1.0, 2.5, None, 0.3):
        with WorkerProcess(tuning, tmp_path / "worker.log") as running:
            if pause is None:
                running.wait_ready()
            else:
                running.url("/metrics")
                time.sleep(pause)
            taken.append(running.stop(number))
            assert len(running.said("worker stopped")) == 1
    assert max(taken) < tuning.worker.stop_seconds


def test_absent_topics_are_named_in_one_line(tmp_path: Path, settings: Settings) -> None:
    tuning = tuned(settings)
    cause = refusal(tuning, tmp_path)
    topics = tuning.topics
    for name in (topics.tickets, topics.channel_metrics, topics.alerts, topics.dead_letter):
        assert name in cause
    assert f"{tuning.kafka.group_id}-state-changelog" in cause
    assert "ruptura topics create" in cause
    with KafkaAdminClient(bootstrap_servers=tuning.kafka.bootstrap_servers) as admin:
        assert topics.tickets not in {topic["name"] for topic in admin.describe_topics()}


def test_topics_of_different_sizes_are_named_in_one_line(
    tmp_path: Path, settings: Settings
) -> None:
    tuning = tuned(settings)
    with KafkaAdminClient(bootstrap_servers=tuning.kafka.bootstrap_servers) as admin:
        admin.create_topics({tuning.topics.tickets: {"num_partitions": 2}}, wait_for_metadata=True)
    ruptura(tuning, "topics", "create", code=1)
    cause = refusal(tuning, tmp_path)
    assert f"{tuning.topics.tickets} has 2" in cause
    assert f"{tuning.topics.channel_metrics} has 4" in cause


def test_the_topics_decide_how_many_partitions_there_are(
    tmp_path: Path, settings: Settings
) -> None:
    tuning = tuned(settings)
    two = msgspec.structs.replace(
        tuning, topics=msgspec.structs.replace(tuning.topics, partitions=2)
    )
    ruptura(two, "topics", "create")
    with worker(tuning, tmp_path / "worker.log") as running:
        [line] = running.said(
            "the topics have another number of partitions than topics.partitions; it is ignored"
        )
        assert (line["topics"], line["settings"]) == (2, 4)
        assert {said["partition"] for said in running.said("partition adopted")} == {0, 1}
        running.stop()


def test_a_port_in_use_is_one_line(tmp_path: Path, topic_settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        tuning = msgspec.structs.replace(
            topic_settings,
            worker=msgspec.structs.replace(topic_settings.worker, web_port=port),
        )
        assert refusal(tuning, tmp_path) == (
            f"cannot serve metrics on 127.0.0.1:{port}: the port is in use; "
            "set worker.web_port (RUPTURA_WORKER__WEB_PORT) to another"
        )


def refusal(settings: Settings, folder: Path) -> str:
    """Start a worker that must not start; return the one line that says why."""
    with WorkerProcess(settings, folder / "worker.log") as running:
        assert running.process.wait(30) == 1
    line = running.lines[-1]
    assert line["event"] == "cannot start"
    assert all(earlier["event"] == "worker starts" for earlier in running.lines[:-1])
    return str(line["cause"])


def dead_letters(settings: Settings) -> list[Any]:
    return read_topic(settings, settings.topics.dead_letter)


def unpacked(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def test_transactions_count_once_committed_and_their_markers_hold_up_nothing(
    tmp_path: Path, topic_settings: Settings
) -> None:
    tuning = tuned(topic_settings)
    window = msgspec.structs.replace(
        tuning.window, bucket_seconds=1, lateness_seconds=0.0, idle_seconds=1.0
    )
    tuning = msgspec.structs.replace(tuning, window=window)
    at = time.time()
    with KafkaProducer(
        bootstrap_servers=tuning.kafka.bootstrap_servers, transactional_id=tuning.topics.tickets
    ) as producer:
        producer.init_transactions()
        for number in range(20):
            producer.begin_transaction()
            for part in range(3):
                told = json.dumps(ticket(at, 10 * number + part)).encode()
                producer.send(tuning.topics.tickets, told, b"loja-aurora")
            if number % 4 == 1:
                producer.abort_transaction()
            else:
                producer.commit_transaction()
    hasty = "from ruptura.worker.process import intake; intake.STALL_SECONDS = 0.5"
    with WorkerProcess(tuning, tmp_path / "worker.log", hasty) as running:
        running.wait_ready()
        running.wait_consumed(45)
        # Time goes on although the last offset is a marker that nobody will ever deliver.
        running.wait(lambda: running.counter("ruptura_buckets_closed_total") >= 5)
        assert running.counter("ruptura_events_consumed_total") == 45
        running.stop()
