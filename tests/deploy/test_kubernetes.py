"""The manifests: schemas of Kubernetes and of each operator, house rules, and agreement."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from ruptura.assembly.build import changelog_topic, input_topics
from ruptura.tools.topic_options import TopicOptions
from ruptura.tools.topics import wanted_topics
from ruptura.worker.pages import PAGES
from tests.deploy.manifests import (
    DEPLOY,
    KUBERNETES,
    cluster_settings,
    faults,
    objects,
    one,
    parse,
    pods,
    read,
    settings_from,
)

OBJECTS = objects()
PODS = dict(pods(OBJECTS))
SETTINGS = cluster_settings()
TOML = {"/etc/ruptura/ruptura.toml": KUBERNETES / "base" / "ruptura.toml"}
WORKER = one("StatefulSet")

every_object = pytest.mark.parametrize("name", OBJECTS)
every_pod = pytest.mark.parametrize("name", PODS)


def container(pod: dict[str, Any]) -> dict[str, Any]:
    [found] = pod["containers"]
    assert isinstance(found, dict)
    return found


@every_object
def test_an_object_is_what_its_schema_says(name: str) -> None:
    assert faults(OBJECTS[name]) == []


@pytest.mark.parametrize("kind", sorted({o["kind"] for o in OBJECTS.values()} - {"Namespace"}))
def test_a_misspelt_field_is_seen(kind: str) -> None:
    wrong = copy.deepcopy(next(o for o in OBJECTS.values() if o["kind"] == kind))
    part = wrong if kind == "ServiceAccount" else wrong["spec"]
    part["maxUnavailabel"] = 1
    assert faults(wrong)


@pytest.mark.parametrize("path", sorted(KUBERNETES.rglob("kustomization.yaml")), ids=str)
def test_a_kustomization_names_what_is_there_and_all_of_it(path: Path) -> None:
    [kustomization] = read(path)
    named = [*kustomization.get("resources", ()), *kustomization.get("components", ())]
    named += [patch["path"] for patch in kustomization.get("patches", ()) if "path" in patch]
    assert all((path.parent / name).exists() for name in named)
    beside = {file.name for file in path.parent.glob("*.yaml")} - {path.name}
    assert beside == {name for name in named if "/" not in name}


@every_pod
def test_a_pod_is_what_the_restricted_standard_asks(name: str) -> None:
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(pod)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all(volume.keys() & {"configMap", "emptyDir", "secret"} for volume in pod["volumes"])


@every_pod
def test_a_container_asks_for_what_it_needs_and_no_more(name: str) -> None:
    resources = container(PODS[name])["resources"]
    for part in ("requests", "limits"):
        assert {"cpu", "memory"} <= resources[part].keys()


@every_pod
def test_its_command_is_one_that_ruptura_takes(name: str) -> None:
    assert parse(container(PODS[name])["args"], TOML)["config"] == TOML["/etc/ruptura/ruptura.toml"]


@every_pod
def test_services_put_nothing_into_its_environment(name: str) -> None:
    assert PODS[name]["enableServiceLinks"] is False


@pytest.mark.parametrize("path", ["base", "components/topics"])
def test_an_image_is_named_with_its_release(path: str) -> None:
    [kustomization] = read(KUBERNETES / path / "kustomization.yaml")
    [image] = kustomization["images"]
    assert image["name"] == "ruptura"
    assert image["newTag"].replace(".", "").isdigit()


def test_probes_ask_the_pages_that_the_worker_has() -> None:
    pod = container(WORKER["spec"]["template"]["spec"])
    asked = {kind: pod[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness")}
    assert set(asked.values()) == {"/healthz"}
    assert pod["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert {"/healthz", "/readyz"} <= set(PAGES)
    [port] = pod["ports"]
    assert port["containerPort"] == SETTINGS.worker.web_port


def test_a_worker_is_let_end_by_itself() -> None:
    grace = WORKER["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= SETTINGS.worker.stop_seconds + 15


def test_all_that_is_written_goes_to_memory() -> None:
    pod = WORKER["spec"]["template"]["spec"]
    places = {mount["mountPath"]: mount for mount in container(pod)["volumeMounts"]}
    assert {path for path, mount in places.items() if not mount.get("readOnly")} == {"/tmp"}  # noqa: S108 - as above
    assert "subPath" not in places["/etc/ruptura"]


def test_there_are_never_more_workers_than_partitions() -> None:
    scaled = one("ScaledObject")["spec"]
    assert scaled["maxReplicaCount"] == SETTINGS.topics.partitions
    assert WORKER["spec"]["replicas"] == scaled["minReplicaCount"] > 1


def test_keda_looks_at_the_lag_of_each_input() -> None:
    looked = [trigger["metadata"] for trigger in one("ScaledObject")["spec"]["triggers"]]
    assert {trigger["topic"] for trigger in looked} == set(input_topics(SETTINGS))
    assert {trigger["consumerGroup"] for trigger in looked} == {SETTINGS.kafka.group_id}


def test_strimzi_makes_the_topics_that_ruptura_would() -> None:
    made = {
        o["spec"]["topicName"]: o["spec"] for o in OBJECTS.values() if o["kind"] == "KafkaTopic"
    }
    assert made == {
        shape.name: {
            "topicName": shape.name,
            "partitions": shape.partitions,
            "replicas": shape.replication_factor,
            "config": shape.configuration,
        }
        for shape in wanted_topics(SETTINGS, TopicOptions(replication_factor=3))
    }


def test_the_job_makes_topics_with_as_many_copies_as_strimzi() -> None:
    copies = {o["spec"]["replicas"] for o in OBJECTS.values() if o["kind"] == "KafkaTopic"}
    [job] = read(KUBERNETES / "components" / "topics" / "job.yaml")
    arguments = container(job["spec"]["template"]["spec"])["args"]
    assert {arguments[arguments.index("--replication-factor") + 1]} == {str(n) for n in copies}


def test_the_user_of_strimzi_may_read_what_comes_and_write_what_goes() -> None:
    rights = {
        (acl["resource"]["type"], acl["resource"]["name"]): set(acl["operations"])
        for acl in one("KafkaUser")["spec"]["authorization"]["acls"]
    }
    topics = SETTINGS.topics
    assert rights == {
        **{("topic", name): {"Read"} for name in input_topics(SETTINGS)},
        ("topic", topics.alerts): {"Write"},
        ("topic", topics.dead_letter): {"Write"},
        ("topic", changelog_topic(SETTINGS)): {"Read", "Write"},
        ("group", SETTINGS.kafka.group_id): {"Read"},
    }


def test_the_connection_to_strimzi_is_settings_of_ruptura() -> None:
    [patch] = read(KUBERNETES / "components" / "strimzi" / "connection.yaml")
    pod = patch["spec"]["template"]["spec"]
    env = container(pod)["env"]
    secret = [entry["name"] for entry in env if "valueFrom" in entry]
    assert secret == ["RUPTURA_KAFKA__SASL_PASSWORD"]
    variables = {entry["name"]: entry.get("value", "from a secret") for entry in env}
    authority = variables["RUPTURA_KAFKA__SSL_CAFILE"]
    [place] = [mount["mountPath"] for mount in container(pod)["volumeMounts"]]
    [item] = pod["volumes"][0]["secret"]["items"]
    assert authority == f"{place}/{item['path']}"
    variables["RUPTURA_KAFKA__SSL_CAFILE"] = __file__  # any file that exists
    settings = settings_from(variables, TOML["/etc/ruptura/ruptura.toml"])
    assert settings.kafka.security_protocol == "SASL_SSL"
    assert settings.kafka.sasl_username == one("KafkaUser")["metadata"]["name"]


def test_policies_name_the_labels_and_ports_that_pods_have() -> None:
    labels = WORKER["spec"]["template"]["metadata"]["labels"].items()
    policy = one("NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["ports"] for rule in policy["ingress"]] == [
        [{"protocol": "TCP", "port": SETTINGS.worker.web_port}]
    ]
    assert all(rule.get("to") and rule.get("ports") for rule in policy["egress"])
    for kind in ("PodDisruptionBudget", "PodMonitor"):
        assert one(kind)["spec"]["selector"]["matchLabels"].items() <= labels
    assert one("Service")["spec"]["selector"].items() <= labels
    assert WORKER["spec"]["serviceName"] == one("Service")["metadata"]["name"]


def test_no_secret_stands_in_the_manifests() -> None:
    assert not [name for name, item in OBJECTS.items() if item["kind"] == "Secret"]
    assert SETTINGS.kafka.sasl_password is None


def test_the_operator_gets_the_rules_that_any_prometheus_reads() -> None:
    spec = importlib.util.spec_from_file_location("rules", KUBERNETES / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.prometheus_rule(DEPLOY / "prometheus" / "rules")
    assert module.MADE.read_text() == made, "run: python deploy/kubernetes/rules.py"
