"""Settings for people: what is shown loads again, and no password is ever shown."""

# ruff: noqa: S105, S106 - the passwords are made up

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from ruptura.settings import KafkaSettings, Settings, load, load_with_origins
from ruptura.settings.keys import section_keys, service_keys
from ruptura.tools import config

SERVICES = '{"a \\"b\\".c": {"country": "BR", "actions": {"surge": ["call\\nö \\u007f", "x"]}}}'


def test_what_is_shown_loads_to_the_same_settings(tmp_path: Path) -> None:
    settings = load(None, {"RUPTURA_SERVICES": SERVICES, "RUPTURA_WINDOW__IDLE_SECONDS": "7"})
    file = tmp_path / "shown.toml"
    file.write_text(config.show(settings))

    assert load(file, {}) == settings


def test_every_secret_is_masked_when_set() -> None:
    settings = Settings(kafka=KafkaSettings(sasl_password="hunter2", ssl_key_password="hunter3"))

    shown = config.show(settings)

    assert "hunter" not in shown
    assert tomllib.loads(shown)["kafka"]["sasl_password"] == "***"
    assert tomllib.loads(shown)["kafka"]["ssl_key_password"] == "***"
    assert "# sasl_password is not set" in config.show(Settings())


def test_every_key_that_sounds_secret_is_one() -> None:
    keys = [key for table in (*section_keys().values(), service_keys()) for key in table.values()]

    assert [key.name for key in keys if key.secret] == ["ssl_key_password", "sasl_password"]
    assert all(key.secret for key in keys if re.search("password|secret|token", key.name))


def test_each_line_tells_where_its_value_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "ruptura.toml"
    file.write_text("[window]\nidle_seconds = 5\n[services.default]\ncountry = 'BR'\n[services.a]")
    loaded = load_with_origins(file, {"RUPTURA_WORKER__WEB_PORT": "7000"})

    lines = config.show(loaded.settings, loaded.origins).splitlines()

    assert f"idle_seconds = 5.0  # {file}" in lines
    assert "web_port = 7000  # RUPTURA_WORKER__WEB_PORT" in lines
    assert "bucket_seconds = 60  # default" in lines
    assert lines.count(f'country = "BR"  # {file}') == 2


def test_what_is_valid_is_told_with_the_number_of_keys_and_their_sources(tmp_path: Path) -> None:
    file = tmp_path / "ruptura.toml"
    file.write_text("[window]\nidle_seconds = 5\n")

    nothing, one = load_with_origins(None, {}), load_with_origins(file, {})
    assert config.valid(nothing) == "settings are valid: 0 keys set (defaults only)"
    assert config.valid(one) == f"settings are valid: 1 keys set ({file})"


def test_the_reference_has_a_row_for_every_key() -> None:
    rows = config.reference().splitlines()[2:]

    expected = [f"{name}.{key}" for name, table in section_keys().items() for key in table] + [
        f"services.<name>.{key}" for key in service_keys()
    ]
    assert [row.split("`")[1] for row in rows] == expected
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in rows)


def test_the_example_file_is_the_rendered_one(root: Path) -> None:
    """Render it anew with `ruptura.tools.config.example` when a setting has changed."""
    assert (root / "deploy" / "ruptura.toml").read_text(encoding="utf-8") == config.example()


def test_the_example_file_loads_as_it_is(root: Path) -> None:
    assert load(root / "deploy" / "ruptura.toml", {}).services.keys() == {"default"}


def test_the_example_holds_every_key_with_a_value_of_the_right_type() -> None:
    tables = tomllib.loads(re.sub(r"(?m)^#(?=[a-z_]+ = )", "", config.example()))

    assert {name: set(table) for name, table in tables.items() if name != "services"} == {
        name: set(table) for name, table in section_keys().items()
    }
    assert tables["services"]["default"].keys() == service_keys().keys()
    settings = msgspec.convert(tables, Settings)
    for section in ("topics", "window", "detection", "alert", "worker"):
        assert getattr(settings, section) == getattr(Settings(), section), section
