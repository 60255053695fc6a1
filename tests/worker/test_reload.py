"""Reloading: new settings whole or not at all, whatever happens to the file."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from ruptura.settings import Settings, fingerprint, load, load_with_origins
from ruptura.worker import reload
from ruptura.worker.reload import Reloader, SettingsStatus

QUIET = "[alert]\nwarning_risk = 0.6\n"
LOUD = "[alert]\nwarning_risk = 0.3\n"
BAD = "[alert]\nwarning_risk = 3\n"
HALF_BAD = LOUD + "[worker]\nweb_port = 1\n"


class Scene:
    """A worker that was started with a file."""

    def __init__(self, folder: Path, text: str = QUIET) -> None:
        self.path = folder / "ruptura.toml"
        self.path.write_text(text)
        self.started = load(self.path, {})
        self.now = 1000.0
        self.registry = CollectorRegistry()
        standing = SettingsStatus(self.started, lambda: self.now)
        self.registry.register(standing)
        self.reloader = Reloader(self.path, self.started, standing)
        self.applied: list[Settings] = []
        self.fault: Exception | None = None

    async def apply(self, settings: Settings) -> None:
        if self.fault is not None:
            raise self.fault
        self.applied.append(settings)

    def reload(self, text: str | None = None) -> list[dict[str, object]]:
        """Load again, with another text in the file; return the log."""
        if text is not None:
            self.path.write_text(text)
        with capture_logs() as said:
            asyncio.run(self.reloader.reload(self.apply))
        return [dict(line) for line in said]

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"ruptura_settings_{name}", labels)

    @property
    def standing(self) -> tuple[float | None, float | None]:
        return self.value("reload_successful"), self.value("last_reload_timestamp_seconds")

    def is_shown(self, settings: Settings) -> bool:
        return self.value("info", hash=fingerprint(settings)) == 1.0


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    for name in [name for name in os.environ if name.startswith("RUPTURA_")]:
        monkeypatch.delenv(name)
    return Scene(tmp_path)


def test_at_the_start_the_settings_count_as_loaded(scene: Scene) -> None:
    assert scene.standing == (1.0, 1000.0)
    assert scene.is_shown(scene.started)


def test_what_has_changed_is_applied_shown_and_told(scene: Scene) -> None:
    scene.now = 2000.0
    [line] = scene.reload(LOUD)
    [settings] = scene.applied
    assert settings.alert.warning_risk == 0.3
    assert scene.standing == (1.0, 2000.0)
    assert scene.is_shown(settings)
    assert not scene.is_shown(scene.started)
    assert line["changes"] == ["alert.warning_risk: 0.6 -> 0.3"]


def test_where_nothing_has_changed_that_is_said_and_nothing_applied(scene: Scene) -> None:
    scene.now = 2000.0
    [line] = scene.reload(QUIET + "# a remark\n")
    assert line["event"] == "settings loaded again; nothing has changed"
    assert scene.applied == []
    assert scene.standing == (1.0, 2000.0)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (BAD, "alert.warning_risk: got 3, expected a number over 0 and under 1"),
        (HALF_BAD, "worker.web_port: got 1, expected 6066 while the worker runs"),
        ("[alert", "not TOML"),
        ("[alert]\nwarning_rsk = 0.4\n", "did you mean warning_risk?"),
    ],
)
def test_what_cannot_be_applied_whole_changes_nothing_until_it_is_mended(
    scene: Scene, text: str, cause: str
) -> None:
    scene.now = 2000.0
    [line] = scene.reload(text)
    assert line["log_level"] == "error"
    assert line["event"] == "settings refused; the previous ones stay in force"
    assert cause in str(line["cause"])
    assert str(scene.path) in str(line["cause"])
    assert "\n" not in str(line["cause"])
    assert scene.applied == []
    assert scene.standing == (0.0, 1000.0)
    assert scene.is_shown(scene.started)
    scene.reload(LOUD)
    assert scene.standing == (1.0, 2000.0)
    assert len(scene.applied) == 1


def test_a_file_that_is_gone_is_refused_and_welcome_when_it_is_back(scene: Scene) -> None:
    scene.path.unlink()
    [line] = scene.reload()
    assert "cannot be read" in str(line["cause"])
    assert scene.standing[0] == 0.0
    scene.reload(QUIET)
    assert scene.standing[0] == 1.0


def test_what_the_engine_refuses_is_refused_and_compared_with_what_is_in_force(
    scene: Scene,
) -> None:
    scene.fault = ValueError("does not fit")
    [line] = scene.reload(LOUD)
    assert line["cause"] == "ValueError: does not fit"
    assert scene.standing[0] == 0.0
    scene.fault = None
    [line] = scene.reload()
    assert line["changes"] == ["alert.warning_risk: 0.6 -> 0.3"]


def test_a_variable_of_the_environment_wins_over_the_file(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUPTURA_ALERT__WARNING_RISK", "0.6")
    scene.reload(LOUD)
    assert scene.applied == []


class TestWatching:
    def test_new_content_counts_once_it_stays_for_two_looks(self, scene: Scene) -> None:
        scene.reload()
        scene.path.write_text("[alert]\nwarning_")
        assert not scene.reloader.has_changed()
        scene.path.write_text(LOUD)
        assert not scene.reloader.has_changed()
        assert scene.reloader.has_changed()
        scene.reload()
        assert not any(scene.reloader.has_changed() for _ in range(3))

    def test_a_link_that_is_put_on_another_file_counts(self, tmp_path: Path) -> None:
        for name, text in (("one", QUIET), ("two", LOUD)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "ruptura.toml").write_text(text)
            os.utime(tmp_path / name / "ruptura.toml", (1, 1))
        data = tmp_path / "..data"
        data.symlink_to("one")
        standing = SettingsStatus(Settings())
        subject = Reloader(data / "ruptura.toml", Settings(), standing)
        asyncio.run(subject.reload(_take))
        assert not any(subject.has_changed() for _ in range(3))
        (tmp_path / "..new").symlink_to("two")
        (tmp_path / "..new").rename(data)
        assert [subject.has_changed() for _ in range(2)] == [False, True]

    def test_a_touched_file_has_not_changed(self, scene: Scene) -> None:
        scene.reload()
        os.utime(scene.path, (1, 1))
        assert not any(scene.reloader.has_changed() for _ in range(3))

    def test_a_refused_file_is_not_tried_again_until_it_changes(self, scene: Scene) -> None:
        scene.reload(BAD)
        assert not any(scene.reloader.has_changed() for _ in range(3))


class TestRunning:
    @pytest.fixture(autouse=True)
    def _hurried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reload, "_CHECK_SECONDS", 0.005)
        monkeypatch.setattr(reload, "_NAP_SECONDS", 0.001)

    def run(self, scene: Scene, until: float = 1.0) -> None:
        """Run until settings were applied, or for so many seconds."""

        async def running() -> None:
            limit = asyncio.get_running_loop().time() + until
            await scene.reloader.run(
                scene.apply,
                lambda: bool(scene.applied) or asyncio.get_running_loop().time() > limit,
            )

        asyncio.run(running())

    def test_a_changed_file_is_taken_over(self, scene: Scene) -> None:
        scene.path.write_text(LOUD)
        self.run(scene)
        assert len(scene.applied) == 1

    def test_an_unchanged_file_is_not_worth_a_word(self, scene: Scene) -> None:
        with capture_logs() as said:
            self.run(scene, 0.1)
        assert said == []
        assert scene.standing[0] == 1.0

    def test_without_a_file_a_signal_loads_the_environment_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def running() -> None:
            subject.ask()
            stop = iter([False] * 5 + [True])
            await subject.run(_take, lambda: next(stop))

        subject = Reloader(None, Settings(), SettingsStatus(Settings()))
        monkeypatch.delenv("RUPTURA_CONFIG", raising=False)
        with capture_logs() as said:
            asyncio.run(running())
        assert [line["event"] for line in said] == ["settings loaded again; nothing has changed"]


async def _take(_settings: Settings) -> None:
    pass


class TestKeysWithoutEffect:
    """Of former versions; see `ruptura.settings.retired`."""

    RETIRED = QUIET + "[worker]\ntick_seconds = 5.0\n"

    def test_what_a_new_file_brings_is_warned_of_once(self, tmp_path: Path) -> None:
        scene = Scene(tmp_path)
        warned, _ = scene.reload(self.RETIRED)
        assert warned["event"] == "setting without effect"
        assert "worker.tick_seconds no longer has an effect" in str(warned["cause"])
        assert [line["event"] for line in scene.reload()] == [
            "settings loaded again; nothing has changed"
        ]

    def test_what_was_said_at_the_start_is_not_said_again(self, tmp_path: Path) -> None:
        scene = Scene(tmp_path, self.RETIRED)
        told = load_with_origins(scene.path, {}).warnings
        scene.reloader = Reloader(
            scene.path, scene.started, SettingsStatus(scene.started, lambda: 0.0), told
        )
        assert [line["log_level"] for line in scene.reload()] == ["info"]
