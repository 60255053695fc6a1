"""What the manifests start, started here: the same settings, rights and checks, real programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from ruptura.settings import Settings, load
from ruptura.tools import topics
from tests.deploy.manifests import KUBERNETES, faults, one, pods, read
from tests.deploy.test_dockerfile import health_command
from tests.integration.kafka_server import SASL_USERS, KafkaServer
from tests.integration.workers import (
    Outcome,
    WorkerProcess,
    read_topic,
    replayed,
    ruptura,
    scenario,
    tuned,
    wait_for_alerts,
    write_recording,
)

pytestmark = pytest.mark.integration

AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",  # whom the listener without authentication lets in
    "allow.everyone.if.no.acl.found": "false",
}

# Told to the interpreter before the worker runs: every file that is opened to be written, and
# every other change to a file system.
WATCH = """
import os, sys
told = os.open({told!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod",
           "os.truncate", "os.utime", "shutil.rmtree")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
def watch(event, arguments):
    if event in CHANGES or (event == "open" and arguments[2] & WRITES):
        if not isinstance(arguments[0], int):
            os.write(told, os.fsencode(os.path.abspath(arguments[0])) + b"\\n")
sys.addaudithook(watch)
open(os.devnull, "wb").close()
"""


def granted(user: dict[str, Any]) -> list[ACL]:
    """The rights that a KafkaUser of Strimzi stands for."""
    return [
        ACL(
            principal=f"User:{user['metadata']['name']}",
            host="*",
            operation=ACLOperation[operation.upper()],
            permission_type=ACLPermissionType.ALLOW,
            resource_pattern=ResourcePattern(
                ResourceType[acl["resource"]["type"].upper()],
                acl["resource"]["name"],
                ACLResourcePatternType[acl["resource"]["patternType"].upper()],
            ),
        )
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    ]


@pytest.fixture(scope="module")
def guarded(kafka_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A Kafka that refuses whatever is not allowed by name."""
    home = tmp_path_factory.mktemp("guarded")
    with KafkaServer(kafka_cache, home, properties=AUTHORIZER) as server:
        yield server


@pytest.fixture(scope="module")
def as_deployed(guarded: KafkaServer) -> Settings:
    """The settings of a worker in overlays/strimzi; only places and time-outs are of this test."""
    [patch] = read(KUBERNETES / "components" / "strimzi" / "connection.yaml")
    [container] = patch["spec"]["template"]["spec"]["containers"]
    user = one("KafkaUser")["metadata"]["name"]
    variables = {entry["name"]: entry.get("value", SASL_USERS[user]) for entry in container["env"]}
    variables |= {
        "RUPTURA_KAFKA__BOOTSTRAP_SERVERS": guarded.sasl_ssl_servers,
        "RUPTURA_KAFKA__SSL_CAFILE": str(guarded.ca_file),
        "RUPTURA_WORKER__WEB_HOST": "127.0.0.1",
    }
    settings = tuned(load(KUBERNETES / "base" / "ruptura.toml", variables))
    # Services stay at their defaults: variables, by which workers are told here, know none.
    return msgspec.structs.replace(settings, services=Settings().services)


@pytest.fixture(scope="module")
def as_administrator(as_deployed: Settings, guarded: KafkaServer) -> Settings:
    """The same topics and group, seen by one who may do everything."""
    plain = msgspec.structs.replace(
        Settings().kafka,
        group_id=as_deployed.kafka.group_id,
        bootstrap_servers=guarded.bootstrap_servers,
    )
    return msgspec.structs.replace(as_deployed, kafka=plain)


@pytest.fixture(scope="module")
def expected(as_administrator: Settings, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Topics with a recording on them and a record that is none; what a replay says of it."""
    folder = tmp_path_factory.mktemp("recording")
    assert topics.create(as_administrator).ok
    recording = write_recording(folder / "in.jsonl", scenario(), as_administrator)
    ruptura(as_administrator, "publish", str(recording), "--speed", "max")
    broken = msgspec.structs.replace(scenario()[-1], value=b"not a document")
    nonsense = write_recording(folder / "nonsense.jsonl", [broken], as_administrator)
    ruptura(as_administrator, "publish", str(nonsense), "--speed", "max")
    return replayed([recording], as_administrator)


def allow(guarded: KafkaServer, acls: list[ACL]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=guarded.bootstrap_servers)
    try:
        admin.create_acls(acls)
    finally:
        admin.close()


def test_without_rights_a_worker_does_not_start(
    expected: Outcome, as_deployed: Settings, tmp_path: Path
) -> None:
    """Else the next test would prove nothing."""
    assert expected.alerts
    with WorkerProcess(as_deployed, tmp_path / "worker.log") as running:
        assert running.process.wait(60) == 1
        [line] = running.said("cannot start")
    assert "denies access to topic" in line["cause"]


def test_with_the_rights_of_its_user_a_worker_does_all_it_has_to_and_writes_nowhere_else(
    expected: Outcome,
    as_deployed: Settings,
    as_administrator: Settings,
    guarded: KafkaServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(guarded, granted(one("KafkaUser")))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # as in the image
    told = tmp_path / "written"
    watch = WATCH.format(told=str(told))
    with WorkerProcess(as_deployed, tmp_path / "worker.log", watch) as running:
        running.wait_ready()
        wait_for_alerts(running, as_administrator, expected)
        running.wait(lambda: read_topic(as_administrator, as_administrator.topics.dead_letter))
        running.wait(lambda: running.counter("ruptura_worker_partitions") > 0)

        # The image's own check, on the real page.
        port = running.url("/healthz").rpartition(":")[2].partition("/")[0]
        check = subprocess.run(
            [sys.executable, *health_command()[1:]],
            env={"RUPTURA_WORKER__WEB_PORT": port},
            check=False,
        )
        assert check.returncode == 0

        pod = one("StatefulSet")["spec"]["template"]["spec"]
        assert running.stop() < pod["terminationGracePeriodSeconds"]
    refused = [line for line in running.lines if "uthoriz" in str(line)]
    assert refused == []

    # And again: the group's positions and the changelog can be read back.
    with WorkerProcess(as_deployed, tmp_path / "again.log") as running:
        running.wait_ready()
        assert running.counter("ruptura_events_consumed_total") == 0
        running.stop()

    written = {Path(line) for line in told.read_text().splitlines()}
    assert Path(os.devnull) in written, "the watch sees nothing"
    assert written == {Path(os.devnull)}


def built(overlay: str) -> dict[str, dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    folder = str(KUBERNETES / "overlays" / overlay)
    if shutil.which("kustomize"):
        command = ["kustomize", "build", folder]
    else:
        if not shutil.which("kubectl"):
            pytest.skip("neither kustomize nor kubectl is installed")
        command = ["kubectl", "kustomize", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = [item for item in yaml.safe_load_all(done.stdout) if item]
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in found}


@pytest.mark.parametrize("overlay", ["plain", "strimzi"])
def test_what_kustomize_builds_is_what_the_schemas_say(overlay: str) -> None:
    made = built(overlay)
    assert {name: found for name, item in made.items() if (found := faults(item))} == {}
    for _, pod in pods(made):
        [container] = pod["containers"]
        assert container["image"] == "ghcr.io/ruptura/ruptura:0.1.0"
    if overlay == "plain":
        namespaced = {
            item["metadata"]["namespace"] for n, item in made.items() if "Namespace/" not in n
        }
        assert namespaced == {"ruptura"}


@pytest.mark.parametrize("overlay", ["plain", "strimzi"])
def test_the_mounted_settings_are_the_ones_that_were_checked(overlay: str) -> None:
    text = built(overlay)["ConfigMap/ruptura"]["data"]["ruptura.toml"]
    assert text == (KUBERNETES / "base" / "ruptura.toml").read_text()


def test_with_all_operators_the_worker_gets_user_authority_and_no_fixed_number() -> None:
    made = built("strimzi")
    spec = made["StatefulSet/ruptura"]["spec"]
    assert "replicas" not in spec
    [container] = spec["template"]["spec"]["containers"]
    names = {entry["name"] for entry in container["env"]}
    assert {"RUPTURA_KAFKA__SASL_PASSWORD", "RUPTURA_KAFKA__SSL_CAFILE"} <= names
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"/etc/ruptura", "/tmp", "/etc/kafka-ca"}  # noqa: S108 - of the container
    for trigger in made["ScaledObject/ruptura"]["spec"]["triggers"]:
        assert trigger["authenticationRef"] == {"name": "ruptura-kafka"}
        assert trigger["metadata"]["bootstrapServers"].endswith(":9093")


def test_secrets_that_are_named_are_there() -> None:
    """kustomize renames what it makes, but not in resources of other people's kinds."""
    made = built("strimzi")
    there = {item["metadata"]["name"] for item in made.values() if item["kind"] == "Secret"}
    # Strimzi makes one for its user, under its name, and one for the authority of its cluster.
    user = made["KafkaUser/ruptura"]["metadata"]
    there |= {user["name"], f"{user['labels']['strimzi.io/cluster']}-cluster-ca-cert"}
    [trigger] = [item for item in made.values() if item["kind"] == "TriggerAuthentication"]
    named = {entry["name"] for entry in trigger["spec"]["secretTargetRef"]}
    assert len(named) >= 2
    assert named <= there
