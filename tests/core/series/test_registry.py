"""The registry: an entry alone lets a series take part in all that its role takes part in."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from ruptura.assembly.build import build_config
from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.document import AlertSignal, Direction, Kind
from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.decide.incidents import corroborate, join
from ruptura.core.decide.lifecycle import Lifecycle
from ruptura.core.decide.materiality import contacts_rise, material
from ruptura.core.decide.risk import combine
from ruptura.core.detect.signals import Signal
from ruptura.core.engine import Engine
from ruptura.core.series.registry import UNKNOWN_GAUGE, UNKNOWN_RATIO, Registry, parse
from ruptura.settings import Settings
from tests.simulation.contact_centre import METRICS, MONDAY, metric, record, run, ticket, ticks

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()

MADE_UP = """
["tickets.opened"]
family = "count"
above = "surge"
below = "failure"
silence = true
role = "contacts"
measures = "opened_contacts"
unit = "1"
definition = "Tickets opened."
source = "Here."
tickets.sum = ["opened"]

["tickets.ended"]
family = "count"
role = "supply"
unit = "1"
definition = "Tickets that are over."
source = "Here."
tickets.sum = ["resolved", "closed", "abandoned"]

[callback_contacts]
family = "gauge"
above = "failure"
role = "queue"
measures = "waiting_contacts"
unit = "1"
definition = "Contacts that wait to be called back."
source = "Here."

[returns]
family = "count"
above = "surge"
role = "exceptions"
exception = "product"
unit = "1"
definition = "Goods sent back."
source = "Here."

[visits]
family = "count"
above = "surge"
below = "failure"
silence = true
role = "contacts"
unit = "1"
definition = "Visits."
source = "Here."

[misheard_ratio]
family = "ratio"
above = "failure"
role = "bot"
unit = "ratio"
definition = "Sentences that the bot did not understand."
source = "Here."

