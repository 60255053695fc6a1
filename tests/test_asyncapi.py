"""The AsyncAPI document is well formed and tells of the topics and messages there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker

from ruptura.settings import Settings
from ruptura.tools.schemas import DOCUMENTS, render
from ruptura.tools.topic_options import (
    OUTPUT_RETENTION_SECONDS,
    REPLICATION_FACTOR,
    RETENTION_SECONDS,
)

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "schemas"


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_bytes())
    return document


def test_the_asyncapi_document_fits_the_schema_of_asyncapi_3(asyncapi: dict[str, Any]) -> None:
    rules = json.loads((ROOT / "tests" / "asyncapi" / "3.0.0.json").read_bytes())
    Draft7Validator(rules).validate(asyncapi)
    assert asyncapi["asyncapi"] == "3.0.0"


def test_its_channels_are_the_topics_of_the_default_settings(asyncapi: dict[str, Any]) -> None:
    topics = Settings().topics
    inputs, outputs = RETENTION_SECONDS, OUTPUT_RETENTION_SECONDS
    found = {
        channel["address"]: (
            channel["bindings"]["kafka"]["partitions"],
            channel["bindings"]["kafka"]["replicas"],
            channel["bindings"]["kafka"]["topicConfiguration"]["retention.ms"],
        )
        for channel in asyncapi["channels"].values()
    }
    shape = topics.partitions, REPLICATION_FACTOR
    assert found == {
        topics.tickets: (*shape, 1000 * inputs),
        topics.channel_metrics: (*shape, 1000 * inputs),
        topics.alerts: (*shape, 1000 * outputs),
        topics.dead_letter: (*shape, 1000 * outputs),
    }


def test_its_operations_read_the_inputs_and_write_the_outputs(asyncapi: dict[str, Any]) -> None:
    found = {
        (operation["action"], resolve(asyncapi, operation["channel"])["address"])
        for operation in asyncapi["operations"].values()
    }
    topics = Settings().topics
    assert found == {
        ("receive", topics.tickets),
        ("receive", topics.channel_metrics),
        ("send", topics.alerts),
        ("send", topics.dead_letter),
    }


def test_its_consumer_group_and_version_are_those_of_the_package(asyncapi: dict[str, Any]) -> None:
    groups = {
        group
        for operation in asyncapi["operations"].values()
        if operation["action"] == "receive"
        for group in operation["bindings"]["kafka"]["groupId"]["enum"]
    }
    assert groups == {Settings().kafka.group_id}
    assert f'version = "{asyncapi["info"]["version"]}"' in (ROOT / "pyproject.toml").read_text()


def resolve(asyncapi: dict[str, Any], node: dict[str, Any]) -> Any:
    """Follow a reference within the document."""
    if "$ref" not in node:
        return node
    found: Any = asyncapi
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


@pytest.mark.parametrize(
    ("channel", "name"),
    [
        ("tickets", "ticket-event"),
        ("channelMetrics", "channel-metric-event"),
        ("alerts", "alert"),
        ("deadLetter", "dead-letter"),
    ],
)
def test_its_messages_have_the_generated_schema_and_valid_examples(
    asyncapi: dict[str, Any], channel: str, name: str
) -> None:
    content = json.loads(render()[f"{name}.schema.json"])
    schema = Draft202012Validator(content, format_checker=FormatChecker())
    (message,) = asyncapi["channels"][channel]["messages"].values()
    message = resolve(asyncapi, message)
    assert (SCHEMAS / message["payload"]["schema"]["$ref"]).name == f"{name}.schema.json"
    assert message["examples"]
    for example in message["examples"]:
        schema.validate(example["payload"])
        msgspec.json.decode(msgspec.json.encode(example["payload"]), type=DOCUMENTS[name])


def test_every_reference_within_it_leads_somewhere(asyncapi: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [ref for value in node.values() for ref in references(value)]
        return [ref for item in node for ref in references(item)] if isinstance(node, list) else []

    found = references(asyncapi)
    assert found
    for reference in found:
        if reference.startswith("#/"):
            assert resolve(asyncapi, {"$ref": reference})
        else:
            assert (SCHEMAS / reference).is_file()
