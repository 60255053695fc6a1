"""A breach to come, through the engine: warned of before it, never critical by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input
from ruptura.core.decide.risk import combine
from ruptura.core.detect.forecast import CALM, SURE, Forecast, foremost
from ruptura.core.engine import Engine
from ruptura.core.state import FORECASTERS
from ruptura.outputs.texts.causes import sentence
from tests.forecast.desk import Desk
from tests.simulation.contact_centre import (
    CHANNEL,
    HOUR,
    METRICS,
    MINUTE,
    MONDAY,
    SERVICE,
    add,
    engine,
    metric,
    records,
    run,
    ticks,
)

OBJECTIVES = {"service_level_ratio": 0.8, "answer_within_seconds": 30.0}
RISE = 4 * HOUR
END = 6 * HOUR


def settings(**objectives: float) -> dict[str, Any]:
    # Nothing else may speak: every series warms up for longer than the test lasts.
    return {
        "detection": {"warm_up_seconds": 86_400},
        "services": {"default": {"objectives": {CHANNEL: objectives}}},
    }


def rising(at: float) -> float:
    """Contacts a minute: 4, then in an hour twice as many."""
    return 4.0 * (1.0 + min(max(at - RISE, 0.0) / HOUR, 1.0))


def reports() -> list[Input]:
    """What the queue of a channel reports each minute."""
    desk = Desk(5, rising, lambda _: 28, aht=300.0, patience=240.0, target=30.0)
    documents = []
    for minute in range(int(END / MINUTE)):
        at = MONDAY + MINUTE * minute + 30.0
        for measure, (value, size) in desk.minute().items():
            name = series_registry().measuring(measure)[0]
            if name.startswith("tickets."):
                continue
            if size and measure != "handle_time":
                documents.append((at, metric(at, name, numerator=value, denominator=size)))
            else:
                documents.append((at, metric(at, name, value=value)))
    return [
        *records(documents, topic=METRICS),
        *ticks(MONDAY + END, MONDAY + END + 300.0),
        *ticks(MONDAY + END, MONDAY + END + 300.0, topic=METRICS),
    ]


REPORTS = reports()


@pytest.fixture(scope="module")
def warned() -> Effects:
    return run(engine(**settings(**OBJECTIVES)), REPORTS)


def minutes(at: float) -> float:
    return (at - MONDAY) / MINUTE


class TestWarning:
    def test_it_comes_before_the_breach_and_says_when(self, warned: Effects) -> None:
        opened = warned.alerts[0]
        assert (opened.kind, opened.status, opened.channel) == ("forecast", "warning", CHANNEL)
        assert opened.expected_breach_at is not None
        assert opened.updated_at <= opened.expected_breach_at
        broken = next(
            minutes(point.end)
            for point in warned.channels
            if point.breach_seconds == 0.0 and point.end > MONDAY + RISE
        )
        assert minutes(opened.updated_at.timestamp()) + 3 <= broken

    def test_its_risk_is_the_probability_of_the_breach(self, warned: Effects) -> None:
        for point in warned.channels:
            probability = point.breach_probability
            if probability is not None and probability >= CALM:
                assert point.risk == pytest.approx(min(probability, SURE))
            else:
                assert point.risk < 0.001

    def test_a_forecast_alone_is_never_critical(self, warned: Effects) -> None:
        assert max(point.breach_probability or 0.0 for point in warned.channels) == 1.0
        assert {alert.status for alert in warned.alerts} == {"warning"}

    def test_its_causes_add_up_and_name_the_terms_of_the_load(self, warned: Effects) -> None:
        opened = warned.alerts[0]
        assert [cause.code for cause in opened.causes] == ["prior", "forecast:forecast.answer"]
        assert combine([], opened.risk, series_registry()).causes[0].contribution == pytest.approx(
            sum(cause.contribution for cause in opened.causes)
        )
        for term in ("arrivals", "AHT", "agents", "queue"):
            assert term in sentence(opened.causes[1].facts)

    def test_without_an_objective_of_its_own_a_channel_has_no_forecast(self) -> None:
        other = settings()
        other["services"]["default"]["objectives"] = {"voice": OBJECTIVES}
        found = run(engine(**other), REPORTS)
        assert found.alerts == []
        assert {point.breach_probability for point in found.channels} == {None}
        assert found.points == run(engine(**settings(**OBJECTIVES)), REPORTS).points

    def test_health_ends_it_and_missing_data_do_not(self) -> None:
        subject = engine(**settings(errors_ratio=0.05))
        failing = [
            (MONDAY + MINUTE * n, _errors(MONDAY + MINUTE * n, 2 if n < 60 else 20))
            for n in range(90)
        ]
        first = run(subject, [*records(failing, topic=METRICS), *_end(MONDAY + 1.5 * HOUR)])
        assert [alert.status for alert in first.alerts] == ["warning"]
        silent = run(subject, _end(MONDAY + 4 * HOUR))
        assert [a for a in silent.alerts if a.status == "resolved"] == []
        again = MONDAY + 4 * HOUR + MINUTE
        well = [(again + MINUTE * n, _errors(again + MINUTE * n, 2)) for n in range(180)]
        healed = run(subject, [*records(well, topic=METRICS), *_end(again + 3.2 * HOUR)])
        assert healed.alerts[-1].status == "resolved"


class TestRestored:
    @pytest.mark.parametrize("share", [0.1, 0.6, 0.72, 0.8])
    def test_an_engine_restored_amid_a_forecast_goes_on_undisturbed(
        self, share: float, warned: Effects
    ) -> None:
        cut = int(len(REPORTS) * share)
        subject, total = engine(**settings(**OBJECTIVES)), Effects()
        add(total, run(subject, REPORTS[:cut]))
        add(total, run(_copied(subject), REPORTS[cut:]))
        assert total == warned

    def test_a_state_from_before_there_were_objectives_is_taken(self) -> None:
        subject = engine(**settings())
        run(subject, REPORTS[:2000])
        fresh = engine(**settings(**OBJECTIVES))
        fresh.load(0, SERVICE, subject.dump(0, SERVICE))
        assert fresh.services(0) == (SERVICE,)

    def test_a_damaged_forecaster_begins_anew_and_says_why(self) -> None:
        subject = engine(**settings(**OBJECTIVES))
        run(subject, REPORTS[:2000])
        state = msgspec.msgpack.decode(subject.dump(0, SERVICE))
        parts = state[3][FORECASTERS][1][CHANNEL]
        version, (cells, arrivals) = msgspec.msgpack.decode(parts["queue"])
        parts["queue"] = msgspec.msgpack.encode((version, (b"\xff" * len(cells), arrivals)))
        fresh = engine(**settings(**OBJECTIVES))
        anew = fresh.load(0, SERVICE, msgspec.msgpack.encode(state))
        assert list(anew) == [f"{FORECASTERS}: queue: not finite: {CHANNEL}"]


def forecast(probability: float, seconds: float | None) -> Forecast:
    return Forecast("answer", probability, seconds, 0.1, 0.3, 0.2, 0.4, None)


def test_the_most_probable_breach_is_foremost_and_of_those_the_soonest() -> None:
    late, soon, never = forecast(0.7, 800.0), forecast(0.7, 100.0), forecast(0.7, None)
    assert foremost([never, late, soon]) is soon
    assert foremost([late, forecast(0.8, None)]).probability == 0.8


@pytest.mark.parametrize(("probability", "risk"), [(0.3, 0.3), (0.5, 0.5), (0.9, 0.9), (1.0, 0.9)])
def test_alone_it_is_the_risk_up_to_where_it_must_be_seen(probability: float, risk: float) -> None:
    signal = forecast(probability, 60.0).signal("s", "c", 0.0, is_news=True)
    assert combine([signal], 1e-4, series_registry()).probability == pytest.approx(risk)
    assert signal.is_sound()


def _errors(at: float, failed: int) -> dict[str, Any]:
    return metric(at, "errors_ratio", numerator=failed, denominator=200)


def _end(at: float) -> list[Input]:
    return [
        tick
        for later in (0.0, 60.0, 120.0)
        for topic in ("ruptura.tickets", METRICS)
        for tick in ticks(at + later, at + later, topic=topic)
    ]


def _copied(subject: Engine) -> Engine:
    fresh = engine(**settings(**OBJECTIVES))
    for partition in subject.partitions():
        fresh.load_clock(partition, subject.dump_clock(partition))
        for service in subject.services(partition):
            fresh.load(partition, service, subject.dump(partition, service))
    return fresh