[pickup_seconds]
family = "gauge"
above = "surge"
least = 10
role = "queue"
measures = "wait"
unit = "seconds"
definition = "Wait."
source = "Here."
"""


@pytest.fixture(scope="module")
def made_up() -> Registry:
    return parse(MADE_UP.encode())


def signal(
    series: str,
    direction: Direction = "above",
    kind: Kind = "failure",
    share: float = 1.0,
    since: float = NOON,
) -> Signal:
    point = SeriesPoint("s", "c", series, NOON + 3600.0, 5.0, 1.0, 0.0, 2.0, 1e-6, 1e-6)
    return Signal(series, kind, direction, 1e-6, 1.0, since, point, share=share)


def opened(series: str, direction: Direction, since: float = NOON) -> Lifecycle:
    at = datetime.fromtimestamp(since, UTC)
    told = AlertSignal(series, direction, 5.0, 1.0, 0.0, 2.0, 1e-6, at)
    return Lifecycle(status="warning", onset=since, signals=[told])


class TestAnEntryTakesPart:
    def test_a_queue_is_material_as_a_queue_is(self, made_up: Registry) -> None:
        both = [signal("callback_contacts", share=0.7), signal("pickup_seconds", share=0.7)]
        assert material(both, made_up, is_queue_seen=True) == [], "one role does not add up"
        fresh = [signal("callback_contacts", share=3.0, since=NOON + 3300.0)]
        assert material(fresh, made_up, is_queue_seen=True) == [], "it may go as it came"
        assert made_up.shows_queue("callback_contacts")

    def test_contacts_are_told_once_whatever_counts_them(self, made_up: Registry) -> None:
        rises = [signal("tickets.opened", kind="surge"), signal("visits", kind="failure")]
        one = combine(rises[:1], 1e-4, made_up)
        assert combine(rises, 1e-4, made_up).probability == one.probability
        assert contacts_rise([signal("visits", share=0.6)], made_up) == 0.6

    @pytest.mark.parametrize(
        ("series", "direction"),
        [("visits", "below"), ("misheard_ratio", "above")],
    )
    def test_a_loss_or_a_bot_explains_a_queue_elsewhere(
        self, made_up: Registry, series: str, direction: Direction
    ) -> None:
        said = {"app": [signal(series, direction)], "voice": [signal("callback_contacts")]}
        (cause,) = corroborate("voice", said, made_up)
        assert cause.contribution > 0.0
        alerts = {"app": opened(series, direction), "voice": opened("callback_contacts", "above")}
        join("s", ["voice"], alerts, made_up)
        assert alerts["voice"].joined is not None

    def test_what_nobody_knows_joins_nothing(self, made_up: Registry) -> None:
        said = {"app": [signal("unheard_of")], "voice": [signal("callback_contacts")]}
        assert corroborate("voice", said, made_up) == ()

    def test_an_exception_chooses_the_team(self, made_up: Registry) -> None:
        found = [signal("returns", kind="surge")]
        assert combine(found, 1e-4, made_up).exception == "product"

    def test_a_series_of_tickets_is_closed_and_a_metric_read_as_the_entry_says(
        self, made_up: Registry
    ) -> None:
        config = build_config(Settings())
        detect = msgspec.structs.replace(config.detect, registry=made_up)
        subject = Engine(msgspec.structs.replace(config, detect=detect))
        sent = [
            record(ticket(MONDAY, 1), 0, MONDAY),
            record(ticket(MONDAY + 1, 1, "resolved"), 1, MONDAY + 1),
            record(ticket(MONDAY + 2, 2, "closed"), 2, MONDAY + 2),
            record(metric(MONDAY, "visits", value=3.0), 0, MONDAY, topic=METRICS),
            record(metric(MONDAY + 1, "visits", value=4.0), 1, MONDAY + 1, topic=METRICS),
        ]
        end = [
            tick
            for at in (MONDAY + 200.0, MONDAY + 201.0)
            for topic in ("ruptura.tickets", METRICS)
            for tick in ticks(at, at, topic=topic)
        ]
        points = run(subject, [*sent, *end]).points
        first = {p.series: p.observed for p in points if p.start == MONDAY}
        assert first == {"tickets.opened": 1, "tickets.ended": 2, "visits": 7.0}


class TestLookUp:
    def test_a_metric_goes_before_what_tickets_tell(self) -> None:
        registry = series_registry()
        assert list(registry.measuring("wait")) == ["answer_seconds", "tickets.wait_seconds"]
        both = dict.fromkeys(["tickets.wait_seconds", "answer_seconds"], (1.0, 0.0))
        assert registry.measured(both) == {"wait": "answer_seconds"}
        tickets = {"tickets.wait_seconds": (1.0, 0.0)}
        assert registry.measured(tickets) == {"wait": "tickets.wait_seconds"}

    def test_waits_are_what_measures_one(self, made_up: Registry) -> None:
        assert made_up.is_wait("pickup_seconds")
        assert not made_up.is_wait("callback_contacts")
        registry = series_registry()
        assert {name for name in registry if registry.is_wait(name)} == {
            "tickets.wait_seconds",
            "queue_oldest_seconds",
            "answer_seconds",
        }

    def test_a_metric_that_is_not_known_or_sent_otherwise_is_suspicious_both_ways(self) -> None:
        registry = series_registry()
        assert registry.metric("unheard_of", is_ratio=True) is UNKNOWN_RATIO
        assert registry.metric("unheard_of", is_ratio=False) is UNKNOWN_GAUGE
        assert registry.metric("errors_ratio", is_ratio=False) is UNKNOWN_GAUGE
        assert registry.metric("requests", is_ratio=True) is UNKNOWN_RATIO
        assert registry.metric("requests", is_ratio=False).family == "count"

    def test_only_series_of_tickets_can_be_asked_for_as_such(self) -> None:
        assert series_registry().ticket("tickets.opened").family == "count"
        for name in ("tickets.of_no_kind", "requests"):
            with pytest.raises(ValueError, match="unknown series"):
                series_registry().ticket(name)


ENTRY = 'family = "gauge"\nunit = "1"\nrole = "queue"\ndefinition = "It."\nsource = "Here."\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'["tickets.x"]\n{ENTRY}', "tickets.x"),
        (f'[x]\n{ENTRY}tickets.sum = ["opened"]', "x: `tickets`"),
        (f'["tickets.x"]\n{ENTRY}tickets.sum = ["open"]', "no total is called 'open'"),
        (f'["tickets.x"]\n{ENTRY}tickets.sum = []', "names no total"),
        (f'[x]\n{ENTRY}measures = "luck"', "^x: .*luck"),
        (f"[x]\n{ENTRY.replace('queue', 'luck')}", "luck"),
        (f"[x]\n{ENTRY}spread = 1", "spread"),
        ('[x]\nfamily = "gauge"', "^x: .*missing required field"),
        (f"[x]\n{ENTRY.replace('Here.', '')}", "length"),
        (f'["x-y"]\n{ENTRY}', "'x-y': not a valid name"),
        (f"[x]\n{ENTRY}exception = 'product'", "x: `exception`"),
        (f"[x]\n{ENTRY.replace('queue', 'exceptions')}", "x: `exception`"),
        (f"[x]\n{ENTRY.replace('queue', 'supply')}shows_queue = false", "x: `shows_queue`"),
        ("[x", "TOML|Expected"),
    ],
)
def test_an_entry_that_is_wrong_is_refused_and_the_message_names_what(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse(text.encode())
