"""What the settings want of topics, and how a difference reads; real Kafka is in integration."""

from __future__ import annotations

import msgspec
import pytest

from ruptura.settings import KafkaSettings, Settings, TopicSettings
from ruptura.tools.topic_options import TopicOptions
from ruptura.tools.topics import Difference, TopicsReport, differences, wanted_topics

SETTINGS = Settings(topics=TopicSettings(partitions=2))
SHAPE = wanted_topics(SETTINGS, TopicOptions(replication_factor=3, retention_seconds=604_800))[0]
ASKED = {
    "cleanup.policy": {"value": "delete"},
    "retention.ms": {"value": "604800000"},
    "segment.bytes": {"value": "1"},
}


def described(*replicas: int) -> dict[str, object]:
    """A topic as the broker describes it, with so many replicas of each partition."""
    return {"partitions": [{"replica_nodes": list(range(count))} for count in replicas]}


def test_all_topics_have_the_same_partitions_and_the_outputs_their_own_retention():
    topics = TopicSettings(
        tickets="t", channel_metrics="m", alerts="a", dead_letter="d", partitions=6
    )
    options = TopicOptions(
        replication_factor=3, retention_seconds=3600, output_retention_seconds=7200
    )
    shapes = wanted_topics(Settings(topics=topics, kafka=KafkaSettings(group_id="g")), options)
    assert {(s.partitions, s.replication_factor) for s in shapes} == {(6, 3)}
    assert {s.name: s.configuration for s in shapes} == {
        "t": {"cleanup.policy": "delete", "retention.ms": "3600000"},
        "m": {"cleanup.policy": "delete", "retention.ms": "3600000"},
        "a": {"cleanup.policy": "delete", "retention.ms": "7200000"},
        "d": {
            "cleanup.policy": "delete",
            "retention.ms": "7200000",
            "max.message.bytes": "2097152",
        },
        "g-state-changelog": {
            "cleanup.policy": "compact",
            "max.message.bytes": "16777216",
            "segment.bytes": "67108864",
            "min.cleanable.dirty.ratio": "0.1",
            "min.compaction.lag.ms": "600000",
        },
    }


def test_with_repartition_each_input_has_a_topic_that_keeps_its_copies_as_long():
    topics = TopicSettings(tickets="t", channel_metrics="m")
    options, kafka = TopicOptions(retention_seconds=3600), KafkaSettings(group_id="g")
    plain = wanted_topics(Settings(topics=topics, kafka=kafka), options)
    topics = msgspec.structs.replace(topics, repartition=True)
    more = wanted_topics(Settings(topics=topics, kafka=kafka), options)
    shape = {
        "cleanup.policy": "delete",
        "retention.ms": "3600000",
        "message.timestamp.type": "CreateTime",
        "max.message.bytes": "16777216",
    }
    assert {s.name: s.configuration for s in more if s not in plain} == {
        "g-t-repartition": shape,
        "g-m-repartition": shape,
    }
    assert {s.partitions for s in more} == {4}


def test_a_topic_as_wanted_differs_in_nothing():
    assert differences(SHAPE, described(3, 3), ASKED) == []


def test_topics_that_nobody_asked_more_of_are_made_with_one_copy_for_a_week_and_a_month():
    shapes = {shape.name: shape for shape in wanted_topics(Settings())}
    assert {shape.replication_factor for shape in shapes.values()} == {1}
    kept = {name: shape.configuration.get("retention.ms") for name, shape in shapes.items()}
    assert kept == {
        "ruptura.tickets": "604800000",
        "ruptura.channel-metrics": "604800000",
        "ruptura.alerts": "2592000000",
        "ruptura.dead-letter": "2592000000",
        "ruptura-state-changelog": None,
    }


@pytest.mark.parametrize(
    ("options", "compared"),
    [
        (TopicOptions(), set()),
        (TopicOptions(replication_factor=3), {"replication.factor"}),
        (TopicOptions(retention_seconds=604_800), {"retention.ms"}),
        (TopicOptions(output_retention_seconds=604_800), set()),
    ],
)
def test_copies_and_retention_are_compared_only_where_somebody_asks_for_them(options, compared):
    shape = wanted_topics(SETTINGS, options)[0]
    asked = {"cleanup.policy": {"value": "delete"}, "retention.ms": {"value": "1"}}
    found = differences(shape, described(2, 2), asked)
    assert {difference.property for difference in found} == compared


def test_an_absent_topic_is_one_difference_not_many():
    (only,) = differences(SHAPE, None, {})
    assert str(only) == "ruptura.tickets: does not exist"


def test_every_difference_is_told_with_what_is_and_what_should_be():
    asked = {"cleanup.policy": {"value": "compact"}, "retention.ms": {"value": "-1"}}
    assert [str(d) for d in differences(SHAPE, described(1, 3, 3), asked)] == [
        "ruptura.tickets: partitions is 3, should be 2",
        "ruptura.tickets: replication.factor is 1 and 3, should be 3",
        "ruptura.tickets: cleanup.policy is compact, should be delete",
        "ruptura.tickets: retention.ms is -1, should be 604800000",
    ]


def test_a_property_that_the_broker_does_not_tell_is_a_difference():
    faults = differences(SHAPE, described(3, 3), {"cleanup.policy": {"value": "delete"}})
    assert faults == [Difference("ruptura.tickets", "retention.ms", None, "604800000")]
    assert str(faults[0]) == "ruptura.tickets: retention.ms is unknown, should be 604800000"


def test_a_report_is_well_when_nothing_differs():
    assert TopicsReport(("a",), ("b",), ()).ok
    assert not TopicsReport((), (), (Difference("a", "partitions", "1", "4"),)).ok
