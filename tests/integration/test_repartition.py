"""Records keyed by ticket, sent on to the partitions of their services by workers on real Kafka."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaProducer

from ruptura.assembly.build import repartition_topics
from ruptura.settings import Settings
from ruptura.tools import topics
from tests.integration.scattered import scattered, with_repartition
from tests.integration.workers import (
    PARTITIONS,
    SERVICES,
    WorkerProcess,
    alerts_on,
    in_order,
    partition_of,
    read_topic,
    replayed,
    ruptura,
    scenario,
    tuned,
    wait_for_alerts,
    worker,
    write_recording,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def tuning(settings: Settings) -> Settings:
    """Settings with repartition, and the topics that `topics create` makes for them."""
    tuning = with_repartition(tuned(settings))
    assert topics.create(tuning).ok
    return tuning


def test_the_topics_are_made_and_checked(tuning: Settings) -> None:
    internal = list(repartition_topics(tuning).values())
    assert internal == [
        f"{tuning.kafka.group_id}-{tuning.topics.tickets}-repartition",
        f"{tuning.kafka.group_id}-{tuning.topics.channel_metrics}-repartition",
    ]
    assert set(internal) <= set(topics.check(tuning).existing)
    ruptura(tuning, "topics", "check")


def test_alerts_are_those_of_a_replay_and_of_records_keyed_by_service(
    tmp_path: Path, tuning: Settings
) -> None:
    recording = write_recording(tmp_path / "in.jsonl", scattered(scenario()), tuning)
    expected = replayed([recording], tuning)
    well_keyed = write_recording(tmp_path / "keyed.jsonl", scenario(), tuning)
    assert in_order(expected.alerts) == in_order(
        replayed([well_keyed], tuned_without(tuning)).alerts
    )
    ruptura(tuning, "publish", str(recording), "--speed", "max")
    with worker(tuning, tmp_path / "worker.log") as running:
        wait_for_alerts(running, tuning, expected)
        count = running.counter
        tickets = sum(record.topic == "ruptura.tickets" for record in scenario())
        # Some records come after the last alert.
        running.wait(
            lambda: count("ruptura_events_consumed_total", topic=tuning.topics.tickets) == tickets
        )
        assert count("ruptura_events_misrouted_total") == 0
        assert count("ruptura_events_late_total") == 0
        assert count("ruptura_events_rejected_total") == 0
        running.stop()
    assert in_order(expected.comparable(alerts_on(tuning))) == in_order(expected.alerts)
    for topic in repartition_topics(tuning).values():
        for record in read_topic(tuning, topic):
            if record.value is not None:
                assert record.partition == partition_of(record.key.decode())
                assert record.key.decode() == json.loads(record.value)["service"]


def test_another_number_of_partitions_in_the_settings_changes_nothing_of_a_worker_that_runs(
    tmp_path: Path, tuning: Settings
) -> None:
    config = tmp_path / "ruptura.toml"
    config.write_text("")
    with WorkerProcess(tuning, tmp_path / "worker.log", config=config) as running:
        running.wait_ready()
        config.write_text("[topics]\npartitions = 8\n")
        [change] = running.wait(lambda: running.said("settings changed"))
        assert change["changes"] == ["topics.partitions: 4 -> 8"]
        [warning] = running.said(
            "the topics have another number of partitions than topics.partitions; it is ignored"
        )
        assert (warning["topics"], warning["settings"]) == (4, 8)
        assert running.counter("ruptura_settings_reload_successful") == 1.0
        running.stop()


def tuned_without(settings: Settings) -> Settings:
    return msgspec.structs.replace(
        settings, topics=msgspec.structs.replace(settings.topics, repartition=False)
    )


def test_dead_letters_name_the_record_that_was_produced(tmp_path: Path, tuning: Settings) -> None:
    topic = tuning.topics.tickets
    at = time.time()
    good = {"event_id": "e", "ticket_id": "T", "type": "opened", "channel": "app"}
    bad = [
        (None, b"\x00 not a document"),
        (b"T-1", None),
        (b"T-2", json.dumps(good | {"service": SERVICES[0]}).encode()),  # no time
        (b"\xff", b'{"service": 5}'),
        (b"", b""),
    ]
    sent = {}
    with KafkaProducer(bootstrap_servers=tuning.kafka.bootstrap_servers) as producer:
        for number, (key, value) in enumerate(bad * 4):
            headers = [("ruptura-origin", b"not ours"), ("trace", b"\xfe%d" % number)]
            partition = number % PARTITIONS
            got = producer.send(topic, value, key, headers, partition=partition).get(30)
            sent[got.partition, got.offset] = key, value, headers
        # Somebody else's record in an internal topic is an oddity, and no harm.
        [internal, _] = repartition_topics(tuning).values()
        producer.send(internal, b"?", b"k", partition=0).get(30)
    with worker(tuning, tmp_path / "worker.log") as running:
        total = len(sent) + 1
        running.wait(lambda: running.counter("ruptura_events_dead_lettered_total") == total)
        running.stop()
    letters = [json.loads(r.value) for r in read_topic(tuning, tuning.topics.dead_letter)]
    assert Counter(letter["topic"] for letter in letters) == {topic: len(sent), internal: 1}
    found = {
        (letter["partition"], letter["offset"]): (
            unpacked(letter["key"]),
            unpacked(letter["value"]),
            [(name, unpacked(value)) for name, value in letter["headers"]],
        )
        for letter in letters
        if letter["topic"] == topic
    }
    assert found == sent
    assert all(abs(letter["timestamp"] - at) < 3600 for letter in letters)


def unpacked(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
