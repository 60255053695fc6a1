"""Keys of former versions: accepted, without effect, each with one warning that says what holds."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ruptura.cli import cli
from ruptura.core.contracts.tuning import DetectionTuning, WindowTuning
from ruptura.forecast.factory import WINDOW_SECONDS
from ruptura.settings import Settings, SettingsError, load, load_with_origins
from ruptura.settings.keys import section_keys
from ruptura.settings.retired import RETIRED
from ruptura.tools import topic_options
from ruptura.worker.pace import NORMAL

every_retired = pytest.mark.parametrize("path", RETIRED)


def text(path: str, value: str = "7") -> str:
    section, key = path.split(".")
    return f"[{section}]\n{key} = {value}\n"


def variable(path: str) -> str:
    return "RUPTURA_" + path.replace(".", "__").upper()


@every_retired
@pytest.mark.parametrize("value", ["7", "-1.5", '"/tmp/x"'])
def test_in_a_file_it_is_one_warning_whatever_its_value(
    path: str, value: str, tmp_path: Path
) -> None:
    file = tmp_path / "ruptura.toml"
    file.write_text(text(path, value))

    loaded = load_with_origins(file, {})

    [warning] = loaded.warnings
    assert warning.startswith(f"{file}: {path} no longer has an effect: ")
    assert loaded.settings == Settings()
    assert loaded.origins == {}


@every_retired
def test_in_the_environment_it_is_one_warning_too(path: str) -> None:
    loaded = load_with_origins(None, {variable(path): "anything"})

    [warning] = loaded.warnings
    assert warning.startswith(f"{variable(path)}: {path} no longer has an effect: ")
    assert loaded.settings == Settings()


@every_retired
def test_an_empty_variable_counts_as_not_set(path: str) -> None:
    assert load_with_origins(None, {variable(path): ""}).warnings == ()


@every_retired
def test_it_is_no_key_any_more_and_is_not_suggested(path: str) -> None:
    section, name = path.split(".")
    assert name not in section_keys()[section]
    with pytest.raises(SettingsError) as refused:
        load(None, {variable(path)[:-1]: "1"})
    assert variable(path) not in str(refused.value).split(": ", 1)[1]


def test_the_other_keys_of_its_table_count(tmp_path: Path) -> None:
    file = tmp_path / "ruptura.toml"
    file.write_text(
        "[worker]\ntick_seconds = 1\nstop_seconds = 5\n[topics]\nreplication_factor = 3"
    )

    loaded = load_with_origins(file, {})

    assert loaded.settings.worker.stop_seconds == 5.0
    assert [line.split(" ")[1] for line in loaded.warnings] == [
        "topics.replication_factor",
        "worker.tick_seconds",
    ]


def test_a_table_that_is_none_is_refused_as_ever(tmp_path: Path) -> None:
    file = tmp_path / "ruptura.toml"
    file.write_text("worker = 3\n")
    with pytest.raises(SettingsError, match="worker: expected a table"):
        load(file, {})


def test_the_number_that_holds_now_is_the_one_in_the_code() -> None:
    window, detection = (
        {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}
        for kind in (WindowTuning, DetectionTuning)
    )
    held = {
        "kafka.fetch_max_wait_seconds": NORMAL.fetch_max_wait_seconds,
        "topics.replication_factor": topic_options.REPLICATION_FACTOR,
        "topics.retention_seconds": topic_options.RETENTION_SECONDS,
        "topics.output_retention_seconds": topic_options.OUTPUT_RETENTION_SECONDS,
        "window.duplicate_ids": window["duplicate_ids"],
        "detection.band_probability": detection["band_probability"],
        "detection.minimum_level_effect": detection["minimum_level_effect"],
        "detection.signal_probability": detection["signal_probability"],
        "forecast.window_seconds": WINDOW_SECONDS,
        "worker.checkpoint_seconds": NORMAL.checkpoint_seconds,
        "worker.tick_seconds": NORMAL.tick_seconds,
        "worker.max_fetched_bytes": NORMAL.max_fetched_bytes,
    }
    told = {
        path: float(found[0])
        for path, what in RETIRED.items()
        if (found := re.findall(r"\d[\d.]*", what))
    }
    assert told == held


@pytest.mark.parametrize("command", [["config", "check"], ["config", "show"]])
def test_commands_tell_it_on_standard_error_and_go_on(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "ruptura.toml"
    file.write_text("[worker]\ndata_dir = '/var/lib/ruptura'\n")

    result = CliRunner().invoke(cli, [*command, "--config", str(file)])

    assert result.exit_code == 0
    warning = (
        f"{file}: worker.data_dir no longer has an effect: the worker writes no files; remove it"
    )
    assert result.stderr == f"ruptura: warning: {warning}\n"
    assert "data_dir" not in result.stdout
