"""A scenario and a seed become records and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from ruptura.core.contracts.record import Record
from ruptura.core.ingest.calendar import parse_opening_hours
from ruptura.simulator.arrivals import draw_arrivals, merge
from ruptura.simulator.contacts import Centre
from ruptura.simulator.curves import Curves
from ruptura.simulator.delivery import CHANNEL_METRICS, TICKETS, deliver
from ruptura.simulator.desk import Desk
from ruptura.simulator.documents import Born, Stamps
from ruptura.simulator.figures import Figures, figures
from ruptura.simulator.happenings import (
    Happening,
    apply_non_event,
    apply_rupture,
    draw_non_event,
    draw_rupture,
)
from ruptura.simulator.labels import ChannelName, Labels, NonEvent, Rupture
from ruptura.simulator.loading import service_of
from ruptura.simulator.reports import report
from ruptura.simulator.scenario import Channel, Scenario
from ruptura.simulator.shape import busyness, ordinary_rate
from ruptura.simulator.staffing import agents_present, shifts
from ruptura.simulator.station import Station
from ruptura.simulator.timeline import DAY_MINUTES, Bools, Floats, Ints, Timeline
from ruptura.simulator.truth import Truth, breach, settled

_HAPPENINGS, _DEMAND, _STAFF, _CONTACTS, _PLATFORM, _REPORTS, _DELIVERY = range(7)


class Simulation(msgspec.Struct, frozen=True):
    """A recording with what is known about it.

    Attributes:
        records: In the order in which a broker appended them; partition 0, keyed by service.
        labels: Its ruptures, and what must stay quiet.
    """

    records: list[Record]
    labels: Labels


class _World:
    """What seed and scenario have decided before the first contact."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario, self.seed = scenario, seed
        zones = {
            name: ZoneInfo(settings.get("time_zone", "UTC"))
            for name, settings in scenario.services.items()
        }
        self.timelines = {
            name: Timeline(scenario.begins, scenario.days, zone) for name, zone in zones.items()
        }
        self.minutes = scenario.days * DAY_MINUTES
        self.stamps = Stamps(next(iter(self.timelines.values())))
        self.curves: dict[str, dict[str, Curves]] = {name: {} for name in scenario.services}
        for channel in scenario.channels:
            self.curves[channel.service][channel.name] = Curves(channel, self.minutes)

    def rng(self, purpose: int, index: int = 0) -> np.random.Generator:
        """Return a stream of its own for each purpose, so that one does not disturb another."""
        # The name takes part, so that the same seed is not the same luck in every scenario.
        entropy = [self.seed, crc32(self.scenario.name.encode()), purpose, index]
        return np.random.default_rng(np.random.SeedSequence(entropy))


def simulate(scenario: Scenario, seed: int) -> Simulation:
    """Simulate a contact centre.

    Args:
        scenario: As `load_scenario` returns it.
        seed: 0 or more; the same one gives the same recording, byte for byte.

    Returns:
        The recording and its labels.

    Raises:
        ValueError: the seed is less than 0.
    """
    if seed < 0:
        raise ValueError(f"seed: got {seed}, expected 0 or more")
    world = _World(scenario, seed)
    ruptures, quiet = _happenings(world)
    tickets, metrics, truths = _work(world)
    records = deliver(
        [(TICKETS, tickets), (CHANNEL_METRICS, metrics)],
        channels=scenario.channels,
        ways=[channel.delivery or scenario.delivery for channel in scenario.channels],
        start=scenario.begins.timestamp(),
        rng=world.rng(_DELIVERY),
    )
    return Simulation(records, _labels(world, ruptures, quiet, truths))


def _happenings(world: _World) -> tuple[list[tuple[str, Happening]], list[tuple[str, Happening]]]:
    """Draw what happens, and let it change the channels; each with its service."""
    scenario = world.scenario
    quiet: list[tuple[str, Happening]] = []
    for index, table in enumerate(scenario.quiet):
        service = service_of(table, scenario)
        rng = world.rng(_HAPPENINGS, index + 1000)
        quiet.append((service, draw_non_event(table, world.timelines[service], rng)))
        apply_non_event(quiet[-1][1], world.curves[service])
    ruptures: list[tuple[str, Happening]] = []
    for index, rupture in enumerate(scenario.ruptures):
        service = service_of(rupture, scenario)
        rng = world.rng(_HAPPENINGS, index)
        ruptures.append((service, draw_rupture(rupture, world.timelines[service], rng)))
        apply_rupture(ruptures[-1][1], world.curves[service], rng)
    return ruptures, quiet


