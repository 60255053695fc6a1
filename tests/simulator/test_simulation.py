"""Recordings are what their labels say, and the same for the same seed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.event import ChannelMetricEvent, TicketEvent
from ruptura.core.contracts.record import Record
from ruptura.core.ingest.decode import decode_channel_metric, decode_ticket
from ruptura.simulator import Scenario, Simulation, load_scenario, simulate

Make = Callable[..., Scenario]

SIBLING = """
[[channels]]
service = "shop"
name = "voice"
contacts_per_hour = 40
"""


def tickets(simulation: Simulation) -> list[TicketEvent]:
    events = [decode_ticket(r) for r in simulation.records if r.topic == "ruptura.tickets"]
    return [event for event in events if isinstance(event, TicketEvent)]


def metrics(simulation: Simulation) -> list[ChannelMetricEvent]:
    records = (r for r in simulation.records if r.topic == "ruptura.channel-metrics")
    events = [decode_channel_metric(r) for r in records]
    return [event for event in events if isinstance(event, ChannelMetricEvent)]


def rupture(kind: str, **keys: Any) -> str:
    lines = {
        "name": "it",
        "kind": kind,
        "channels": ["chat"],
        "day": [1, 2],
        "hour": [9.0, 15.0],
        "duration_minutes": [120, 180],
        **keys,
    }
    return "[[ruptures]]\n" + "\n".join(f"{key} = {value!r}" for key, value in lines.items())


def digest(records: Iterable[Record]) -> str:
    return hashlib.sha256(b"".join(msgspec.msgpack.encode(r) for r in records)).hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_another_process(busy: Path):
    simulation = simulate(load_scenario(busy, series_registry()), 5)
    program = (
        "import sys, hashlib, msgspec\n"
        "from pathlib import Path\n"
        "from ruptura.assembly.registry import series_registry\n"
        "from ruptura.simulator import load_scenario, simulate\n"
        "s = simulate(load_scenario(Path(sys.argv[1]), series_registry()), 5)\n"
        "print(hashlib.sha256(b''.join(map(msgspec.msgpack.encode, s.records))).hexdigest())\n"
        "print(msgspec.json.encode(s.labels).decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(busy)],
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    found, labels = done.stdout.splitlines()
    assert found == digest(simulation.records)
    assert labels == msgspec.json.encode(simulation.labels).decode()


def test_another_seed_gives_other_contacts_and_another_rupture(busy: Path):
    scenario = load_scenario(busy, series_registry())
    first, second = simulate(scenario, 1), simulate(scenario, 2)

    assert digest(first.records) != digest(second.records)
    assert first.labels.ruptures[0].onset != second.labels.ruptures[0].onset


def test_another_name_of_the_scenario_gives_other_luck(scenario: Make):
    one, two = simulate(scenario(name="one"), 1), simulate(scenario(name="two"), 1)

    assert digest(one.records) != digest(two.records)


def test_a_negative_seed_is_refused(scenario: Make):
    with pytest.raises(ValueError, match="seed: got -1, expected 0 or more"):
        simulate(scenario(), -1)


def test_records_are_as_a_broker_appends_them(scenario: Make):
    records = simulate(scenario('metrics = ["heartbeats", "requests"]'), 1).records

    assert all(a.timestamp <= b.timestamp for a, b in pairwise(records))
    assert {(r.partition, r.key) for r in records} == {(0, b"shop")}
    offsets: Counter[str] = Counter()
    for record in records:
        assert record.offset == offsets[record.topic]
        offsets[record.topic] += 1
    assert set(offsets) == {"ruptura.tickets", "ruptura.channel-metrics"}


def test_every_ticket_begins_and_ends_in_order(scenario: Make):
    chosen = scenario(
        "bot = {}\nreopened_ratio = 0.1\ntransferred_ratio = 0.2",
        "[delivery]\nlate_ratio = 0\nduplicate_ratio = 0",
    )
    lives: dict[str, list[TicketEvent]] = {}
    for event in tickets(simulate(chosen, 1)):
        lives.setdefault(event.ticket_id, []).append(event)

    end = chosen.begins + timedelta(days=chosen.days)
    steps: Counter[str] = Counter()
    for life in lives.values():
        life.sort(key=lambda event: event.occurred_at)
        steps.update(event.type for event in life)
        assert life[0].type == "opened"
        assert len({event.customer_id for event in life}) == 1
        if life[0].occurred_at < end - timedelta(hours=2):
            assert {"resolved", "abandoned"} & {event.type for event in life}
    assert set(steps) == {
        "opened", "transferred", "escalated", "reopened", "resolved", "abandoned", "rated",
    }  # fmt: skip


def test_delivery_holds_up_doubles_and_loses_as_asked(scenario: Make):
    chosen = scenario(
        'metrics = ["heartbeats", "agents_available"]\nrated_ratio = 0',
        "[delivery]\ndelay_seconds = 1\nlate_ratio = 0.02\nduplicate_ratio = 0.03\ngap_ratio = 0.1",
    )
    simulation = simulate(chosen, 1)
    values = Counter(record.value for record in simulation.records)
    count = len(values)
    late = sum(
        record.timestamp - event.occurred_at.timestamp() > 40
        for record, event in zip(
            (r for r in simulation.records if r.topic == "ruptura.tickets"),
            tickets(simulation),
            strict=True,
        )
    )
    minutes = chosen.days * 1440
    reports = len({event.event_id for event in metrics(simulation)})

    def near(found: float, expected: float) -> bool:
        return bool(abs(found - expected) < 4.0 * expected**0.5)

    assert near(sum(n - 1 for n in values.values()), 0.03 * count)
    assert near(late, 0.02 * len(tickets(simulation)))
    assert near(2 * minutes - reports, 0.1 * 2 * minutes)
    assert max(values.values()) == 2


def test_in_an_outage_nobody_gets_in_and_some_go_to_the_sibling(scenario: Make):
    chosen = scenario(
        "spill = { voice = 0.5 }", SIBLING + rupture("outage", duration_minutes=[120, 120])
    )
    for seed in range(4):
        simulation = simulate(chosen, seed)
        (label,) = simulation.labels.ruptures
        stops = label.onset + timedelta(minutes=120)
        opened = [e for e in tickets(simulation) if e.type == "opened"]
        during = Counter(e.channel for e in opened if label.onset <= e.occurred_at < stops)
        before = Counter(
            e.channel
            for e in opened
            if label.onset - timedelta(days=1) <= e.occurred_at < stops - timedelta(days=1)
        )
        assert during["chat"] == 0
        assert before["chat"] > 20
        assert during["voice"] > 1.3 * before["voice"]
        assert label.channels == ["chat", "voice"]
        assert label.breach == label.onset
        assert not label.gradual


@pytest.mark.parametrize(("feed", "other"), [("tickets", "metrics"), ("metrics", "tickets")])
def test_a_silent_feed_says_nothing_while_the_other_one_goes_on(
    scenario: Make, feed: str, other: str
):
    lines = 'metrics = ["heartbeats"]'
    simulation = simulate(scenario(lines, rupture("silent_feed", feed=[feed])), 3)
    (label,) = simulation.labels.ruptures
    told: dict[str, Sequence[TicketEvent | ChannelMetricEvent]] = {
        "tickets": tickets(simulation),
        "metrics": metrics(simulation),
    }

    def count(name: str) -> int:
        return sum(label.onset <= event.occurred_at < label.ends for event in told[name])

    assert count(feed) == 0
    assert count(other) > 100


def test_creeping_errors_are_reported_and_breach_when_they_pass_the_objective(scenario: Make):
    lines = 'metrics = ["errors_ratio"]\nplatform = { requests_per_minute = 600 }'
    keys = {"ramp_minutes": [60, 100], "severity": [0.2, 0.3]}
    simulation = simulate(scenario(lines, rupture("error_creep", **keys)), 2)
    (label,) = simulation.labels.ruptures
    assert label.breach is not None

    def ratio(begins: datetime, minutes: float) -> float:
        ends = begins + timedelta(minutes=minutes)
        found = [e for e in metrics(simulation) if begins < e.occurred_at <= ends]
        return sum(e.numerator or 0 for e in found) / sum(e.denominator or 0 for e in found)

    assert label.gradual
    assert label.onset < label.breach < label.ends
    assert ratio(label.onset - timedelta(minutes=60), 60) < 0.01
    assert ratio(label.breach - timedelta(minutes=20), 10) < 0.05
    assert ratio(label.breach, 10) > 0.05


@pytest.mark.parametrize("kind", ["product", "service", "policy"])
def test_a_wave_of_exceptions_breaches_at_three_times_its_rate(scenario: Make, kind: str):
    lines = f"exceptions = {{ {kind} = 0.2 }}"
    keys = {"ramp_minutes": [90, 90], "severity": [9, 9], "duration_minutes": [180, 180]}
    simulation = simulate(scenario(lines, rupture(f"exceptions_{kind}", **keys)), 4)
    (label,) = simulation.labels.ruptures
    found = [e for e in tickets(simulation) if e.exception == kind and e.type == "opened"]

    def count(begins: datetime, minutes: float) -> int:
        return sum(begins <= e.occurred_at < begins + timedelta(minutes=minutes) for e in found)

    hold = label.onset + timedelta(minutes=90)
    assert label.breach is not None
    assert label.onset < label.breach < hold
    assert count(hold, 90) > 5 * count(hold - timedelta(days=1), 90)


WAITS: dict[str, dict[str, list[float]]] = {
    "staffing_shortage": {"severity": [0.6, 0.8]},
    "slow_backlog": {"severity": [0.6, 0.8], "ramp_minutes": [90, 120]},
    "demand_surge": {"severity": [3, 4], "ramp_minutes": [30, 60]},
    "bot_release": {"severity": [1, 1]},
}


@pytest.mark.parametrize("kind", WAITS)
def test_too_few_agents_for_the_demand_are_felt_after_the_onset(scenario: Make, kind: str):
    bot = "bot = { containment_ratio = 0.8 }" if kind == "bot_release" else ""
    simulation = simulate(scenario(bot, rupture(kind, **WAITS[kind])), 6)
    (label,) = simulation.labels.ruptures
    waits = [
        (e.occurred_at, e.wait_seconds) for e in tickets(simulation) if e.wait_seconds is not None
    ]

    def mean(begins: datetime, ends: datetime) -> float:
        found = [wait for at, wait in waits if begins <= at < ends]
        return sum(found) / len(found)

    assert label.breach is not None
    assert label.onset < label.breach < label.ends
    day = timedelta(days=1)
    calm = mean(label.breach - day, label.ends - day)
    assert mean(label.breach, label.ends) > 20.0 + 3.0 * calm


def test_quiet_labels_stand_where_they_were_asked_for(scenario: Make):
    rest = (
        '[[quiet]]\nname = "night"\nkind = "maintenance"\nchannels = ["chat"]\nday = [1, 1]\n'
        "hour = [2.0, 2.0]\nduration_minutes = [60, 60]\n"
    )
    simulation = simulate(scenario('metrics = ["heartbeats"]', rest), 1)
    (label,) = simulation.labels.quiet
    beats = [
        e.value
        for e in metrics(simulation)
        if label.begins + timedelta(minutes=2) <= e.occurred_at < label.ends
    ]

    assert (label.begins.day, label.begins.hour) == (3, 2)
    assert label.ends - label.begins == timedelta(hours=1)
    assert set(beats) == {0.0}


def test_beside_a_rupture_a_label_of_quiet_ends(scenario: Make):
    rest = (
        '[[quiet]]\nname = "sale"\nkind = "campaign"\nchannels = ["chat"]\nday = [1, 1]\n'
        "hour = [0.0, 0.0]\nduration_minutes = [2880, 2880]\nfactor = [1.2, 1.2]\n"
    )
    labels = simulate(scenario("", rest + rupture("outage")), 1).labels

    assert labels.quiet[0].begins < labels.quiet[0].ends == labels.ruptures[0].onset
