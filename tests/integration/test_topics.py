"""Topics against real Kafka."""

from __future__ import annotations

import msgspec
import pytest
from kafka import KafkaAdminClient

from ruptura.assembly.build import changelog_topic
from ruptura.settings import Settings
from ruptura.tools import topics
from ruptura.tools.topic_options import TopicOptions

pytestmark = pytest.mark.integration


def names(settings: Settings) -> tuple[str, ...]:
    t = settings.topics
    changelog = changelog_topic(settings)
    return (t.tickets, t.channel_metrics, t.alerts, t.dead_letter, changelog)


def with_topics(settings: Settings, **changes: object) -> Settings:
    return msgspec.structs.replace(
        settings, topics=msgspec.structs.replace(settings.topics, **changes)
    )


def test_check_names_every_absent_topic_and_creates_none(settings):
    for _ in range(2):
        report = topics.check(settings)
        assert not report.ok
        assert report.existing == ()
        assert [str(d) for d in report.differences] == [
            f"{name}: does not exist" for name in names(settings)
        ]


def test_create_makes_what_the_settings_want_and_a_second_time_nothing(settings):
    first = topics.create(settings)
    assert first == topics.TopicsReport(names(settings), (), ())
    second = topics.create(settings)
    assert second == topics.TopicsReport((), names(settings), ())
    assert topics.check(settings) == second


def test_create_completes_a_set_of_which_one_is_there(settings):
    tickets, *others = names(settings)
    with KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers) as admin:
        admin.create_topics({tickets: {"num_partitions": 1, "replication_factor": 1}})
    report = topics.create(settings)
    assert report.created == tuple(others)
    assert report.existing == (tickets,)
    assert [d.property for d in report.differences] == ["partitions"]  # 7 days are Kafka's default


def test_topics_that_exist_are_compared_and_never_changed(topic_settings):
    wanted = with_topics(topic_settings, partitions=8)
    options = TopicOptions(retention_seconds=3600, output_retention_seconds=7200)
    *kept_for_a_time, changelog = names(wanted)
    for report in (topics.create(wanted, options), topics.check(wanted, options)):
        assert report.created == ()
        assert [str(d) for d in report.differences] == [
            *(
                f"{name}: {fault}"
                for name, is_, should in zip(
                    kept_for_a_time,
                    (604_800_000, 604_800_000, 2_592_000_000, 2_592_000_000),
                    (3_600_000, 3_600_000, 7_200_000, 7_200_000),
                    strict=True,
                )
                for fault in (
                    "partitions is 4, should be 8",
                    f"retention.ms is {is_}, should be {should}",
                )
            ),
            f"{changelog}: partitions is 4, should be 8",
        ]
    assert topics.check(topic_settings).ok


def test_a_compacted_topic_is_reported(settings):
    tickets = settings.topics.tickets
    with KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers) as admin:
        shape = {"num_partitions": 4, "configs": {"cleanup.policy": "compact"}}
        admin.create_topics({tickets: shape}, wait_for_metadata=True)
    assert topics.create(settings).differences == (
        topics.Difference(tickets, "cleanup.policy", "compact", "delete"),
    )


def test_more_replicas_than_brokers_are_refused_in_one_line(settings):
    with pytest.raises(topics.TopicsError, match=r"replication factor") as refused:
        topics.create(settings, TopicOptions(replication_factor=3))
    assert "\n" not in str(refused.value)
    assert len(topics.check(settings).differences) == len(names(settings))
