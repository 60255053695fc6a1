"""One simulated recording through Ruptura and through the baselines."""

from __future__ import annotations

from pathlib import Path

import pytest

from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.effects import ChannelPoint, Effects, SeriesPoint
from ruptura.core.contracts.record import Record, Tick
from ruptura.evaluation.baselines import RUPTURA, baseline_makers
from ruptura.evaluation.figures import figures
from ruptura.evaluation.simulated import (
    Field,
    Trial,
    batches,
    objectives_of,
    run_trial,
    settings_of,
)
from ruptura.settings import ServiceSettings, Settings
from ruptura.simulator import load_scenario, simulate
from tests.evaluation.small_scenario import small_scenario

MINUTE = 60.0
MONDAY = 1_772_409_600.0
STATIC = {"static thresholds": baseline_makers()["static thresholds"]}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_scenario(tmp_path_factory.mktemp("scenarios"))


@pytest.fixture(scope="module")
def trial(path: Path) -> Trial:
    return run_trial(path, 3, STATIC)


def test_a_trial_judges_ruptura_and_every_baseline_by_the_same_labels(trial: Trial) -> None:
    assert list(trial.verdicts) == [RUPTURA, "static thresholds"]
    ruptures = [
        [(r.name, r.onset, r.breach) for r in verdict.ruptures]
        for verdict in trial.verdicts.values()
    ]
    assert ruptures[0] == ruptures[1]
    assert [name for name, _, _ in ruptures[0]] == ["errors"]
    weeks = {verdict.channel_weeks for verdict in trial.verdicts.values()}
    assert len(weeks) == 1


def test_errors_far_over_any_threshold_are_found_by_both(trial: Trial) -> None:
    for verdict in trial.verdicts.values():
        found = figures([verdict])
        assert (found.recall, found.detect_median_seconds is not None) == (1.0, True)


def test_the_same_seed_gives_the_same_trial(path: Path, trial: Trial) -> None:
    assert run_trial(path, 3, STATIC) == trial


def test_settings_are_those_of_the_scenario(path: Path) -> None:
    settings = settings_of(load_scenario(path, series_registry()))
    assert settings.services["aurora"].time_zone == "America/Sao_Paulo"


def test_settings_that_are_none_are_refused_in_one_line(tmp_path: Path) -> None:
    path = small_scenario(tmp_path, services='[services.aurora]\ncountry = "Atlantis"')
    with pytest.raises(ValueError, match=r"services.aurora.country") as told:
        settings_of(load_scenario(path, series_registry()))
    assert "\n" not in str(told.value)


def test_a_baseline_knows_the_objectives_of_its_channel(path: Path) -> None:
    [limits] = objectives_of(load_scenario(path, series_registry())).values()
    assert limits["errors"] == 0.04


def test_the_engine_gets_every_record_once_and_in_order(path: Path) -> None:
    scenario = load_scenario(path, series_registry())
    records = simulate(scenario, 3).records
    settings = settings_of(scenario)
    inputs = [item for batch in batches(records, settings) for item in batch]
    assert [item for item in inputs if isinstance(item, Record)] == records
    now = 0.0
    for item in inputs:
        if isinstance(item, Tick):
            assert item.now >= now - 0.001  # what is promised was seen
        else:
            now = max(now, item.timestamp)


def test_without_records_there_is_nothing_to_do() -> None:
    assert list(batches([], Settings())) == []


def errors(minute: int, ratio: float | None) -> Effects:
    """A closed bucket of a channel with an error ratio, or with nothing measured."""
    start = MONDAY + minute * MINUTE
    return Effects(
        points=[SeriesPoint("aurora", "app", "errors_ratio", start, ratio)],
        channels=[ChannelPoint("aurora", "app", start + MINUTE, 0.0, "normal")],
    )


def test_a_baseline_pages_when_the_bucket_can_be_known() -> None:
    field = Field(Settings(), STATIC, {})
    for minute in range(30):
        field.apply(errors(minute, 0.2 if minute >= 10 else 0.0))
    [page] = field.pages["static thresholds"]
    assert (page.service, page.channel, page.why) == ("aurora", "app", "errors_ratio")
    assert page.at == MONDAY + 15 * MINUTE + Settings().window.lateness_seconds


def test_channels_do_not_add_up_to_one_incident() -> None:
    field = Field(Settings(), STATIC, {})
    for minute in range(4):
        field.apply(errors(minute, 0.2))
    other = errors(4, 0.2)
    other.points = [SeriesPoint("aurora", "web", "errors_ratio", MONDAY + 4 * MINUTE, 0.2)]
    other.channels = [ChannelPoint("aurora", "web", MONDAY + 5 * MINUTE, 0.0, "normal")]
    field.apply(other)
    assert field.pages["static thresholds"] == []


def test_what_was_not_measured_is_not_shown_as_a_value() -> None:
    field = Field(Settings(), STATIC, {})
    for minute in range(30):
        field.apply(errors(minute, None))
    assert field.pages["static thresholds"] == []


def test_while_the_service_is_closed_baselines_are_mute() -> None:
    closed = ServiceSettings(opening_hours=["mon 01:00-23:00"])
    field = Field(Settings(services={"aurora": closed}), STATIC, {})
    for minute in range(120):
        field.apply(errors(minute, 0.2))
    [page] = field.pages["static thresholds"]
    assert page.at == MONDAY + 65 * MINUTE + Settings().window.lateness_seconds


def test_every_baseline_can_watch_a_channel() -> None:
    field = Field(Settings(), baseline_makers(), {})
    for minute in range(60):
        field.apply(errors(minute, 0.01))
    assert set(field.pages) == set(baseline_makers())
