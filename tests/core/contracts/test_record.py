"""Names of sources: a partition of a topic as a source of its own, and back."""

from __future__ import annotations

from ruptura.core.contracts.record import source_of, topic_of


def test_a_source_names_its_topic_and_a_topic_itself() -> None:
    assert topic_of(source_of("ruptura.tickets", 12)) == "ruptura.tickets"
    assert topic_of("ruptura.tickets") == "ruptura.tickets"


def test_sources_of_different_partitions_and_topics_differ() -> None:
    names = {source_of(topic, number) for topic in ("a", "a1") for number in (1, 11)}
    assert len(names) == 4
