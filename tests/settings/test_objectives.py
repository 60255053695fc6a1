"""Service level objectives in the settings: by service and channel, none by default."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ruptura.assembly.build import build_engine
from ruptura.core.detect.forecast import Objectives
from ruptura.forecast.factory import forecaster_factory
from ruptura.settings import ServiceSettings, Settings, SettingsError, load, settings_hash


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ruptura.toml"


def refused(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file, {})
    return str(caught.value).removeprefix(f"{file}: ")


def test_there_are_none_by_default() -> None:
    settings = load(None, {})
    assert settings.forecast.horizon_seconds == 900.0
    assert settings.services == {}
    build_engine(settings)


def test_a_service_inherits_those_of_the_default_channel_by_channel(file: Path) -> None:
    file.write_text(
        """
        [services.default.objectives.voice]
        service_level_ratio = 0.8
        answer_within_seconds = 20
        [services.shop.objectives.voice]
        answer_within_seconds = 60
        [services.shop.objectives.default]
        errors_ratio = 0.05
        """,
        encoding="utf-8",
    )
    objectives = load(file, {}).services["shop"].objectives
    assert objectives == {
        "voice": {"service_level_ratio": 0.8, "answer_within_seconds": 60.0},
        "default": {"errors_ratio": 0.05},
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "services.shop.objectives.voice.service_level = 0.8",
            "services.shop.objectives.voice.service_level: unknown key, expected one of",
        ),
        (
            "services.shop.objectives.voice.errors_ratio = 5",
            "services.shop.objectives.voice.errors_ratio: got 5.0, expected a number over 0 and "
            "under 1",
        ),
        (
            "services.shop.objectives.voice.backlog_contacts = 0",
            "services.shop.objectives.voice.backlog_contacts: got 0, expected a number over 0",
        ),
        (
            "services.shop.objectives.voice.service_level_ratio = 0.8",
            "services.shop.objectives.voice.answer_within_seconds: not set, but needed with "
            "service_level_ratio",
        ),
        (
            "services.shop.objectives.voice.answer_within_seconds = 20",
            "services.shop.objectives.voice.service_level_ratio: not set, but needed with "
            "answer_within_seconds",
        ),
        (
            "window.bucket_seconds = 3600\nwindow.lateness_seconds = 30\n"
            "forecast.horizon_seconds = 900",
            "forecast.horizon_seconds: got 900.0, expected at least a bucket, 3600 seconds",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(file: Path, text: str, line: str) -> None:
    assert refused(file, text).startswith(line)


def test_they_shape_no_state() -> None:
    with_objectives = Settings(
        services={"default": _service({"voice": {"errors_ratio": 0.05}})},
    )
    without = Settings(services={"default": _service({})})
    assert settings_hash(with_objectives) == settings_hash(without)


def test_every_objective_of_the_settings_is_one_of_the_core() -> None:
    names = dict.fromkeys(Objectives.__struct_fields__, 0.5)
    service = _service({"voice": names})
    assert set(service.objectives["voice"]) == set(Objectives.__struct_fields__)
    made = forecaster_factory(60.0, 900.0, 1800.0, lambda *_: Objectives(**names))("shop", "voice")
    assert made is not None


def _service(objectives: dict[str, dict[str, float]]) -> ServiceSettings:
    return msgspec.convert({"objectives": objectives}, ServiceSettings)
