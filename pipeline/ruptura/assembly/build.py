"""Settings to an engine: the one place where the parts are put together, for every runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec

from ruptura.assembly.calendars import calendar_for
from ruptura.assembly.registry import series_registry
from ruptura.core import history as histories
from ruptura.core.contracts.document import Action
from ruptura.core.contracts.event import DocumentKind
from ruptura.core.contracts.tuning import AlertTuning, DetectionTuning, WindowTuning
from ruptura.core.decide.service import DecideConfig
from ruptura.core.detect.channel_detectors import DetectConfig
from ruptura.core.detect.families.factory import baseline_factory
from ruptura.core.detect.forecast import Objectives
from ruptura.core.detect.scan import Scales
from ruptura.core.engine import Config, Engine
from ruptura.core.ingest.partition import IngestConfig
from ruptura.core.ingest.routing import Direct, Repartitioned
from ruptura.forecast.factory import WINDOW_SECONDS, forecaster_factory
from ruptura.settings import ServiceSettings, Settings, repartition_topic, settings_hash

_T = TypeVar("_T")


def input_topics(settings: Settings) -> dict[str, DocumentKind]:
    """Return the input topics by name."""
    return {topic: kind for kind, topic in settings.topics.inputs.items()}


def read_topics(settings: Settings) -> tuple[str, ...]:
    """Return the topics that a worker reads: the inputs, and those of `repartition_topics`."""
    return (*input_topics(settings), *repartition_topics(settings).values())


def repartition_topics(settings: Settings) -> dict[str, str]:
    """Return internal topics by input topic; empty without repartition."""
    if not settings.topics.repartition:
        return {}
    group = settings.kafka.group_id
    return {topic: repartition_topic(group, topic) for topic in input_topics(settings)}


def sources(settings: Settings) -> Mapping[str, DocumentKind]:
    """Return what the engine reads, by name: topics, or with repartition each partition of each."""
    return build_route(settings).sources


def build_route(settings: Settings) -> Direct | Repartitioned:
    """Return the way of records to their partitions."""
    inputs, topics = input_topics(settings), repartition_topics(settings)
    if not topics:
        return Direct(inputs)
    from aiokafka.partitioner import murmur2  # noqa: PLC0415 - takes a while, and few need it

    return Repartitioned(inputs, topics, settings.topics.partitions, murmur2)


def changelog_topic(settings: Settings) -> str:
    """The topic that keeps the state: Faust's name for the changelog of the table `state`."""
    return f"{settings.kafka.group_id}-state-changelog"


def build_engine(settings: Settings, history: bytes | None = None) -> Engine:
    """Put an engine together; arguments and errors as `build_config`."""
    return Engine(build_config(settings, history))


def build_config(settings: Settings, history: bytes | None = None) -> Config:
    """Put the parts of an engine together.

    Args:
        settings: Of the engine.
        history: What an engine of the same settings had learned, as `core.history.dump` returns
            it, for channels that begin.

    Raises:
        ValueError: the history is damaged, or was learned under other settings.
    """
    bucket_seconds = float(settings.window.bucket_seconds)

    @lru_cache(maxsize=4096)
    def plan(service: str) -> Mapping[str, Sequence[Action]]:
        return _plan(_service(settings, service))

    registry = series_registry()
    detect = DetectConfig(
        tuning=_tuning(settings.detection, DetectionTuning),
        scales=Scales(bucket_seconds),
        baseline=baseline_factory(bucket_seconds),
        registry=registry,
        forecaster=forecaster_factory(
            bucket_seconds,
            settings.forecast.horizon_seconds,
            max(WINDOW_SECONDS, bucket_seconds),
            lambda service, channel: _objectives(_service(settings, service), channel),
        ),
        least_wait=lambda service, channel: _least_wait(_service(settings, service), channel),
    )
    shape = settings_hash(settings)
    known = {} if history is None else histories.load(history, detect, shape)
    return Config(
        ingest=IngestConfig(
            topics=sources(settings),
            window=_tuning(settings.window, WindowTuning),
            calendar=lambda service, channel: calendar_for(service, channel, settings),
            known_metrics=lambda service, channel: histories.sent_as(known, service, channel),
        ),
        detect=detect,
        decide=DecideConfig(
            tuning=_tuning(settings.alert, AlertTuning), registry=registry, plan=plan
        ),
        shape=shape,
        history=known,
    )


def _tuning(section: msgspec.Struct, kind: type[_T]) -> _T:
    return msgspec.convert(section, kind, from_attributes=True)


def _service(settings: Settings, name: str) -> ServiceSettings | None:
    return settings.services.get(name) or settings.services.get("default")


def _least_wait(service: ServiceSettings | None, channel: str) -> float:
    return _objectives(service, channel).answer_within_seconds or 0.0


def _objectives(service: ServiceSettings | None, channel: str) -> Objectives:
    by_channel = {} if service is None else service.objectives
    found = by_channel.get(channel, by_channel.get("default", {}))
    return msgspec.convert(found, Objectives)


def _plan(service: ServiceSettings | None) -> dict[str, list[Action]]:
    plan: dict[str, list[Action]] = {}
    if service is None:
        return plan
    for kind in ("surge", "failure", "silence", "forecast"):
        steps = [Action(text) for text in service.actions.get(kind, ())]
        if service.runbook_url is not None:
            url = f"{service.runbook_url.rstrip('/')}/{kind}"
            steps.append(Action("Follow the runbook.", url))
        plan[kind] = steps
    return plan
