"""Settings: file, then environment; every refusal is one line that names place, value and range."""

# ruff: noqa: S105, S106 - the passwords are made up

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ruptura.settings import (
    KafkaSettings,
    ServiceSettings,
    Settings,
    SettingsError,
    load,
    load_with_origins,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ruptura.toml"


def refusal(path: Path | None, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, environment or {})
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_nothing_given_means_defaults() -> None:
    assert load(None, {}) == Settings()


def test_the_file_overrides_defaults_and_the_environment_overrides_the_file(file: Path) -> None:
    file.write_text("[window]\nbucket_seconds = 300\nlateness_seconds = 10\n")

    settings = load(file, {"RUPTURA_WINDOW__BUCKET_SECONDS": "120"})

    assert settings.window.bucket_seconds == 120
    assert settings.window.lateness_seconds == 10.0
    assert settings.window.idle_seconds == Settings().window.idle_seconds


def test_the_path_may_come_from_the_environment_and_an_argument_wins(file: Path) -> None:
    file.write_text("[topics]\npartitions = 7\n")
    other = file.with_name("other.toml")
    other.write_text("[topics]\npartitions = 9\n")

    assert load(None, {"RUPTURA_CONFIG": str(file)}).topics.partitions == 7
    assert load(other, {"RUPTURA_CONFIG": str(file)}).topics.partitions == 9


def test_text_of_the_environment_becomes_numbers_booleans_and_words() -> None:
    settings = load(
        None,
        {
            "RUPTURA_KAFKA__SSL_CHECK_HOSTNAME": "false",
            "RUPTURA_KAFKA__SASL_PASSWORD": "0123",
            "RUPTURA_WORKER__WEB_PORT": "8080",
            "RUPTURA_WORKER__STOP_SECONDS": "2.5",
            "RUPTURA_WORKER__LOG_LEVEL": "debug",
            "RUPTURA_WORKER__STANDBY_REPLICAS": "0",
        },
    )

    assert settings.kafka.ssl_check_hostname is False
    assert settings.kafka.sasl_password == "0123"
    assert settings.worker.web_port == 8080
    assert settings.worker.stop_seconds == 2.5
    assert settings.worker.log_level == "debug"
    assert settings.worker.standby_replicas == 0


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(None, {"RUPTURA_KAFKA__SASL_USERNAME": "", "RUPTURA_SERVICES": ""}) == Settings()


@pytest.mark.parametrize(
    "environment",
    [
        {"RUPTURA_DATA": "/data"},
        # What Kubernetes sets for services named `ruptura` and `ruptura-worker`.
        {"RUPTURA_PORT_6066_TCP_ADDR": "10.0.0.1", "RUPTURA_SERVICE_HOST": "10.0.0.1"},
        {"RUPTURA_WORKER_PORT": "tcp://10.0.0.1:6066", "RUPTURA_WORKER_SERVICE_PORT": "6066"},
    ],
)
def test_variables_that_are_no_settings_are_left_alone(environment: dict[str, str]) -> None:
    assert load(None, environment) == Settings()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        (
            "RUPTURA_KAFKA__BOOTSTRAP_SERVER",
            "unknown variable; did you mean RUPTURA_KAFKA__BOOTSTRAP_SERVERS?",
        ),
        (
            "RUPTURA_KAFKA_BOOTSTRAP_SERVERS",
            "unknown variable; did you mean RUPTURA_KAFKA__BOOTSTRAP_SERVERS?",
        ),
        ("RUPTURA_X__Y", "unknown variable, no such section and key"),
    ],
)
def test_a_mistyped_variable_is_refused(variable: str, text: str) -> None:
    assert refusal(None, {variable: "hunter2"}) == f"{variable}: {text}"


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("[window]\nbucket_seconds = '60'", 'window.bucket_seconds: got "60", expected a whole'),
        ("[window]\nbucket_seconds = 60.0", "window.bucket_seconds: got 60.0, expected a whole"),
        ("[window]\nbucket_seconds = true", "window.bucket_seconds: got true, expected a whole"),
        (
            "[window]\nbucket_seconds = 0",
            "window.bucket_seconds: got 0, expected a whole number from 1 to 86400",
        ),
        (
            "[window]\nlateness_seconds = nan",
            "window.lateness_seconds: got nan, expected a number from 0 to 86400",
        ),
        (
            "[alert]\nwarning_risk = 1",
            "alert.warning_risk: got 1, expected a number over 0 and under 1",
        ),
        (
            "[worker]\nlog_level = 'loud'",
            'worker.log_level: got "loud", expected one of debug, info, warning, error',
        ),
        ("[kafka]\nbootstrap_servers = ''", 'bootstrap_servers: got "", expected text, not empty'),
        (
            "[kafka]\nbootstrap_servers = ['a:1']",
            "kafka.bootstrap_servers: got a list, expected text",
        ),
        (
            "[services.a]\nholidays = ['2026-01-25', 2026-01-26]",
            "services.a.holidays[1]: got 2026-01-26, expected text",
        ),
        (
            "[services.a.actions]\nsurge = ['call', 7]",
            "services.a.actions.surge[1]: got 7, expected text",
        ),
        (
            "[services.a.actions]\nserge = []",
            "services.a.actions.serge: unknown key, expected one of surge, failure, silence",
        ),
        ("[windows]\n", "windows: unknown section; did you mean window?"),
        ("[zzz]\n", "zzz: unknown section; known are kafka, topics"),
        (
            "[window]\nbucket_second = 60",
            "window.bucket_second: unknown key; did you mean bucket_seconds?",
        ),
        ("[services.a]\ntimezone = 'UTC'", "services.a.timezone: unknown key; did you mean"),
        ("kafka = 'localhost:9092'", "kafka: expected a table, written [kafka]"),
        ("services.a = 1", "services.a: expected a table, written [services.a]"),
        ("[services.'']\n", "services.: expected a name of 1 to 128 characters"),
    ],
)
def test_a_wrong_key_type_or_value_is_one_line(file: Path, toml: str, text: str) -> None:
    file.write_text(toml)

    found = refusal(file)

    assert found.startswith(f"{file}: ")
    assert text in found


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("RUPTURA_WINDOW__BUCKET_SECONDS", "soon", 'got "soon", expected a whole number from 1'),
        ("RUPTURA_WINDOW__LATENESS_SECONDS", "nan", 'got "nan", expected a number from 0'),
        ("RUPTURA_KAFKA__SSL_CHECK_HOSTNAME", "maybe", 'got "maybe", expected true or false'),
        ("RUPTURA_WORKER__LOG_LEVEL", "a\nb", r'got "a\nb", expected one of debug'),
        ("RUPTURA_KAFKA__GROUP_ID", "caf\udce9", "not UTF-8"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, text: str) -> None:
    found = refusal(None, {variable: value})

    assert found.startswith(f"{variable}: ")
    assert text in found


