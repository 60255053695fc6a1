"""What types cannot say: keys that must agree, and names that must exist outside the file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import holidays

from ruptura.core.ingest.calendar import parse_opening_hours
from ruptura.settings.keys import Fault, did_you_mean, refusal
from ruptura.settings.objectives import ForecastSettings, ObjectiveName
from ruptura.settings.sections import (
    MAX_TOPIC_NAME,
    AlertSettings,
    KafkaSettings,
    Settings,
    TopicSettings,
    WindowSettings,
    repartition_topic,
)
from ruptura.settings.services import COMMEMORATIVE_DATES, DEFAULT_CATEGORIES, ServiceSettings

MAX_OPEN_BUCKETS = 1440
"""Each series keeps a bucket open for as long as events may be late: at 1 min this is a day."""

_DAY_SECONDS = 86_400
_BROKER = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s:/@\[\],]+):(\d{1,5})")


def faults(settings: Settings) -> Iterator[Fault]:
    """Everything that is wrong with settings whose types are right; most basic first."""
    yield from _kafka(settings.kafka)
    yield from _topics(settings.topics)
    yield from _repartition(settings.kafka, settings.topics)
    yield from _window(settings.window)
    yield from _alert(settings.alert)
    yield from _forecast(settings.forecast, settings.window)
    for name, service in settings.services.items():
        yield from _service(name, service)
        yield from _objectives(name, service)


def _kafka(kafka: KafkaSettings) -> Iterator[Fault]:
    for broker in kafka.bootstrap_servers.split(","):
        found = _BROKER.fullmatch(broker.strip())
        if not found or not 1 <= int(found[2]) <= 65_535:
            yield Fault(
                ("kafka.bootstrap_servers",),
                refusal(kafka.bootstrap_servers, "host:port, several with commas, no scheme"),
            )
    if "SASL" in kafka.security_protocol:
        for name in ("sasl_username", "sasl_password"):
            if not getattr(kafka, name):
                yield Fault(
                    (f"kafka.{name}", "kafka.security_protocol"),
                    f"not set, but needed with security_protocol {kafka.security_protocol}",
                )
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        file = getattr(kafka, name)
        if file is not None and not Path(file).is_file():
            yield Fault((f"kafka.{name}",), refusal(file, "a file that exists"))
    if kafka.ssl_keyfile is not None and kafka.ssl_certfile is None:
        yield Fault(("kafka.ssl_certfile", "kafka.ssl_keyfile"), "not set, but ssl_keyfile is")


def _topics(topics: TopicSettings) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for name in (*topics.inputs, *topics.outputs):
        topic = getattr(topics, name)
        if topic in (".", ".."):
            yield Fault((f"topics.{name}",), refusal(topic, "a name that Kafka accepts"))
        # Kafka refuses names that differ only in dot and underscore: its metrics mix them up.
        other = seen.setdefault(topic.replace(".", "_"), name)
        if other != name:
            yield Fault(
                (f"topics.{name}", f"topics.{other}"),
                refusal(topic, f"another topic than that of {other}"),
            )


def _repartition(kafka: KafkaSettings, topics: TopicSettings) -> Iterator[Fault]:
    if not topics.repartition:
        return
    for name, topic in topics.inputs.items():
        internal = repartition_topic(kafka.group_id, topic)
        if len(internal) > MAX_TOPIC_NAME:
            yield Fault(
                (f"topics.{name}", "kafka.group_id", "topics.repartition"),
                refusal(
                    topic,
                    f"a name that makes the topic {internal} of at most {MAX_TOPIC_NAME} letters",
                ),
            )


def _window(window: WindowSettings) -> Iterator[Fault]:
    if _DAY_SECONDS % window.bucket_seconds:
        yield Fault(
            ("window.bucket_seconds",),
            refusal(window.bucket_seconds, f"a divisor of a day ({_DAY_SECONDS} seconds)"),
        )
    most = MAX_OPEN_BUCKETS * window.bucket_seconds
    if window.lateness_seconds > most:
        yield Fault(
            ("window.lateness_seconds", "window.bucket_seconds"),
            refusal(window.lateness_seconds, f"at most {MAX_OPEN_BUCKETS} buckets, {most} seconds"),
        )
    if window.expire_seconds < window.bucket_seconds:
        yield Fault(
            ("window.expire_seconds", "window.bucket_seconds"),
            refusal(window.expire_seconds, f"at least a bucket, {window.bucket_seconds} seconds"),
        )


def _alert(alert: AlertSettings) -> Iterator[Fault]:
    for low, high in (
        ("prior", "resolve_risk"),
        ("resolve_risk", "warning_risk"),
        ("warning_risk", "critical_risk"),
    ):
        limit = getattr(alert, high)
        if not getattr(alert, low) < limit:
            yield Fault(
                (f"alert.{low}", f"alert.{high}"),
                refusal(getattr(alert, low), f"less than {high}, which is {limit}"),
            )


def _forecast(forecast: ForecastSettings, window: WindowSettings) -> Iterator[Fault]:
    if forecast.horizon_seconds < window.bucket_seconds:
        yield Fault(
            ("forecast.horizon_seconds", "window.bucket_seconds"),
            refusal(
                forecast.horizon_seconds, f"at least a bucket, {window.bucket_seconds} seconds"
            ),
        )


def _service(name: str, service: ServiceSettings) -> Iterator[Fault]:
    def fault(key: str, text: str) -> Fault:
        return Fault((f"services.{name}.{key}", f"services.default.{key}"), text)

    if not _is_time_zone(service.time_zone):
        near = did_you_mean(service.time_zone, available_timezones())
        yield fault("time_zone", refusal(service.time_zone, "an IANA time zone") + near)
    for day in service.holidays:
        if not _is_date(day):
            yield fault("holidays", refusal(day, "a date as YYYY-MM-DD"))
    try:
        parse_opening_hours(service.opening_hours)
    except ValueError as error:
        yield fault("opening_hours", str(error))
    for channel, hours in service.channel_hours.items():
        try:
            parse_opening_hours(hours)
        except ValueError as error:
            yield fault("channel_hours", f"{channel}: {error}")
    url = service.runbook_url
    if url is not None and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
        yield fault("runbook_url", refusal(url, "an http or https address"))
    for key, text in (*_holiday_faults(service), *_planned_faults(service)):
        yield fault(key, text)


def _objectives(service_name: str, service: ServiceSettings) -> Iterator[Fault]:
    for channel, objectives in service.objectives.items():
        for name, text in _objective_faults(objectives):
            path = f"services.{service_name}.objectives"
            # A key was set where the objectives of its service were.
            yield Fault(
                (f"{path}.{channel}.{name}", path, "services.default.objectives"),
                text,
            )


def _objective_faults(objectives: Mapping[ObjectiveName, float]) -> Iterator[tuple[str, str]]:
    for name, value in objectives.items():
        if name.endswith("_ratio") and value >= 1.0:
            yield name, refusal(value, "a number over 0 and under 1")
    pair: tuple[ObjectiveName, ObjectiveName] = ("service_level_ratio", "answer_within_seconds")
    for one, other in (pair, pair[::-1]):
        if one in objectives and other not in objectives:
            yield other, f"not set, but needed with {one}"


def _holiday_faults(service: ServiceSettings) -> Iterator[tuple[str, str]]:
    country, subdivision = service.country, service.subdivision
    if country is None:
        if subdivision is not None:
            yield "subdivision", refusal(subdivision, "a country with it")
        return
    known = _country(country)
    if known is None:
        near = f"; did you mean {country.upper()}?" if _country(country.upper()) else ""
        yield "country", refusal(country, "an ISO 3166 code that `holidays` knows") + near
        return
    names = (*known.subdivisions, *known.subdivisions_aliases)
    if subdivision is not None and subdivision not in names:
        codes = ", ".join(known.subdivisions)
        expected = f"a subdivision of {country} ({codes})" if codes else f"none for {country}"
        yield "subdivision", refusal(subdivision, expected) + did_you_mean(subdivision, names)
    if tuple(service.holiday_categories) == DEFAULT_CATEGORIES:
        return
    for category in service.holiday_categories:
        if category not in known.supported_categories:
            expected = "one of " + ", ".join(known.supported_categories)
            yield "holiday_categories", refusal(category, f"{expected} for {country}")


def _planned_faults(service: ServiceSettings) -> Iterator[tuple[str, str]]:
    for window in service.planned:
        if not window.from_ < window.until:
            expected = f"a time after `from`, {window.from_.isoformat()}"
            yield "planned", "until: " + refusal(window.until.isoformat(), expected)
    for day in service.commemorative_dates:
        if day not in COMMEMORATIVE_DATES and not _is_date(day):
            expected = "YYYY-MM-DD or one of " + ", ".join(COMMEMORATIVE_DATES)
            near = did_you_mean(day, COMMEMORATIVE_DATES)
            yield "commemorative_dates", refusal(day, expected) + near


def _country(code: str) -> holidays.HolidayBase | None:
    # The library also answers to the names of classes and markets, which are no countries.
    if not re.fullmatch("[A-Z]{2,3}", code):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = holidays.country_holidays(code)
        except (NotImplementedError, TypeError):
            return None
    return found if getattr(found, "country", None) else None


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory, as "America" is
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
