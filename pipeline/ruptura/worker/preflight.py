"""What must hold before the worker starts, each failure in one clear line."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import structlog
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import CreateTopicsRequest
from aiokafka.protocol.metadata import MetadataRequest

from ruptura import clients
from ruptura.assembly.build import changelog_topic, read_topics
from ruptura.settings import KafkaSettings, Settings

LOG_SECONDS = 60.0
"""How often to say that no broker answers."""

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_ANSWER_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class NotReady(Exception):  # noqa: N818 - the name says what the user must mend
    """Something that the worker needs is not there; the text is one line that says what to do."""


async def check_topics(settings: Settings) -> int:
    """Wait for a broker, however long, and make sure that all topics are there.

    A broker that cannot create topics (the embedded one) is asked for them by name, which makes
    them appear.

    Args:
        settings: Of the worker.

    Returns:
        How many partitions the topics that it reads and the changelog have.

    Raises:
        KafkaUnavailable: the brokers do not let us in.
        NotReady: topics are absent, or not of one size.
        SettingsError: the settings of the connection cannot be used.
    """
    topics = settings.topics
    inputs = read_topics(settings)
    aligned = (*inputs, changelog_topic(settings))
    found = await _partitions(settings.kafka, [*aligned, *topics.outputs.values()])
    absent = sorted(name for name, count in found.items() if not count)
    if absent:
        raise NotReady(
            f"no such topic: {', '.join(absent)}; create them with `ruptura topics create`"
        )
    counts = {found[name] for name in aligned}
    if len(counts) > 1:
        sizes = ", ".join(f"{name} has {found[name]}" for name in aligned)
        raise NotReady(
            f"these topics must have equally many partitions: {sizes}; see `ruptura topics check`"
        )
    [partitions] = counts
    compare_partitions(partitions, topics.partitions)
    return partitions


def compare_partitions(found: int, configured: int) -> None:
    """Warn where `topics.partitions` is not what the topics have: theirs counts."""
    if found != configured:
        _log.warning(
            "the topics have another number of partitions than topics.partitions; it is ignored",
            topics=found,
            settings=configured,
        )


async def probe(settings: Settings) -> str | None:
    """Ask the brokers once whether they are there; return why none is, None if one is."""
    try:
        await _asked(settings.kafka, [settings.topics.tickets])
    except clients.KafkaUnavailable as error:
        return str(error)
    except NotReady:
        pass  # it answers
    return None


async def _partitions(kafka: KafkaSettings, names: list[str]) -> dict[str, int]:
    """Partitions by topic, 0 where it is absent; waits for a broker."""
    loop = asyncio.get_running_loop()
    pause, due = _FIRST_PAUSE_SECONDS, loop.time()
    while True:
        try:
            return await _asked(kafka, names)
        except clients.KafkaUnavailable as error:
            if isinstance(error.__cause__, AuthenticationFailedError):
                raise  # it will not let us in a second later either
            if loop.time() >= due:
                due = loop.time() + LOG_SECONDS
                _log.warning("waiting for Kafka", cause=str(error))
        await asyncio.sleep(pause)
        pause = min(2.0 * pause, _LONGEST_PAUSE_SECONDS)


async def _asked(kafka: KafkaSettings, names: list[str]) -> dict[str, int]:
    arguments = clients.aiokafka_arguments(kafka)
    del arguments["bootstrap_servers"]
    causes = []
    last: Exception | None = None
    for host, port in clients.servers(kafka):
        try:
            return await _ask(host, port, names, arguments)
        except (OSError, KafkaError, TimeoutError) as error:
            causes.append(f"{host}:{port}: {_cause(error)}")
            last = error
            if isinstance(error, AuthenticationFailedError):
                break
    raise clients.KafkaUnavailable(f"cannot reach Kafka at {'; '.join(causes)}") from last


async def _ask(host: str, port: int, names: list[str], arguments: dict[str, Any]) -> dict[str, int]:
    connection: AIOKafkaConnection = await create_conn(
        host, port, request_timeout_ms=round(_ANSWER_SECONDS * 1000), **arguments
    )
    try:
        apis = connection._versions  # noqa: SLF001 - aiokafka keeps what the broker can do there
        makes_topics = CreateTopicsRequest.API_KEY not in apis
        answer = await connection.send(MetadataRequest(names, makes_topics))
    finally:
        connection.close()
    found = dict.fromkeys(names, 0)
    for code, name, *_, partitions in answer.topics:
        if partitions:
            found[name] = len(partitions)
        elif code == TopicAuthorizationFailedError.errno:
            raise NotReady(f"the broker denies access to topic {name}")
        elif code and makes_topics:
            raise for_code(code)  # about to appear
    return found


def _cause(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def free_port(host: str, port: int) -> int:
    """Make sure that the web server can be bound; return its port, a free one for 0.

    Raises:
        NotReady: it cannot.
    """
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            cause = "the port is in use; set worker.web_port (RUPTURA_WORKER__WEB_PORT) to another"
        else:
            cause = _cause(error)
        raise NotReady(f"cannot serve metrics on {host}:{port}: {cause}") from None
