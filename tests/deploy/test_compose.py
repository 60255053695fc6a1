"""The whole stack on one machine: what the schema and the house rules ask of compose.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ruptura.assembly.registry import series_registry
from ruptura.simulator.loading import load_scenario
from tests.deploy.manifests import DEPLOY, SCHEMAS, parse, read, settings_from

[COMPOSE] = read(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if s["image"].startswith("ruptura:")}
WRITES_ITS_ROOT = {"kafka"}  # its start script writes the broker's configuration below /opt/kafka
SERVING = {"kafka", "worker", "prometheus", "alertmanager", "grafana"}

every_service = pytest.mark.parametrize("name", SERVICES)
every_of_ours = pytest.mark.parametrize("name", OURS)


def mounts(service: dict[str, Any]) -> list[tuple[Path, str]]:
    """What a service sees of this checkout: the place here, and the one inside."""
    split = [text.split(":") for text in service.get("volumes", ())]
    return [((DEPLOY / parts[0]), parts[1]) for parts in split if parts[0].startswith(".")]


def variables(service: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = service.get("environment", {})
    return found


def test_it_is_what_the_compose_specification_calls_a_file() -> None:
    schema = json.loads((SCHEMAS / "compose-spec.json").read_text())
    assert [
        f"{error.json_path}: {error.message}"
        for error in jsonschema.Draft7Validator(schema).iter_errors(COMPOSE)
    ] == []


@every_service
def test_a_container_may_do_little_and_use_little(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is (name not in WRITES_ITS_ROOT)
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert not service.get("privileged")
    assert not str(service.get("user", "1")).startswith(("0", "root"))


@every_service
def test_an_image_is_named_with_its_release(name: str) -> None:
    _, colon, tag = SERVICES[name]["image"].partition(":")
    assert colon
    assert any(letter.isdigit() for letter in tag)


@every_service
def test_ports_are_open_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@every_service
def test_each_start_waits_for_what_it_needs(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            image_checks = other in OURS  # the image of ours brings a check of its own
            assert image_checks or SERVICES[other]["healthcheck"]["test"][0] == "CMD"
            assert not SERVICES[other].get("healthcheck", {}).get("disable")
        else:
            assert how["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] != "unless-stopped"


def test_the_order_is_broker_topics_worker_prometheus_grafana() -> None:
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert "topics" in SERVICES["worker"]["depends_on"]
    assert "worker" in SERVICES["prometheus"]["depends_on"]
    assert "prometheus" in SERVICES["grafana"]["depends_on"]


def test_only_the_profile_adds_to_what_serves() -> None:
    plain = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert plain == SERVING | {"topics"}


@every_of_ours
def test_its_command_is_one_that_ruptura_takes(name: str) -> None:
    service = OURS[name]
    files = {inside: here.resolve() for here, inside in mounts(service)}
    files["/recordings/demo.jsonl.zst"] = DEPLOY / "ruptura.toml"  # any file that exists
    parse(service["command"], files)


@every_of_ours
def test_its_settings_are_settings_of_ruptura(name: str) -> None:
    settings = settings_from(variables(OURS[name]), DEPLOY / "ruptura.toml")
    assert settings.kafka.bootstrap_servers == "kafka:19092"
    assert "INSIDE://kafka:19092" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_the_worker_may_take_its_time_to_stop() -> None:
    stop = settings_from(variables(OURS["worker"])).worker.stop_seconds
    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) > stop


def test_the_only_place_to_write_is_a_small_file_system_in_memory() -> None:
    [tmpfs] = OURS["worker"]["tmpfs"]
    assert tmpfs.partition(":")[0] == "/tmp"  # noqa: S108 - of the container
    assert OURS["worker"]["read_only"]


def test_the_stream_to_show_learns_for_a_day_and_breaks_long_enough_to_be_scraped() -> None:
    scenario = load_scenario(DEPLOY / "demo.toml", series_registry())
    warm_up = settings_from(variables(OURS["worker"])).detection.warm_up_seconds
    [rupture] = scenario.ruptures
    assert min(rupture.day) * 86_400 >= warm_up
    command = OURS["publish"]["command"]
    speed = float(command[command.index("--speed") + 1])
    scrape_seconds = 15.0
    assert min(rupture.duration_minutes) * 60.0 / speed >= 4 * scrape_seconds


def test_nothing_secret_stands_in_it() -> None:
    for service in SERVICES.values():
        for key, value in variables(service).items():
            if any(word in key for word in ("PASSWORD", "SECRET", "TOKEN")):
                assert value == f"${{{value[2:].partition(':-')[0]}:-}}", key


@pytest.mark.parametrize(
    ("name", "here", "inside"),
    [
        (name, here, inside)
        for name, service in SERVICES.items()
        for here, inside in mounts(service)
    ],
)
def test_what_is_mounted_is_there(name: str, here: Path, inside: str) -> None:
    del name
    assert here.exists(), f"mounted at {inside}"


def test_prometheus_looks_for_workers_where_they_serve() -> None:
    [config] = read(DEPLOY / "prometheus" / "prometheus.yml")
    [job] = [job for job in config["scrape_configs"] if job["job_name"] == "ruptura"]
    [discovery] = job["dns_sd_configs"]
    port = settings_from(variables(OURS["worker"])).worker.web_port
    assert (discovery["names"], discovery["port"]) == (["worker"], port)
    assert OURS["worker"]["ports"] == [f"127.0.0.1:6066:{port}"]
