"""From the settings to Kafka clients: where the brokers are, TLS, SASL, and clear failures.

kafka-python (topics, publish, record) and aiokafka (inside Faust) name almost all arguments alike.
Both get one `ssl.SSLContext` made here, so that every client trusts the same authorities.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol, Self, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient

from ruptura.settings import KafkaSettings
from ruptura.settings.loading import SettingsError

CONNECT_SECONDS = 10.0
_DEFAULT_PORT = 9092


class KafkaUnavailable(Exception):  # noqa: N818 - the name says what the user must mend
    """No broker answers, or none lets us in; the text names the brokers and the cause."""


class _Producer(KafkaProducer):  # type: ignore[misc]  # kafka-python ships no types
    """A producer whose close comes to an end.

    kafka-python's own waits for ever when its brokers are gone: once a batch has expired it asks
    for a new producer id, and until then expires nothing more.
    """

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        seconds = CONNECT_SECONDS if timeout is None else timeout
        try:
            super().close(seconds, null_logger)
        except KafkaTimeoutError:
            # Fails what is still open; then there is nothing left to wait for.
            self._sender.force_close()
            self._sender.join(seconds)
            super().close(seconds, null_logger)


class _Closable(Protocol):
    def close(self) -> None: ...


_Client = TypeVar("_Client", bound=_Closable)


def servers(kafka: KafkaSettings) -> list[tuple[str, int]]:
    """Host and port of each bootstrap server.

    Raises:
        SettingsError: an entry is not `host:port`.
    """
    found = []
    for entry in kafka.bootstrap_servers.split(","):
        host, colon, port = entry.strip().rpartition(":")
        if not colon or entry.strip().endswith("]"):
            host, port = entry.strip(), str(_DEFAULT_PORT)
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise SettingsError(f"kafka.bootstrap_servers: `{entry.strip()}` is not host:port")
        found.append((host.strip("[]"), int(port)))
    return found


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """Make the TLS context of every client; None where the transport is not TLS.

    Raises:
        SettingsError: a PEM file is absent, unreadable or does not fit.
    """
    if kafka.security_protocol not in ("SSL", "SASL_SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"kafka.ssl_cafile {kafka.ssl_cafile}: {error}") from None
    context.check_hostname = kafka.ssl_check_hostname
    if kafka.ssl_certfile is not None:
        try:
            context.load_cert_chain(
                kafka.ssl_certfile,
                kafka.ssl_keyfile,
                # Without a callable, OpenSSL would ask at the terminal for a missing password.
                lambda: kafka.ssl_key_password or "",
            )
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"kafka.ssl_certfile {kafka.ssl_certfile}, kafka.ssl_keyfile "
                f"{kafka.ssl_keyfile}: {error}"
            ) from None
    elif kafka.ssl_keyfile is not None:
        raise SettingsError("kafka.ssl_keyfile needs kafka.ssl_certfile")
    return context


def security_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """TLS and SASL as keyword arguments, named alike by kafka-python and aiokafka.

    Raises:
        SettingsError: as `ssl_context`, or SASL without user and password.
    """
    arguments: dict[str, Any] = {"security_protocol": kafka.security_protocol}
    context = ssl_context(kafka)
    if context is not None:
        arguments["ssl_context"] = context
    credentials = sasl_credentials(kafka)
    if credentials is not None:
        mechanism, username, password = credentials
        arguments |= {
            "sasl_mechanism": mechanism,
            "sasl_plain_username": username,
            "sasl_plain_password": password,
        }
    return arguments


def sasl_credentials(
    kafka: KafkaSettings,
) -> tuple[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], str, str] | None:
    """Mechanism, user and password; None where the transport has no SASL.

    Raises:
        SettingsError: SASL without user or password.
    """
    if not kafka.security_protocol.startswith("SASL_"):
        return None
    if not kafka.sasl_username or kafka.sasl_password is None:
        raise SettingsError(
            f"kafka.security_protocol {kafka.security_protocol} needs kafka.sasl_username "
            "and kafka.sasl_password"
        )
    return kafka.sasl_mechanism, kafka.sasl_username, kafka.sasl_password


def aiokafka_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments of any aiokafka client.

    Raises:
        SettingsError: as `servers` and `security_arguments`.
    """
    addresses = [_address(host, port) for host, port in servers(kafka)]
    return {"bootstrap_servers": addresses} | security_arguments(kafka)


