"""How early and how quiet on the shipped scenarios, with seeds that nobody tuned anything on.

Seeds under 1000 are for trying and tuning; those from 1000 on only ever report.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from ruptura.assembly.build import build_engine
from ruptura.assembly.registry import series_registry
from ruptura.evaluation.baselines import RUPTURA, baseline_makers
from ruptura.evaluation.figures import Figures, figures
from ruptura.evaluation.matching import Verdict
from ruptura.evaluation.run import simulated_trials
from ruptura.evaluation.simulated import batches, settings_of
from ruptura.simulator import load_scenario, shipped, simulate

SEEDS = range(1002, 1003)

LONG = {"month"}
"""Scenarios that take minutes, and are left out unless RUPTURA_QUALITY is `whole`."""

BRIEF = {"static thresholds", "3 sigma of the day"}
"""Baselines of every run; River's take their time, and wait for `whole` too."""

LEAST_RECALL = 0.95
LEAST_EARLY = 0.4
"""What is kept. The aim is 0.8: some waves of exceptions are felt before chance can be excluded."""

MOST_FALSE_PER_CHANNEL_WEEK = 0.5
MOST_ON_QUIET = 0

HAS_A_SAY = 0.5
DEAF = 20
"""Times the false alarms from which on nobody listens: who pages all the time is early, too."""


def shortfalls(own: Figures, baselines: Mapping[str, Figures]) -> list[str]:
    """What Ruptura owes: the minimum figures, and that no baseline be better on any of them.

    On quietness a baseline has a say if it finds half of the ruptures: who never pages is quiet.
    """
    recall, early, false = _shares(own)
    owed = []
    if recall < LEAST_RECALL:
        owed.append(f"recall {recall:.3f} < {LEAST_RECALL}")
    if early < LEAST_EARLY:
        owed.append(f"early {early:.3f} < {LEAST_EARLY}")
    if false > MOST_FALSE_PER_CHANNEL_WEEK:
        owed.append(f"false alarms {false:.3f} a channel-week")
    if own.pages_on_quiet > MOST_ON_QUIET:
        owed.append(f"{own.pages_on_quiet} pages on non-events")
    for name, other in baselines.items():
        its_recall, its_early, its_false = _shares(other)
        if its_recall > recall:
            owed.append(f"recall: {name} is better")
        if its_early > early and its_false <= DEAF * false:
            owed.append(f"early: {name} is better")
        if its_recall >= HAS_A_SAY and its_false < false:
            owed.append(f"false alarms: {name} is better")
        if its_recall >= HAS_A_SAY and other.pages_on_quiet < own.pages_on_quiet:
            owed.append(f"pages on non-events: {name} is better")
    return owed


def _shares(row: Figures) -> tuple[float, float, float]:
    shares = row.recall, row.gradual_early, row.false_alarms_per_channel_week
    assert None not in shares, "nothing was simulated that could be found, or be false"
    return shares[0] or 0.0, shares[1] or 0.0, shares[2] or 0.0


@pytest.mark.quality
@pytest.mark.timeout(7200)
def test_ruptures_are_found_quietly_and_no_quiet_baseline_is_better() -> None:
    whole = os.environ.get("RUPTURA_QUALITY") == "whole"
    paths = [path for name, path in shipped().items() if whole or name not in LONG]
    assert len(paths) >= 18
    baselines = [name for name in baseline_makers() if whole or name in BRIEF]
    assert BRIEF.issubset(baselines)
    jobs = len(os.sched_getaffinity(0))
    verdicts: dict[str, list[Verdict]] = {}
    for trial in simulated_trials(paths, SEEDS, baselines, jobs):
        for name, verdict in trial.verdicts.items():
            verdicts.setdefault(name, []).append(verdict)
    found = {name: figures(each) for name, each in verdicts.items()}
    assert found[RUPTURA].ruptures >= 12
    assert found[RUPTURA].quiet >= 6
    own = found.pop(RUPTURA)
    assert shortfalls(own, found) == []


@pytest.mark.quality
def test_a_thin_channel_stays_in_no_alert_for_longer_than_a_day() -> None:
    """One of its contacts an hour says little; in the warm-up a forecast has to stand alone."""
    scenario = load_scenario(shipped()["small_queue"], series_registry())
    settings = settings_of(scenario)
    engine = build_engine(settings)
    opened: dict[str, datetime] = {}
    lasted: list[timedelta] = []
    for batch in batches(simulate(scenario, 3).records, settings):
        for alert in engine.step(batch).alerts:
            began = opened.setdefault(alert.alert_id, alert.updated_at)
            if alert.status == "resolved":
                lasted.append(alert.updated_at - began)
                del opened[alert.alert_id]
    assert opened == {}
    assert lasted
    assert max(lasted) < timedelta(days=1)


def with_figures(**changes: float) -> Figures:
    values: dict[str, float | None] = dict.fromkeys(Figures.__struct_fields__, 0)
    values.update({"recall": 1.0, "gradual_early": 1.0, "false_alarms_per_channel_week": 0.0})
    return Figures(**{**values, **changes})  # type: ignore[arg-type]  # counts and shares alike


@pytest.mark.parametrize(
    ("changes", "owed"),
    [
        ({}, []),
        ({"recall": 0.94}, ["recall 0.940 < 0.95", "recall: other is better"]),
        ({"gradual_early": 0.3}, ["early 0.300 < 0.4", "early: other is better"]),
        (
            {"false_alarms_per_channel_week": 0.6},
            ["false alarms 0.600 a channel-week", "false alarms: other is better"],
        ),
        (
            {"pages_on_quiet": 1},
            ["1 pages on non-events", "pages on non-events: other is better"],
        ),
    ],
)
def test_each_figure_that_falls_short_is_named(changes: dict[str, float], owed: list[str]) -> None:
    assert shortfalls(with_figures(**changes), {"other": with_figures()}) == owed


def test_a_baseline_that_hardly_ever_pages_is_not_held_up_for_being_quiet() -> None:
    own = with_figures(false_alarms_per_channel_week=0.2)
    mute = with_figures(recall=0.4)
    assert shortfalls(own, {"mute": mute}) == []
    good = with_figures(recall=0.6)
    assert shortfalls(own, {"good": good}) == ["false alarms: good is better"]
