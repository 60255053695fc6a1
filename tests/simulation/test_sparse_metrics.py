"""Metrics that come less often than a bucket is long, or stop coming."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import msgspec

from ruptura.assembly.build import build_engine
from ruptura.core.contracts.facts import AlertFacts
from ruptura.core.contracts.record import Record, Tick
from ruptura.settings import Settings

MONDAY = 1_772_409_600
METRICS = Settings().topics.channel_metrics
TICKETS = Settings().topics.tickets


def _record(offset: int, second: int, metric: str, value: float) -> Record:
    event = {
        "event_id": f"{metric}-{second}",
        "occurred_at": _instant(second),
        "service": "aurora",
        "channel": "app",
        "metric": metric,
        "value": value,
    }
    return Record(METRICS, 0, offset, float(second), b"aurora", msgspec.json.encode(event))


def _instant(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


def _play(
    every: int, days: float, value_at: Callable[[int], float], metric: str, stop: float
) -> list[AlertFacts]:
    engine = build_engine(Settings())
    alerts: list[AlertFacts] = []
    for offset, second in enumerate(range(MONDAY, MONDAY + int(days * 86_400), every)):
        now = float(second)
        inputs: list[Record | Tick] = [Tick(t, 0, now - 0.001) for t in (METRICS, TICKETS)]
        if second < MONDAY + stop * 86_400:
            inputs.append(_record(offset, second, metric, value_at(second)))
        alerts.extend(engine.step(inputs).alerts)
    return alerts


def test_a_metric_every_five_minutes_opens_an_alert_and_ends_it() -> None:
    chance = Random(7)
    begin, end = MONDAY + 3 * 86_400, MONDAY + 3 * 86_400 + 3 * 3600

    def latency(second: int) -> float:
        return chance.lognormvariate(-1.0, 0.2) * (20.0 if begin <= second < end else 1.0)

    alerts = _play(300, 4, latency, "request_seconds", stop=4)
    opened = [a for a in alerts if a.reason == "opened"]
    assert [(a.kind, a.channel) for a in opened] == [("failure", "app")]
    assert begin <= opened[0].updated_at.timestamp() <= begin + 3600
    assert alerts[-1].status == "resolved"
    assert alerts[-1].updated_at.timestamp() <= end + 6 * 3600


def test_a_count_that_stops_being_reported_is_a_silence() -> None:
    chance = Random(3)
    alerts = _play(60, 3.3, lambda _: float(chance.randint(80, 120)), "requests", stop=3)
    assert alerts[0].kind == "silence"
    assert alerts[0].updated_at.timestamp() <= MONDAY + 3 * 86_400 + 900
    assert alerts[-1].status != "resolved"