@pytest.mark.parametrize(
    "toml",
    [
        "[kafka]\nsasl_password = 12345678",
        "[kafka]\nsasl_pasword = 'x12345678'",
        "[kafka]\nssl_key_password = ['12345678']",
    ],
)
def test_a_refusal_never_shows_a_password(file: Path, toml: str) -> None:
    file.write_text(toml)

    assert "12345678" not in refusal(file)


def test_neither_does_the_representation() -> None:
    assert "hunter2" not in repr(Settings(kafka=KafkaSettings(sasl_password="hunter2")))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[window\n", "not TOML: "),
        (b"a = " + b"9" * 5000, "not TOML: "),
        (b"a = " + b"[" * 100_000, "not TOML: "),
        (b"a = '\xff'", "not UTF-8 at byte 5"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(file: Path, content: bytes | None, text: str) -> None:
    if content is not None:
        file.write_bytes(content)

    assert refusal(file).startswith(f"{file}: {text}")


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("[window]\nbucket_seconds = 7", "window.bucket_seconds: got 7, expected a divisor"),
        (
            "[window]\nbucket_seconds = 1\nlateness_seconds = 1441",
            "window.lateness_seconds: got 1441.0, expected at most 1440 buckets, 1440 seconds",
        ),
        (
            "[window]\nbucket_seconds = 86400\nexpire_seconds = 3600",
            "window.expire_seconds: got 3600, expected at least a bucket, 86400 seconds",
        ),
        (
            "[alert]\nwarning_risk = 0.95",
            "alert.warning_risk: got 0.95, expected less than critical_risk, which is 0.95",
        ),
        ("[alert]\nresolve_risk = 0.6", "alert.resolve_risk: got 0.6, expected less than warning"),
        ("[alert]\nprior = 0.2", "alert.prior: got 0.2, expected less than resolve_risk"),
        ("[topics]\nalerts = 'ruptura_tickets'", "expected another topic than that of tickets"),
        ("[topics]\nalerts = '..'", "topics.alerts: "),
        (
            "[topics]\nrepartition = true\ntickets = '" + "t" * 240 + "'",
            "expected a name that makes the topic ruptura-ttt",
        ),
        (
            "[kafka]\nsecurity_protocol = 'SASL_SSL'",
            "kafka.sasl_username: not set, but needed with security_protocol SASL_SSL",
        ),
        (
            "[kafka]\nsecurity_protocol = 'SASL_SSL'\nsasl_username = 'u'",
            "kafka.sasl_password: not set",
        ),
        ("[kafka]\nssl_cafile = '/nowhere/ca.pem'", 'got "/nowhere/ca.pem", expected a file that'),
        ("[kafka]\nssl_keyfile = '{here}'", "kafka.ssl_certfile: not set, but ssl_keyfile is"),
        ("[kafka]\nbootstrap_servers = 'kafka://a:9092'", "kafka.bootstrap_servers: got"),
        ("[kafka]\nbootstrap_servers = 'a:9092,b'", "kafka.bootstrap_servers: got"),
        ("[kafka]\nbootstrap_servers = 'a:70000'", "kafka.bootstrap_servers: got"),
        ("[services.a]\ntime_zone = 'America/Sao_Palo'", "did you mean America/Sao_Paulo?"),
        ("[services.a]\ntime_zone = 'America'", "services.a.time_zone: "),
        ("[services.a]\ntime_zone = '../etc'", "services.a.time_zone: "),
        ("[services.a]\ncountry = 'br'", "services.a.country: got"),
        ("[services.a]\ncountry = 'ZZ'", 'services.a.country: got "ZZ", expected an ISO 3166'),
        ("[services.a]\ncountry = 'ECB'", "services.a.country: "),
        ("[services.a]\nsubdivision = 'SP'", 'subdivision: got "SP", expected a country with it'),
        ("[services.a]\ncountry = 'BR'\nsubdivision = 'XX'", "services.a.subdivision: got"),
        (
            "[services.a]\ncountry = 'US'\nholiday_categories = ['optional']",
            'services.a.holiday_categories: got "optional", expected one of ',
        ),
        ("[services.a]\nholidays = ['25/01/2026']", "services.a.holidays: got"),
        ("[services.a]\nholidays = ['2026-02-29']", "services.a.holidays: got"),
        ("[services.a]\nopening_hours = ['always']", "services.a.opening_hours: got 'always'"),
        ("[services.a]\nrunbook_url = 'wiki'", 'services.a.runbook_url: got "wiki"'),
    ],
)
def test_keys_that_do_not_agree_are_refused(file: Path, toml: str, text: str) -> None:
    file.write_text(toml.replace("{here}", str(file)))

    found = refusal(file)

    assert found.startswith(f"{file}: ")
    assert text in found


