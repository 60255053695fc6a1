"""Each key: unit, range, meaning; and the fingerprint of those that shape state."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.settings import (
    SettingsError,
    load,
    settings_hash,
)
from ruptura.settings.keys import Key, find_fault, section_keys, service_keys, shown

NUMBERS = [k for keys in section_keys().values() for k in keys.values() if "number" in k.allowed]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ruptura.toml"


def refusal(path: Path | None, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, environment or {})
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("key", NUMBERS, ids=lambda key: key.path)
def test_every_number_has_a_unit_and_both_ends_of_its_range_are_kept(key: Key) -> None:
    assert key.unit
    low, high = map(float, re.findall(r"(?:from|to|over|under) (\S+)", key.allowed))
    for outside in (low - 1, high + 1):
        value = int(outside) if "whole" in key.allowed else outside
        assert find_fault(value, key.annotation, key.path, secret=False) is not None
    assert find_fault(key.default, key.annotation, key.path, secret=False) is None


def test_every_key_says_what_it_means_and_its_default_is_allowed() -> None:
    keys = [key for table in (*section_keys().values(), service_keys()) for key in table.values()]

    assert len(keys) > 50
    for key in keys:
        assert key.description.endswith("."), key.path
        assert key.allowed, key.path
        assert find_fault(key.default, key.annotation, key.path, secret=False) is None, key.path


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.sampled_from([*section_keys()["kafka"].values(), *service_keys().values()]),
)
def test_a_value_is_refused_in_one_line_exactly_when_its_type_refuses_it(
    value: object, key: Key
) -> None:
    fault = find_fault(value, key.annotation, key.path, secret=key.secret)
    try:
        msgspec.convert(value, key.annotation)
    except msgspec.ValidationError:
        assert fault is not None
        assert len(fault.text.splitlines()) == 1
    else:
        assert fault is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["default", "a", ""]) | st.text(max_size=3),
        st.dictionaries(
            st.sampled_from(list(service_keys())),
            json_values | st.sampled_from(["BR", "US", "SP", "UTC", ["2026-01-01"], ["mon"], []]),
            max_size=4,
        )
        | json_values,
    )
)
def test_whatever_services_say_they_load_or_are_refused_in_one_line(services: object) -> None:
    text = "loaded"
    try:
        load(None, {"RUPTURA_SERVICES": json.dumps(services)})
    except SettingsError as error:
        text = str(error)

    assert len(text.splitlines()) == 1


def hash_of(environment: dict[str, str]) -> str:
    return settings_hash(load(None, environment))


@pytest.mark.parametrize(
    ("environment", "same"),
    [
        ({"RUPTURA_KAFKA__BOOTSTRAP_SERVERS": "b:9092"}, True),
        ({"RUPTURA_ALERT__WARNING_RISK": "0.6"}, True),
        ({"RUPTURA_WORKER__WEB_PORT": "7000"}, True),
        ({"RUPTURA_WINDOW__LATENESS_SECONDS": "31"}, True),
        ({"RUPTURA_WINDOW__MAX_METRICS": "7"}, True),
        ({"RUPTURA_WINDOW__EXPIRE_SECONDS": "7200"}, True),
        ({"RUPTURA_DETECTION__WARM_UP_SECONDS": "60"}, True),
        ({"RUPTURA_DETECTION__SIGNAL_PROBABILITY": "0.01"}, True),
        ({"RUPTURA_SERVICES": '{"a": {"country": "BR", "holidays": ["2026-01-02"]}}'}, True),
        ({"RUPTURA_SERVICES": '{"a": {"opening_hours": ["08:00-18:00"]}}'}, True),
        ({"RUPTURA_SERVICES": '{"a": {"commemorative_dates": ["easter"]}}'}, True),
        ({"RUPTURA_SERVICES": '{"a": {"time_zone": "UTC"}}'}, True),
        ({"RUPTURA_WINDOW__BUCKET_SECONDS": "120"}, False),
        ({"RUPTURA_SERVICES": '{"a": {"time_zone": "Asia/Tokyo"}}'}, False),
        ({"RUPTURA_SERVICES": '{"default": {"time_zone": "Asia/Tokyo"}}'}, False),
    ],
)
def test_the_hash_changes_with_what_shapes_state_and_with_nothing_else(
    environment: dict[str, str], same: bool
) -> None:
    assert (hash_of(environment) == hash_of({})) is same


def test_plans_and_the_order_of_services_leave_the_hash_alone() -> None:
    a, b = '"a": {"country": "BR"}', '"b": {"time_zone": "Asia/Tokyo"}'
    plan = '"a": {"country": "BR", "runbook_url": "https://x.example"}'

    hashes = {
        hash_of({"RUPTURA_SERVICES": f"{{{a}, {b}}}"}),
        hash_of({"RUPTURA_SERVICES": f"{{{b}, {a}}}"}),
        hash_of({"RUPTURA_SERVICES": f"{{{plan}, {b}}}"}),
    }

    assert len(hashes) == 1
    assert re.fullmatch("[0-9a-f]{32}", hashes.pop())


WINDOW = {"from": "2026-05-02T22:00:00-03:00", "until": "2026-05-03T02:00:00-03:00"}


def services(**own: object) -> dict[str, str]:
    return {"RUPTURA_SERVICES": json.dumps({"a": own})}


def test_a_planned_window_mutes_and_stops_learning_unless_it_says_otherwise() -> None:
    usual, own = (
        load(None, services(planned=[WINDOW, {**WINDOW, "mute": False, "learn": True}]))
        .services["a"]
        .planned
    )
    assert (usual.mute, usual.learn) == (True, False)
    assert (own.mute, own.learn) == (False, True)
    assert (usual.until - usual.from_).total_seconds() == 4 * 3600


def test_a_planned_window_of_a_file_may_be_written_as_times(file: Path) -> None:
    file.write_text(
        "[[services.a.planned]]\nfrom = 2026-05-02T22:00:00-03:00\n"
        "until = 2026-05-03T02:00:00-03:00\n"
    )
    assert (
        load(file, {}).services["a"].planned
        == load(None, services(planned=[WINDOW])).services["a"].planned
    )


@pytest.mark.parametrize(
    ("own", "path", "expected"),
    [
        ({"planned": [{**WINDOW, "fro": 1}]}, "planned[0].fro", "did you mean from?"),
        ({"planned": [{**WINDOW, "mute": 3}]}, "planned[0].mute", "expected true or false"),
        ({"planned": [{"from": "2026-05-02T22:00:00Z"}]}, "planned[0]", "from, until, mute, learn"),
        (
            {"planned": [{**WINDOW, "from": "2026-05-02T22:00:00"}]},
            "planned[0].from",
            "a time with its offset",
        ),
        (
            {"planned": [{**WINDOW, "until": "2026-05-02T22:00:00-03:00"}]},
            "planned",
            "expected a time after `from`",
        ),
        ({"commemorative_dates": ["blackfriday"]}, "commemorative_dates", "black_friday?"),
        ({"commemorative_dates": ["2026-13-01"]}, "commemorative_dates", "expected YYYY-MM-DD"),
    ],
)
def test_what_is_planned_wrongly_is_refused_with_its_key(
    own: dict[str, object], path: str, expected: str
) -> None:
    text = refusal(None, services(**own))
    assert f"services.a.{path}: " in text
    assert expected in text


@pytest.mark.parametrize("mark", ["\n", "\r", "\x0b", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_value_with_a_line_break_is_shown_on_one_line(mark: str) -> None:
    assert len(shown(f"a{mark}b").splitlines()) == 1
