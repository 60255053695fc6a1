"""When a change takes effect: every key says it, and what is refused says so in one line."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from ruptura.settings import Settings, TakesEffect, changes, fingerprint, refused, settings_hash
from ruptura.settings.keys import keys_of, section_keys, service_keys
from ruptura.settings.section import NOW, Section

ZONES = st.sampled_from(["UTC", "America/Sao_Paulo", "Asia/Tokyo"])
SERVICES = st.dictionaries(
    st.sampled_from(["default", "aurora", "boreal"]), st.fixed_dictionaries({"time_zone": ZONES})
)


def of(**sections: dict[str, Any]) -> Settings:
    return msgspec.convert(sections, Settings)


def test_every_key_says_when_a_change_of_it_takes_effect() -> None:
    class Silent(Section, frozen=True):
        told: Annotated[int, Meta(description="Told.", extra=NOW)] = 1
        untold: Annotated[int, Meta(description="Untold.", extra={"unit": "s"})] = 1

    with pytest.raises(KeyError, match="takes_effect"):
        keys_of(Silent, "silent")

    keys = [key for table in (*section_keys().values(), service_keys()) for key in table.values()]
    found = {kind: {key.path for key in keys if key.takes_effect is kind} for kind in TakesEffect}
    assert found[TakesEffect.REWARM] == {
        "topics.repartition",
        "window.bucket_seconds",
        "services.<name>.time_zone",
    }
    assert found[TakesEffect.TOPICS] == {"topics.partitions"}
    assert all(
        path.startswith(("kafka.", "topics.", "worker.")) for path in found[TakesEffect.RESTART]
    )


@given(SERVICES, SERVICES, st.sampled_from([60, 30]), st.booleans())
def test_a_change_warms_up_exactly_where_it_changes_the_shape_of_the_state(
    one: dict[str, Any], other: dict[str, Any], bucket: int, repartition: bool
) -> None:
    before = of(services=one)
    after = of(
        services=other,
        window={"bucket_seconds": bucket},
        topics={"repartition": repartition},
    )
    found = [change.key.takes_effect for change in changes(before, after)]
    warms_up = TakesEffect.REWARM in found
    assert warms_up == (settings_hash(before) != settings_hash(after))


@pytest.mark.parametrize("repartition", [False, True])
def test_the_number_of_partitions_shapes_the_state_where_it_decides_where_services_are(
    repartition: bool,
) -> None:
    four, eight = (of(topics={"repartition": repartition, "partitions": n}) for n in (4, 8))
    assert (settings_hash(four) != settings_hash(eight)) == repartition


def test_equal_settings_do_not_differ() -> None:
    assert changes(of(services={"aurora": {}}), of()) == []


def test_a_service_is_compared_by_what_is_in_force_for_it() -> None:
    before = of(services={"default": {"country": "BR"}})
    after = of(services={"default": {"country": "BR"}, "aurora": {"country": "PT"}})
    [change] = changes(before, after)
    assert str(change) == 'services.aurora.country: "BR" -> "PT"'
    assert change.key.takes_effect is TakesEffect.NOW


def test_what_applies_at_once_is_not_refused() -> None:
    after = of(
        alert={"warning_risk": 0.4},
        detection={"minimum_count_effect": 9.0},
        forecast={"horizon_seconds": 600.0},
        worker={"log_level": "debug"},
        topics={"partitions": 8},
        services={"default": {"opening_hours": ["mon-fri 08:00-18:00"]}},
    )
    found = changes(Settings(), after)
    assert len(found) == 6
    assert refused(found, {}) is None


@pytest.mark.parametrize(
    ("after", "origins", "line"),
    [
        (
            of(window={"bucket_seconds": 30}),
            {"window.bucket_seconds": "r.toml"},
            "r.toml: window.bucket_seconds: got 30, expected 60 while the worker runs: it takes "
            "effect after a restart, which warms up every series of every service anew",
        ),
        (
            of(topics={"alerts": "other"}, alert={"warning_risk": 0.4}),
            {"topics.alerts": "r.toml"},
            'r.toml: topics.alerts: got "other", expected "ruptura.alerts" while the worker runs: '
            "it takes effect after a restart, which keeps what was learned",
        ),
        (
            of(services={"aurora": {"time_zone": "Asia/Tokyo"}}),
            {"services.aurora.time_zone": "RUPTURA_SERVICES"},
            'RUPTURA_SERVICES: services.aurora.time_zone: got "Asia/Tokyo", expected "UTC" while '
            "the worker runs: it takes effect after a restart, which warms up every series of "
            "every service anew",
        ),
        (
            of(kafka={"sasl_password": "s3cret"}),
            {"kafka.sasl_password": "r.toml"},
            "r.toml: kafka.sasl_password: got ***, expected nothing while the worker runs: it "
            "takes effect after a restart, which keeps what was learned",
        ),
    ],
    ids=["bucket", "topic", "zone", "secret"],
)
def test_a_refusal_names_origin_key_value_what_is_allowed_and_what_a_restart_does(
    after: Settings, origins: dict[str, str], line: str
) -> None:
    assert refused(changes(Settings(), after), origins) == line


def test_a_key_that_was_taken_out_of_the_file_is_refused_as_a_default() -> None:
    found = changes(of(worker={"web_port": 9}), Settings())
    assert (refused(found, {}) or "").startswith("defaults: worker.web_port: got 6066, expected 9 ")


def test_of_many_refusals_the_first_are_told_and_the_others_counted() -> None:
    after = of(
        worker={"web_port": 1, "web_host": "h", "max_label_sets": 2, "stop_seconds": 9.0},
        topics={"tickets": "t", "alerts": "a", "dead_letter": "d"},
    )
    told = (refused(changes(Settings(), after), {}) or "").split("; ")
    assert len(told) == 6
    assert told[-1] == "and 2 more"


class TestFingerprint:
    @pytest.mark.parametrize(
        "after",
        [
            of(alert={"warning_risk": 0.4}),
            of(services={"aurora": {"actions": {"surge": ["Call."]}}}),
            of(kafka={"bootstrap_servers": "b:9092"}),
        ],
        ids=["number", "service", "brokers"],
    )
    def test_it_changes_with_any_key(self, after: Settings) -> None:
        assert fingerprint(after) != fingerprint(Settings()) == fingerprint(of())

    @pytest.mark.parametrize("name", ["sasl_password", "ssl_key_password"])
    def test_it_tells_nothing_of_secrets(self, name: str) -> None:
        assert fingerprint(of(kafka={name: "s3cret"})) == fingerprint(Settings())