def faust_brokers(kafka: KafkaSettings) -> list[str]:
    """Broker URLs as `faust.App(broker=...)` takes them.

    Credentials are objects of Faust: `faust.SASLCredentials(mechanism=, username=, password=,
    ssl_context=)` from `sasl_credentials` and `ssl_context`, or `faust.SSLCredentials(context)`.

    Raises:
        SettingsError: an entry is not `host:port`.
    """
    return [f"kafka://{_address(host, port)}" for host, port in servers(kafka)]


def kafka_python_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments of any kafka-python client.

    Raises:
        SettingsError: as `aiokafka_arguments`.
    """
    return aiokafka_arguments(kafka) | {
        "client_id": kafka.group_id,
        "bootstrap_timeout_ms": round(CONNECT_SECONDS * 1000),
        # Its default of 30 s would sleep long after a broker is back.
        "reconnect_backoff_max_ms": 1000,
    }


@contextmanager
def admin_client(kafka: KafkaSettings) -> Iterator[KafkaAdminClient]:
    """Connect an admin client, and close it at the end.

    Raises:
        KafkaUnavailable: no broker answers within 10 s, or later while at work.
        SettingsError: the settings cannot be used.
    """
    arguments = {"request_timeout_ms": round(CONNECT_SECONDS * 1000)}
    with _connected(KafkaAdminClient, kafka, arguments) as client:
        yield client


@contextmanager
def consumer_client(kafka: KafkaSettings, **arguments: object) -> Iterator[KafkaConsumer]:
    """Connect a consumer, and close it at the end. Raises as `admin_client`."""
    with _connected(KafkaConsumer, kafka, arguments) as client:
        yield client


@contextmanager
def producer_client(kafka: KafkaSettings, **arguments: object) -> Iterator[KafkaProducer]:
    """Connect a producer, and close it at the end, within 20 s. Raises as `admin_client`.

    What is not acknowledged by then fails: wait for the futures before.
    """
    with _connected(_Producer, kafka, arguments) as client:
        yield client


def topic_partitions(kafka: KafkaSettings) -> dict[str, int]:
    """Name and number of partitions of every topic; creates none. Raises as `admin_client`."""
    with admin_client(kafka) as admin:
        return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}


@contextmanager
def _connected(
    make: Callable[..., _Client], kafka: KafkaSettings, arguments: dict[str, Any]
) -> Iterator[_Client]:
    merged = kafka_python_arguments(kafka) | arguments
    _probe(kafka, merged.get("ssl_context"))
    opened: list[KafkaNetClient] = []

    def network(*args: object, **options: object) -> KafkaNetClient:
        opened.append(KafkaNetClient(*args, **options))
        return opened[-1]

    with _Causes() as causes:
        try:
            client = make(kafka_client=network, **merged)
        except KafkaError as error:
            # A client that fails to start leaves its thread and sockets behind.
            for left in opened:
                left.close()
            raise _unavailable(kafka, causes.last or str(error), starting=True) from None
    try:
        yield client
    except KafkaError as error:
        raise _unavailable(kafka, str(error), starting=False) from None
    finally:
        client.close()


def _probe(kafka: KafkaSettings, context: ssl.SSLContext | None) -> None:
    """Knock at the brokers: the clients would retry without saying what is wrong."""
    causes = []
    addresses = servers(kafka)
    for host, port in addresses:
        try:
            with socket.create_connection((host, port), CONNECT_SECONDS / len(addresses)) as plain:
                if context is not None:
                    context.wrap_socket(plain, server_hostname=host).close()
            return
        except OSError as error:
            causes.append(f"{_address(host, port)}: {error.strerror or error}")
    raise KafkaUnavailable(f"cannot reach Kafka at {'; '.join(causes)}")


class _Causes(logging.Handler):
    """Listens to kafka-python's log: its error is always a time-out, the log has the cause."""

    _logger = logging.getLogger("kafka.net.manager")

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def __enter__(self) -> Self:
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith("Bootstrap connection") and "failed: " in text:
            self.last = text.partition("failed: ")[2].partition(" (backoff")[0]


def _unavailable(kafka: KafkaSettings, cause: str, *, starting: bool) -> KafkaUnavailable:
    text = f"Kafka at {kafka.bootstrap_servers} ({kafka.security_protocol}): "
    text += " ".join(cause.split())
    if starting and kafka.security_protocol.startswith("SASL_"):
        text += "; brokers also hang up on a wrong user, password or mechanism"
    return KafkaUnavailable(text)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
