"""What deploy/ holds, as the tests look at it: objects, containers, schemas, commands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import jsonschema
import kubernetes_validate
import yaml

from ruptura.cli import cli
from ruptura.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SCHEMAS = Path(__file__).with_name("schemas")
VERSIONS = ("1.29", "1.37")
"""Of Kubernetes: the oldest and the newest whose schemas the manifests are held to."""

Object = dict[str, Any]


def read(path: Path) -> list[Object]:
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def objects() -> dict[str, Object]:
    """Every object below deploy/kubernetes by a name that tells it; patches are no objects."""
    found = {}
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        if path.name in {"kustomization.yaml", "connection.yaml"}:
            continue
        for item in read(path):
            name = f"{path.relative_to(KUBERNETES)}:{item['kind']}/{item['metadata']['name']}"
            found[name] = item
    return found


def one(kind: str, among: Mapping[str, Object] | None = None) -> Object:
    """The only object of a kind."""
    [found] = [o for o in (among or objects()).values() if o["kind"] == kind]
    return found


def pods(among: Mapping[str, Object]) -> Iterator[tuple[str, Object]]:
    """The pod specification of each workload, by name."""
    for name, item in among.items():
        if "template" in item.get("spec", {}):
            yield name, item["spec"]["template"]["spec"]


def faults(item: Object) -> list[str]:
    """Why an object is not what the schemas of its kind say, unknown fields included."""
    own = SCHEMAS / f"{item['kind']}_{item['apiVersion'].replace('/', '_')}.json"
    if own.exists():
        schema = closed(json.loads(own.read_text()))
        return [
            f"{error.json_path}: {error.message}"
            for error in jsonschema.Draft202012Validator(schema).iter_errors(item)
        ]
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except (kubernetes_validate.ValidationError, jsonschema.ValidationError) as error:
            found.append(f"{version}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError as error:
            found.append(error.message)
    return found


def closed(schema: Any) -> Any:
    """A schema in which objects have no fields but those that it names.

    Kubernetes drops unknown fields of custom resources, which hides a misspelt one.
    """
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    is_open = made.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
    if isinstance(schema.get("properties"), dict) and "type" in schema and not is_open:
        made["additionalProperties"] = False
        if "apiVersion" in made["properties"]:
            # Those of Strimzi say of metadata only that it is an object, as any CRD may.
            made["properties"].setdefault("metadata", {})
    return made


def parse(arguments: Sequence[str], paths: Mapping[str, Path]) -> dict[str, Any]:
    """Have the command line take arguments; return the parameters that it makes of them.

    Args:
        arguments: As a container gets them.
        paths: Where in this checkout the files of a container are.

    Raises:
        click.UsageError: it does not take them.
    """
    here = [str(paths.get(argument, argument)) for argument in arguments]
    command: click.Command = cli
    context = command.make_context("ruptura", here)
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, found.make_context(name, rest, parent=context)
    return dict(context.params)


def settings_from(variables: Mapping[str, str], path: Path | None = None) -> Settings:
    """The settings of a container; an unknown variable or key is an error."""
    return load(path, variables)


def cluster_settings() -> Settings:
    """The settings of the workers on Kubernetes."""
    return load(KUBERNETES / "base" / "ruptura.toml", {})