def test_of_keys_that_disagree_the_one_that_was_set_is_blamed() -> None:
    found = refusal(None, {"RUPTURA_ALERT__CRITICAL_RISK": "0.4"})

    assert found.startswith("RUPTURA_ALERT__CRITICAL_RISK: alert.warning_risk: got 0.5")


def test_sasl_is_fine_with_user_and_password() -> None:
    settings = load(
        None,
        {
            "RUPTURA_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "RUPTURA_KAFKA__SASL_USERNAME": "u",
            "RUPTURA_KAFKA__SASL_PASSWORD": "p",
            "RUPTURA_KAFKA__BOOTSTRAP_SERVERS": "a:9092, b.example:9093,[::1]:9094",
        },
    )

    assert settings.kafka.sasl_password == "p"


def test_services_from_the_environment_are_merged_into_those_of_the_file(file: Path) -> None:
    file.write_text("[services.a]\ntime_zone = 'Asia/Tokyo'\n[services.b]\ncountry = 'BR'\n")
    services = {"a": {"country": "JP"}, "c": {"holidays": ["2026-01-25"]}}

    settings = load(file, {"RUPTURA_SERVICES": json.dumps(services)})

    assert settings.services == {
        "a": ServiceSettings(time_zone="Asia/Tokyo", country="JP"),
        "b": ServiceSettings(country="BR"),
        "c": ServiceSettings(holidays=["2026-01-25"]),
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{", "RUPTURA_SERVICES: not JSON: "),
        ("[]", "RUPTURA_SERVICES: services: expected a table"),
        ('{"a": {"country": 7}}', "RUPTURA_SERVICES: services.a.country: got 7, expected text"),
    ],
)
def test_wrong_services_from_the_environment_are_refused(value: str, text: str) -> None:
    assert refusal(None, {"RUPTURA_SERVICES": value}).startswith(text)


def test_a_service_takes_what_it_leaves_out_from_default(file: Path) -> None:
    file.write_text(
        """
        [services.default]
        time_zone = 'America/Sao_Paulo'
        country = 'BR'
        subdivision = 'SP'
        actions.surge = ['a']
        [services.shop]
        opening_hours = ['mon-fri 08:00-18:00']
        actions.silence = ['b']
        [services.usa]
        country = 'US'
        """
    )

    services = load(file, {}).services

    assert services["shop"].time_zone == "America/Sao_Paulo"
    assert services["shop"].subdivision == "SP"
    assert services["shop"].actions == {"surge": ["a"], "silence": ["b"]}
    assert services["usa"].subdivision is None, "São Paulo is no part of another country"


def test_origins_tell_where_each_key_was_set(file: Path) -> None:
    file.write_text("[window]\nbucket_seconds = 300\nidle_seconds = 5\n")

    origins = load_with_origins(file, {"RUPTURA_WINDOW__BUCKET_SECONDS": "120"}).origins

    assert origins == {
        "window.bucket_seconds": "RUPTURA_WINDOW__BUCKET_SECONDS",
        "window.idle_seconds": str(file),
    }
