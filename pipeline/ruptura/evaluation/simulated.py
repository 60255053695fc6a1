"""One simulated recording through Ruptura and, bucket by bucket, through every baseline.

All are treated alike. The baselines see the very values that Ruptura has closed and judged, from
the first bucket on, one channel at a time; while a service is closed they see nothing and stay
mute, as with mute intervals in Alertmanager. Their conditions become pages by the rules of
`ruptura.evaluation.paging`: five minutes of a condition, and one page per channel until nothing
has fired for half an hour. A page of either is sent when its bucket has closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import msgspec

from ruptura.assembly.build import build_engine, sources
from ruptura.assembly.calendars import calendar_for
from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.effects import Effects
from ruptura.core.contracts.record import Input, Record, Tick
from ruptura.core.series.registry import Measure
from ruptura.evaluation.baselines import RUPTURA, Make
from ruptura.evaluation.bucket import Baseline, Bucket
from ruptura.evaluation.matching import Verdict, judge
from ruptura.evaluation.pages import Page, openings
from ruptura.evaluation.paging import Pager
from ruptura.outputs.memory import AlertList
from ruptura.outputs.sink import ImmediateSink, Sinks
from ruptura.settings import Settings, SettingsError, load
from ruptura.simulator import Scenario, load_scenario, simulate

_BATCH = 4096
_TICKS_PER_BUCKET = 4

Objectives = Mapping[tuple[str, str], Mapping[Measure, float]]
"""By service and channel: thresholds by what is measured."""


class Trial(msgspec.Struct, frozen=True):
    """What one scenario and seed gave.

    Attributes:
        scenario, seed: Which.
        records: In the recording.
        verdicts: By detector.
    """

    scenario: str
    seed: int
    records: int
    verdicts: dict[str, Verdict]


def settings_of(scenario: Scenario) -> Settings:
    """Return the settings that a scenario states for its services, checked as a file would be.

    Raises:
        ValueError: a key or value is wrong; one line that names it.
    """
    services = msgspec.json.encode(scenario.services).decode()
    try:
        return load(None, {"RUPTURA_SERVICES": services})
    except SettingsError as error:
        raise ValueError(f"scenario {scenario.name}: {error}") from None


def run_trial(path: Path, seed: int, makers: Mapping[str, Make]) -> Trial:
    """Simulate a scenario, let Ruptura and the baselines watch it, and judge them.

    Args:
        path: The scenario.
        seed: Of the simulation.
        makers: The baselines by name.

    Raises:
        ValueError: the scenario is refused.
    """
    scenario = load_scenario(path, series_registry())
    settings = settings_of(scenario)
    simulation = simulate(scenario, seed)
    field = Field(settings, makers, objectives_of(scenario))
    engine = build_engine(settings)
    alerts = AlertList()
    sinks = Sinks(alerts, field)
    for batch in batches(simulation.records, settings):
        sinks.apply(engine.step(batch))
    pages = {RUPTURA: openings(alerts.alerts, settings.window.lateness_seconds), **field.pages}
    return Trial(
        scenario.name,
        seed,
        len(simulation.records),
        {name: judge(found, simulation.labels) for name, found in pages.items()},
    )


def objectives_of(scenario: Scenario) -> Objectives:
    """Return what each channel of a scenario promises, as thresholds of what it reports."""
    return {
        (channel.service, channel.name): {
            "errors": objectives.errors_ratio,
            "latency": objectives.request_seconds,
            "wait": objectives.answer_within_seconds,
            "service_level": objectives.service_level_ratio,
            "abandonment": objectives.abandonment_ratio,
        }
        for channel in scenario.channels
        for objectives in (channel.objectives or scenario.objectives,)
    }


def batches(records: Sequence[Record], settings: Settings) -> Iterator[list[Input]]:
    """Yield records with the passing of time between them, as a replay does."""
    topics = list(sources(settings))
    interval = settings.window.bucket_seconds / _TICKS_PER_BUCKET
    now = ticked = float("-inf")
    inputs: list[Input] = []
    for record in records:
        now = max(now, record.timestamp)
        if now - ticked >= interval:
            ticked = now
            # Records of this very moment may still follow.
            inputs.extend(Tick(topic, record.partition, now - 0.001) for topic in topics)
        inputs.append(record)
        if len(inputs) >= _BATCH:
            yield inputs
            inputs = []
    if records:
        # The second watermark makes the first one count between sources.
        last = [Tick(topic, records[-1].partition, now) for topic in topics]
        yield list(chain(inputs, last, last))


class Field(ImmediateSink):
    """All baselines, one set for each channel.

    Args:
        settings: Of the engine that closes the buckets.
        makers: The baselines by name.
        objectives: By service and channel.

    Attributes:
        pages: What they told, by baseline, in order.
    """

    def __init__(
        self, settings: Settings, makers: Mapping[str, Make], objectives: Objectives
    ) -> None:
        self._settings = settings
        self._bucket = float(settings.window.bucket_seconds)
        self._lateness = settings.window.lateness_seconds
        self._makers = makers
        self._objectives = objectives
        self._channels: dict[tuple[str, str], list[tuple[str, Baseline, Pager]]] = {}
        self._open: dict[tuple[str, str], tuple[float, bool]] = {}
        self.pages: dict[str, list[Page]] = {name: [] for name in makers}

    def apply(self, effects: Effects) -> None:
        """Take the closed buckets of a step."""
        values: dict[tuple[str, str, float], dict[str, float]] = {}
        for point in effects.points:
            if point.observed is not None:
                key = point.service, point.channel, point.start
                values.setdefault(key, {})[point.series] = point.observed
        for channel in effects.channels:
            start = channel.end - self._bucket
            key = channel.service, channel.channel, start
            self._observe(channel.service, channel.channel, Bucket(start, values.get(key, {})))

    def _observe(self, service: str, channel: str, bucket: Bucket) -> None:
        baselines = self._channels.get((service, channel))
        if baselines is None:
            baselines = self._channels[service, channel] = self._baselines(service, channel)
        is_open = self._is_open(service, channel, bucket.start)
        for name, baseline, pager in baselines:
            if not is_open:
                pager.mute()
                continue
            why = pager.observe(bucket.start, baseline.observe(bucket))
            if why is not None:
                at = bucket.start + self._bucket + self._lateness
                self.pages[name].append(Page(service, channel, at, why))

    def _baselines(self, service: str, channel: str) -> list[tuple[str, Baseline, Pager]]:
        baselines = []
        for name, make in self._makers.items():
            baseline = make(self._bucket, self._objectives.get((service, channel), {}))
            baselines.append((name, baseline, Pager(self._bucket, baseline.patience)))
        return baselines

    def _is_open(self, service: str, channel: str, start: float) -> bool:
        known = self._open.get((service, channel))
        if known is None or known[0] != start:
            calendar = calendar_for(service, channel, self._settings)
            phase = calendar.phase(start + self._bucket / 2.0)
            known = self._open[service, channel] = (start, phase.open)
        return known[1]
