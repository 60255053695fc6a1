"""Where producers key by service, a record goes to the engine as it is read."""

from __future__ import annotations

import asyncio

import msgspec
from faust.types import TP

from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Record, Tick
from ruptura.settings import Settings
from ruptura.worker.routes.choice import worker_route
from ruptura.worker.routes.direct import DirectRoute
from ruptura.worker.routes.repartitioned import RepartitionedRoute
from ruptura.worker.transport.batch import Batch

T0, T1 = TP("t", 0), TP("t", 1)


def subject(reflected: dict[TP, int] | None = None) -> DirectRoute:
    return DirectRoute(lambda topic, partition: (reflected or {}).get(TP(topic, partition)))


def test_the_records_that_are_new_go_to_the_engine_and_the_batch_is_released_after_the_last() -> (
    None
):
    records = [Record("t", 0, offset, 1000.0, b"k", b"{}") for offset in (3, 4, 5)]
    batch = Batch(T0, 3, 6, records, 10)
    queued = subject().receive(batch, records[1:])
    assert queued is not None
    assert (queued.partition, queued.inputs, queued.size) == (0, records[1:], 10)
    queued.done()
    assert batch.records == []


def test_what_the_state_reflects_is_committed_of_partitions_that_are_ours() -> None:
    assert subject({T0: 7, T1: 9}).positions([T0, TP("t", 2)]) == {T0: 7}


def test_an_idle_watermark_is_a_tick_at_once_so_it_waits_for_the_queue_to_empty() -> None:
    assert subject().pass_time({T0: 5.0, T1: 6.0}) == [Tick("t", 0, 5.0), Tick("t", 1, 6.0)]
    assert subject().outruns_queue


def test_topics_are_what_the_engine_speaks_of() -> None:
    effects = Effects(consumed={"t": 3})
    assert subject().in_terms_of_topics(effects) == Effects(consumed={"t": 3})


def test_the_settings_choose_the_route() -> None:
    again = msgspec.convert({"topics": {"repartition": True}}, Settings)

    async def made() -> tuple[object, object]:
        return (
            worker_route(Settings(), lambda *_: None, lambda: True),
            worker_route(again, lambda *_: None, lambda: True),
        )

    direct, repartitioned = asyncio.run(made())
    assert isinstance(direct, DirectRoute)
    assert isinstance(repartitioned, RepartitionedRoute)
    assert repartitioned.forwarded == {"ruptura.tickets", "ruptura.channel-metrics"}
