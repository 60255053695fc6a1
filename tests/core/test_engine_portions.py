"""The engine in portions: the same outcome, in pieces that leave room for others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.core import engine as engine_module
from ruptura.core import partition as partition_module
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Tick
from ruptura.core.engine import Engine
from tests.core.test_engine_order import SHORT, rupture
from tests.simulation.contact_centre import (
    HOUR,
    METRICS,
    MONDAY,
    TICKETS,
    add,
    engine,
    merged,
    record,
    ticket,
)

INPUTS = merged(*rupture(7))
LARGEST_PORTION = partition_module.PORTION + 40  # one channel more than is enough


@pytest.fixture(scope="module")
def whole() -> Effects:
    return engine(**SHORT).step(INPUTS)


@given(
    st.lists(st.integers(0, len(INPUTS)), max_size=6),
    st.integers(1, 5000),
    st.integers(1, 2000),
)
@settings(max_examples=8, deadline=None)
def test_portions_of_any_size_and_any_cuts_add_up_to_one_step(
    whole: Effects, cuts: list[int], records: int, closed: int
) -> None:
    subject, total = engine(**SHORT), Effects()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "_RECORDS", records)
        patch.setattr(partition_module, "PORTION", closed)
        for begin, end in pairwise([0, *sorted(cuts), len(INPUTS)]):
            for portion in subject.steps(INPUTS[begin:end]):
                add(total, portion)
    assert total == whole
    assert total.alerts


def test_a_state_after_portions_is_that_after_a_step() -> None:
    one, other = engine(**SHORT), engine(**SHORT)
    one.step(INPUTS)
    for _ in other.steps(INPUTS):
        pass
    assert one.dump_clock(0) == other.dump_clock(0)
    for service in one.services(0):
        assert one.dump(0, service) == other.dump(0, service)


def test_many_records_come_in_several_portions() -> None:
    inputs = [record(ticket(MONDAY, n), n, MONDAY) for n in range(7000)]
    portions = [portion.consumed[TICKETS] for portion in engine().steps(inputs) if portion.consumed]
    assert sum(portions) == 7000
    assert len(portions) > 2


@pytest.mark.parametrize(("services", "channels"), [(300, 1), (1, 300)])
def test_many_buckets_that_close_at_once_come_in_several_portions(
    services: int, channels: int
) -> None:
    inputs: list[Input] = [
        record(ticket(MONDAY, n, service=f"s{n % services}", channel=f"c{n % channels}"), n, MONDAY)
        for n in range(300)
    ]
    subject = engine()
    subject.step(inputs)
    portions = list(subject.steps(_end(MONDAY + HOUR)))
    closed = [len(portion.points) + len(portion.channels) for portion in portions]
    assert sum(closed) > 300 * 50
    assert max(closed) <= LARGEST_PORTION


def test_nothing_is_one_empty_portion() -> None:
    assert list(engine().steps([])) == [Effects()]


def test_in_the_middle_there_is_no_state_to_dump_and_nothing_more_is_taken() -> None:
    subject = engine(**SHORT)
    portions = _begun(subject)
    for attempt in (
        lambda: subject.dump(0, "aurora"),
        lambda: subject.dump_clock(0),
        lambda: subject.step([]),
        lambda: list(subject.steps([])),
    ):
        with pytest.raises(RuntimeError, match="not all taken"):
            attempt()
    for _ in portions:
        pass
    assert subject.dump(0, "aurora")
    assert subject.step([]).consumed == {}


def test_a_partition_may_be_forgotten_in_the_middle() -> None:
    subject = engine(**SHORT)
    portions = _begun(subject)
    assert subject.forget(0)
    for _ in portions:
        pass
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


def _begun(subject: Engine) -> Iterator[Effects]:
    """Portions of which the first was taken, and more are left."""
    portions = subject.steps(INPUTS)
    assert next(portions).consumed
    return portions


def _end(at: float) -> list[Input]:
    return [Tick(topic, 0, at + n) for n in range(3) for topic in (TICKETS, METRICS)]
