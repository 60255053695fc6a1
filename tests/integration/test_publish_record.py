"""`publish` and `record` against real Kafka, with kcat as the witness."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.partitioner.default import murmur2

from ruptura.core.contracts.record import Record
from ruptura.tools.publish import PublishError, publish
from ruptura.tools.record import RecordError, record
from tests.integration.recordings import NOON, essence, kcat, numbered, read, write

pytestmark = pytest.mark.integration

AWKWARD = [
    Record("ruptura.tickets", 0, 0, NOON, b"loja", b'{"n": 1}', (("source", b"crm"), ("x", b""))),
    Record("ruptura.tickets", 0, 1, NOON + 1, b"loja", b"\xff\x00 not UTF-8", (("raw", b"\xfe"),)),
    Record("ruptura.tickets", 1, 0, NOON + 2, None, "ação €".encode()),
    Record("ruptura.tickets", 1, 1, NOON + 3, b"\x80", None),
    Record("ruptura.tickets", 2, 0, NOON + 4, None, None),
    Record("ruptura.channel-metrics", 3, 0, NOON + 5, b"", b""),
]


def test_what_was_published_is_recorded_byte_for_byte(topic_settings, tmp_path):
    summary = publish(topic_settings, [write(tmp_path / "in.jsonl", AWKWARD)])
    assert (summary.records, summary.failed, summary.ended) == (len(AWKWARD), 0, "end")

    out = tmp_path / "out.jsonl.zst"
    recorded = record(topic_settings, [], out, until_end=True)
    assert recorded.reason == "end"
    assert recorded.by_topic == {
        topic_settings.topics.tickets: 5,
        topic_settings.topics.channel_metrics: 1,
    }
    assert essence(read(out)) == essence(AWKWARD)


def test_keys_choose_partitions_as_in_java_and_a_service_keeps_its_order(topic_settings, tmp_path):
    sent = numbered(200)
    publish(topic_settings, [write(tmp_path / "in.jsonl", sent)])
    record(topic_settings, [], tmp_path / "out.jsonl", until_end=True)
    by_service = defaultdict(list)
    for found in read(tmp_path / "out.jsonl"):
        assert found.partition == (murmur2(found.key) & 0x7FFFFFFF) % 4
        by_service[found.key].append(json.loads(found.value or b"")["n"])
    assert by_service == {b"service-%d" % s: list(range(s, 200, 7)) for s in range(7)}


def test_partitions_and_times_are_kept_on_demand(topic_settings, tmp_path):
    sent = [r for r in AWKWARD if r.topic == "ruptura.tickets"]
    source = write(tmp_path / "in.jsonl", sent)
    publish(topic_settings, [source], keep_partitions=True, keep_timestamps=True)
    tickets = topic_settings.topics.tickets
    record(topic_settings, [tickets], tmp_path / "out.jsonl", until_end=True)
    found = sorted(read(tmp_path / "out.jsonl"), key=lambda r: r.timestamp)
    assert [(r.partition, r.offset, r.timestamp) for r in found] == [
        (r.partition, r.offset, r.timestamp) for r in sent
    ]


def test_without_keeping_times_records_are_of_now(topic_settings, tmp_path):
    before = time.time()
    publish(topic_settings, [write(tmp_path / "in.jsonl", numbered(1))])
    record(topic_settings, [], tmp_path / "out.jsonl", until_end=True)
    (found,) = read(tmp_path / "out.jsonl")
    assert round(before, 3) - 0.001 <= found.timestamp <= time.time()


def test_kcat_reads_what_publish_wrote(topic_settings, tmp_path):
    sent = AWKWARD[0]
    publish(topic_settings, [write(tmp_path / "in.jsonl", [sent])], keep_timestamps=True)
    (line,) = kcat(topic_settings, topic_settings.topics.tickets, "-J")
    partition = (murmur2(sent.key) & 0x7FFFFFFF) % 4
    assert json.loads(line) == {
        "topic": topic_settings.topics.tickets, "partition": partition, "offset": 0,
        "tstype": "create", "ts": round(NOON * 1000), "broker": 1,
        "headers": ["source", "crm", "x", ""], "key": "loja", "payload": '{"n": 1}',
    }  # fmt: skip


def test_a_recording_made_by_kcat_is_the_one_that_record_makes(topic_settings, tmp_path):
    sent = [*numbered(50), Record("ruptura.tickets", 0, 99, NOON, None, "ação €".encode())]
    publish(topic_settings, [write(tmp_path / "in.jsonl", sent)])
    tickets = topic_settings.topics.tickets
    theirs = tmp_path / "kcat.jsonl"
    theirs.write_text("\n".join(kcat(topic_settings, tickets, "-J")) + "\n")
    ours = tmp_path / "ours.jsonl"
    record(topic_settings, [tickets], ours, until_end=True)

    def key(line: str) -> tuple[int, int]:
        fields = json.loads(line)
        return fields["partition"], fields["offset"]

    def lines(path: Path) -> list[dict[str, object]]:
        dropped = {"broker", "headers"}  # which kcat adds, and prints empty or not by version
        return [
            {k: v for k, v in json.loads(line).items() if k not in dropped and v is not None}
            for line in sorted(path.read_text().splitlines(), key=key)
        ]

    assert lines(ours) == lines(theirs)
    assert sorted(read(ours), key=repr) == sorted(read(theirs), key=repr)


def test_what_kcat_recorded_is_published_as_it_was(topic_settings, tmp_path):
    tickets, alerts = topic_settings.topics.tickets, topic_settings.topics.alerts
    subprocess.run(
        ["kcat", "-b", topic_settings.kafka.bootstrap_servers, "-P", "-t", tickets, "-k", "loja",
         "-H", "source=crm", "-H", "absent"],
        input=b"one\n", check=True, timeout=30,
    )  # fmt: skip
    (line,) = kcat(topic_settings, tickets, "-J")
    source = tmp_path / "kcat.jsonl"
    source.write_text(line.replace(tickets, alerts) + "\n")
    publish(topic_settings, [source])
    record(topic_settings, [alerts], tmp_path / "out.jsonl", until_end=True)
    assert essence(read(tmp_path / "out.jsonl")) == [
        (b"loja", b"one", (("source", b"crm"), ("absent", b"")))
    ]


def test_recording_stops_at_the_count(topic_settings, tmp_path):
    publish(topic_settings, [write(tmp_path / "in.jsonl", numbered(100))])
    summary = record(topic_settings, [], tmp_path / "out.jsonl.gz", count=37)
    assert (summary.records, summary.reason) == (37, "count")
    assert len(read(tmp_path / "out.jsonl.gz")) == 37


def test_recording_stops_after_its_time_on_topics_that_are_silent(topic_settings, tmp_path):
    summary = record(topic_settings, [], tmp_path / "out.jsonl", seconds=0.3)
    assert (summary.records, summary.reason) == (0, "time")
    assert summary.seconds >= 0.3


def test_recording_may_start_with_what_comes_now(topic_settings, tmp_path):
    first, second = numbered(2)
    publish(topic_settings, [write(tmp_path / "1.jsonl", [first])])
    ready = threading.Event()
    result = []
    thread = threading.Thread(
        target=lambda: result.append(
            record(
                topic_settings, [], tmp_path / "out.jsonl",
                from_beginning=False, count=1, progress=lambda *_: ready.set(),
            )
        )
    )  # fmt: skip
    thread.start()
    assert ready.wait(30)
    publish(topic_settings, [write(tmp_path / "2.jsonl", [second])])
    thread.join(30)
    assert [summary.records for summary in result] == [1]
    assert essence(read(tmp_path / "out.jsonl")) == essence([second])


def test_aborted_transactions_are_not_recorded_and_markers_do_not_hold_up_the_end(
    topic_settings, tmp_path
):
    tickets = topic_settings.topics.tickets
    with KafkaProducer(
        bootstrap_servers=topic_settings.kafka.bootstrap_servers, transactional_id=tickets
    ) as producer:
        producer.init_transactions()
        for word, end in (
            (b"kept", producer.commit_transaction),
            (b"lost", producer.abort_transaction),
            (b"kept too", producer.commit_transaction),
        ):
            producer.begin_transaction()
            producer.send(tickets, word, partition=0).get(30)
            end()
    summary = record(topic_settings, [tickets], tmp_path / "out.jsonl", until_end=True)
    found = read(tmp_path / "out.jsonl")
    assert summary.reason == "end"
    assert [(r.offset, r.value) for r in found] == [(0, b"kept"), (4, b"kept too")]


def test_recording_commits_nothing(topic_settings, tmp_path):
    publish(topic_settings, [write(tmp_path / "in.jsonl", numbered(10))])
    for name in ("1.jsonl", "2.jsonl"):
        assert record(topic_settings, [], tmp_path / name, until_end=True).records == 10


def test_an_absent_topic_is_named_at_once(settings, tmp_path):
    source = write(tmp_path / "in.jsonl", numbered(1))
    with pytest.raises(PublishError, match=f"^no such topic: {settings.topics.tickets}$"):
        publish(settings, [source])
    with pytest.raises(RecordError, match=r"^no such topic: nowhere$"):
        record(settings, ["nowhere"], tmp_path / "out.jsonl", until_end=True)
    assert not (tmp_path / "out.jsonl").exists()


def test_what_cannot_be_delivered_is_counted_by_cause_and_the_rest_arrives(
    topic_settings, tmp_path
):
    good, *_ = numbered(1)
    sent = [
        good,
        Record("ruptura.tickets", 7, 0, NOON, b"a", b"a partition too many"),
        Record("ruptura.tickets", 0, 5, NOON, b"a", b"x" * 2_000_000),
    ]
    summary = publish(topic_settings, [write(tmp_path / "in.jsonl", sent)], keep_partitions=True)
    assert (summary.records, summary.failed, summary.ended) == (1, 2, "end")
    assert summary.failures == {
        f"{topic_settings.topics.tickets} has no partition 7": 1,
        "MessageSizeTooLargeError": 1,
    }