def _work(world: _World) -> tuple[list[Born], list[Born], dict[str, dict[str, Truth]]]:
    """Let the contact centre work; return its documents and the truth by service and channel."""
    scenario = world.scenario
    drawn = []
    stations: list[Station] = []
    rates: list[Floats] = []
    presences: list[Ints] = []
    for index, channel in enumerate(scenario.channels):
        timeline, curves = world.timelines[channel.service], _curves(world, channel)
        opened: Bools = timeline.is_open(parse_opening_hours(channel.hours))
        rate = ordinary_rate(channel, timeline)
        rng = world.rng(_DEMAND, index)
        demand = rate * busyness(channel, timeline, rng) * curves.demand
        drawn.append(draw_arrivals(channel, demand, curves, rng))
        present = agents_present(channel, rate, opened, curves, world.rng(_STAFF, index))
        rates.append(rate)
        presences.append(present)
        stations.append(
            Station(
                index,
                channel,
                siblings=_siblings(scenario, channel.service),
                target=_target(scenario, channel),
                desk=Desk(shifts(present)),
                opened=opened,
                curves=curves,
                rng=world.rng(_CONTACTS, index),
            )
        )
    centre = Centre(stations, world.stamps)
    centre.run(merge(drawn))
    found = [
        figures(
            channel,
            stations[index].log,
            target=_target(scenario, channel),
            ordinary=rates[index],
            present=presences[index],
            curves=_curves(world, channel),
            rng=world.rng(_PLATFORM, index),
        )
        for index, channel in enumerate(scenario.channels)
    ]
    return _ticket_documents(world, centre), _reports(world, found), _truths(world, found)


def _curves(world: _World, channel: Channel) -> Curves:
    return world.curves[channel.service][channel.name]


def _siblings(scenario: Scenario, service: str) -> Mapping[str, int]:
    return {
        channel.name: index
        for index, channel in enumerate(scenario.channels)
        if channel.service == service
    }


def _target(scenario: Scenario, channel: Channel) -> float:
    return (channel.objectives or scenario.objectives).answer_within_seconds


def _ticket_documents(world: _World, centre: Centre) -> list[Born]:
    """Leave out the events of silent feeds, which are lost."""
    reports = [_curves(world, channel).reports_tickets for channel in world.scenario.channels]
    if all(mask.all() for mask in reports):
        return centre.documents
    return [born for born in centre.documents if reports[born.channel][int(born.at // 60.0)]]


def _reports(world: _World, found: Sequence[Figures]) -> list[Born]:
    reports: list[Born] = []
    for index, channel in enumerate(world.scenario.channels):
        reports += report(
            index,
            channel,
            found[index],
            measures=world.scenario.measures,
            reported=_curves(world, channel).reports_metrics,
            delivery=channel.delivery or world.scenario.delivery,
            stamps=world.stamps,
            rng=world.rng(_REPORTS, index),
        )
    return reports


def _truths(world: _World, found: Sequence[Figures]) -> dict[str, dict[str, Truth]]:
    scenario = world.scenario
    truths: dict[str, dict[str, Truth]] = {name: {} for name in scenario.services}
    for index, channel in enumerate(scenario.channels):
        objectives = channel.objectives or scenario.objectives
        truth = Truth(channel, objectives, _curves(world, channel), found[index])
        truths[channel.service][channel.name] = truth
    return truths


def _labels(
    world: _World,
    ruptures: Sequence[tuple[str, Happening]],
    quiet: Sequence[tuple[str, Happening]],
    truths: Mapping[str, Mapping[str, Truth]],
) -> Labels:
    scenario = world.scenario
    timeline = next(iter(world.timelines.values()))
    moment = timeline.moment

    def label(service: str, happening: Happening) -> Rupture:
        channels = _reached(scenario, service, happening)
        felt = breach(happening, truths[service])
        return Rupture(
            name=happening.name,
            kind=happening.kind,
            service=service,
            channels=channels,
            onset=moment(happening.onset),
            breach=None if felt is None else moment(felt),
            ends=moment(settled(happening, channels, truths[service])),
            gradual=happening.gradual,
        )

    def note(service: str, happening: Happening) -> NonEvent:
        # Beside a rupture it is quiet no longer.
        onsets = [
            rupture.onset
            for where, rupture in ruptures
            if where == service and {*rupture.channels} & {*happening.channels}
        ]
        ends = min((at for at in onsets if at > happening.onset), default=happening.ends)
        return NonEvent(
            name=happening.name,
            kind=happening.kind,
            service=service,
            channels=happening.channels,
            begins=moment(happening.onset),
            ends=moment(min(ends, happening.ends)),
        )

    return Labels(
        scenario=scenario.name,
        seed=world.seed,
        begins=moment(0),
        judged_from=moment(scenario.warm_up_days * DAY_MINUTES),
        ends=moment(world.minutes),
        channels=[ChannelName(c.service, c.name) for c in scenario.channels],
        ruptures=sorted((label(*pair) for pair in ruptures), key=lambda r: (r.onset, r.name)),
        quiet=sorted((note(*pair) for pair in quiet), key=lambda q: (q.begins, q.name)),
    )


def _reached(scenario: Scenario, service: str, happening: Happening) -> list[str]:
    """Return where a rupture can be seen: at its cause, and where contacts go instead."""
    reached = list(happening.channels)
    if happening.kind == "silent_feed":
        return reached
    for channel in scenario.channels:
        if channel.service == service and channel.name in happening.channels:
            reached += [name for name in channel.spill if name not in reached]
    return reached
