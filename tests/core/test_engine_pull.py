"""The engine by small pulls: the same outcome, in pieces that leave room for others."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.core import engine as engine_module
from ruptura.core import stages
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Tick
from tests.core.pulled import close_all, closings, make_due, pulls
from tests.core.test_engine_order import SHORT, rupture
from tests.simulation.contact_centre import (
    HOUR,
    METRICS,
    MONDAY,
    TICKETS,
    add,
    engine,
    merged,
    metric,
    record,
    ticket,
)

INPUTS = merged(*rupture(7))
LARGEST_PORTION = stages.PORTION + 40  # one channel more than is enough


@pytest.fixture(scope="module")
def whole() -> Effects:
    return engine(**SHORT).step(INPUTS)


@given(
    st.lists(st.integers(0, len(INPUTS)), max_size=6),
    st.integers(1, 5000),
    st.integers(1, 2000),
)
@settings(max_examples=8, deadline=None)
def test_pulls_of_any_size_and_any_cuts_add_up_to_one_step(
    whole: Effects, cuts: list[int], records: int, closed: int
) -> None:
    subject, total = engine(**SHORT), Effects()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "_RUN", records)
        patch.setattr(stages, "PORTION", closed)
        for begin, end in pairwise([0, *sorted(cuts), len(INPUTS)]):
            for portion in pulls(subject, INPUTS[begin:end]):
                add(total, portion)
    assert total == whole
    assert total.alerts


def test_effects_that_are_added_are_those_of_one_step(whole: Effects) -> None:
    subject, total = engine(**SHORT), Effects()
    for portion in pulls(subject, INPUTS):
        total.add(portion)
    assert total == whole


def test_a_state_after_pulls_is_that_after_a_step() -> None:
    one, other = engine(**SHORT), engine(**SHORT)
    one.step(INPUTS)
    for _ in pulls(other, INPUTS):
        pass
    assert one.dump_clock(0) == other.dump_clock(0)
    for service in one.services(0):
        assert one.dump(0, service) == other.dump(0, service)


def test_services_may_be_closed_in_any_order() -> None:
    inputs: list[Input] = [
        record(ticket(MONDAY + n, n, service=f"s{n % 5}"), n, MONDAY + n) for n in range(600)
    ]
    orderly, subject = engine(), engine()
    expected = orderly.step([*inputs, *_end(MONDAY + HOUR)])
    chance, total = Random(1), Effects()
    add(total, subject.step(inputs))
    for item in _end(MONDAY + HOUR):
        assert isinstance(item, Tick)
        add(total, subject.tick(item))
        while (due := subject.due()) is not None:
            services = [due[1], *(f"s{n}" for n in range(5))]
            chance.shuffle(services)
            for service in services:
                try:
                    add(total, subject.close(0, service))
                except KeyError:  # it has nothing to close
                    continue
    assert sorted(total.points, key=repr) == sorted(expected.points, key=repr)
    for service in orderly.services(0):
        assert orderly.dump(0, service) == subject.dump(0, service)


def test_records_are_taken_until_buckets_are_due_and_the_rest_after_they_are_closed() -> None:
    subject, later = engine(), MONDAY + HOUR
    subject.step([record(metric(later, "wait", value=1.0, service="s"), 0, later, topic=METRICS)])
    held = [record(ticket(MONDAY + 40.0 * n, n), n, MONDAY + 40.0 * n) for n in range(6)]
    taken, effects = subject.ingest(held)
    assert 0 < taken < len(held)
    assert effects.consumed == {TICKETS: taken}
    assert subject.due() == (0, "loja-aurora")
    assert subject.position(TICKETS, 0) == taken
    with pytest.raises(RuntimeError, match="buckets are due"):
        subject.ingest(held[taken:])
    closed = list(closings(subject))
    assert [point.end for each in closed for point in each.channels] == [MONDAY + 60.0]
    taken_next, _ = subject.ingest(held[taken:])
    assert taken_next > 0


@pytest.mark.parametrize(("services", "channels"), [(300, 1), (1, 300)])
def test_no_pull_closes_more_than_a_portion(services: int, channels: int) -> None:
    inputs: list[Input] = [
        record(ticket(MONDAY, n, service=f"s{n % services}", channel=f"c{n % channels}"), n, MONDAY)
        for n in range(300)
    ]
    subject = engine()
    subject.step(inputs)
    portions = list(pulls(subject, _end(MONDAY + HOUR)))
    closed = [len(portion.points) + len(portion.channels) for portion in portions]
    assert sum(closed) > 300 * 50
    assert max(closed) <= LARGEST_PORTION


def test_nothing_leads_to_nothing() -> None:
    assert engine().step([]) == Effects()
    assert engine().due() is None


def test_while_buckets_are_due_there_is_no_state_and_nothing_more_is_taken() -> None:
    subject = engine(**SHORT)
    make_due(subject, INPUTS)
    for attempt in (
        lambda: subject.dump(0, "aurora"),
        lambda: subject.dump_clock(0),
        lambda: subject.load(0, "aurora", b""),
        lambda: subject.load_clock(0, b""),
        lambda: subject.step([]),
        lambda: subject.tick(Tick(METRICS, 0, MONDAY)),
    ):
        with pytest.raises(RuntimeError, match="buckets are due"):
            attempt()
    close_all(subject)
    assert subject.dump(0, "aurora")
    assert subject.step([]).consumed == {}


def test_a_partition_may_be_forgotten_while_buckets_are_due() -> None:
    subject = engine(**SHORT)
    make_due(subject, INPUTS)
    assert subject.forget(0)
    assert subject.due() is None
    assert subject.services(0) == ()


def test_only_services_that_changed_are_listed_and_those_that_are_gone_are_not() -> None:
    subject = engine(window={"expire_seconds": 3600})
    subject.step(
        [record(ticket(MONDAY, n, service=f"s{n}"), n, MONDAY) for n in range(5)]
        + [Tick(METRICS, 0, MONDAY)]
    )
    assert subject.services(0, changed=True) == subject.services(0)
    for service in subject.services(0):
        subject.dump(0, service)
    assert subject.services(0, changed=True) == ()
    subject.step([record(ticket(MONDAY, 9, service="s3"), 9, MONDAY)])
    assert subject.services(0, changed=True) == ("s3",)
    subject.step(_end(MONDAY + 2 * HOUR))
    assert subject.services(0) == subject.services(0, changed=True) == ()


def test_a_service_that_is_loaded_has_not_changed() -> None:
    subject = engine()
    subject.step([record(ticket(MONDAY, 1, service="s"), 0, MONDAY)])
    state = subject.dump(0, "s")
    subject.step([record(ticket(MONDAY, 2, service="s"), 1, MONDAY)])
    subject.load(0, "s", state)
    assert subject.services(0, changed=True) == ()


def _end(at: float) -> list[Input]:
    return [Tick(topic, 0, at + n) for n in range(3) for topic in (TICKETS, METRICS)]
