"""Apache Kafka on loopback: one KRaft node of the real thing, from Maven's jars.

    with KafkaServer(cache, home) as kafka:
        kafka.bootstrap_servers     # "127.0.0.1:23456"
        kafka.kill()                # SIGKILL, as a crash
        kafka.start()               # the same ports and the same data

Three listeners: plain, mutual TLS, and SASL over TLS (users of `SASL_USERS`).
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

KAFKA_VERSION = "4.1.0"
SASL_USERS = {"ruptura": "quiet-evening-library"}

_POM = Path(__file__).with_name("pom.xml")
_CLUSTER_ID = "cnVwdHVyYS10ZXN0cy0wMQ"
_TALKATIVE = (
    "kafka.cluster",
    "kafka.log",
    "org.apache.kafka.common.config",
    "org.apache.kafka.storage.internals.log",
    "state.change.logger",
)
_MAVEN_SECONDS = 600
_LOG_TAIL_LINES = 40
# Below the ports that the kernel lends to outgoing connections (from 32768 on Linux), so that
# nobody takes the port of a broker that is down for a moment.
_PORTS = range(20_000, 32_000)


class KafkaServerError(RuntimeError):
    """The broker cannot be installed or does not run; the text says why."""


def install(cache: Path, version: str = KAFKA_VERSION) -> Path:
    """Put Kafka's jars into `cache`/kafka-`version`, once; return that folder.

    Raises:
        KafkaServerError: Java or Maven is absent, or Maven fails.
    """
    for tool in ("java", "mvn", "openssl"):
        if shutil.which(tool) is None:
            raise KafkaServerError(f"the integration tests need `{tool}` on PATH, and it is absent")
    jars = cache / f"kafka-{version}"
    if jars.is_dir():
        return jars
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = cache / f"kafka-{version}.{os.getpid()}.tmp"
    command = [
        "mvn", "-B", "-q", "-f", str(_POM), f"-Dkafka.version={version}",
        "dependency:copy-dependencies", "-DincludeScope=runtime",
        f"-DoutputDirectory={unfinished}",
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_MAVEN_SECONDS, check=False
    )
    if done.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise KafkaServerError(f"Maven cannot fetch Kafka {version}:\n{done.stdout}{done.stderr}")
    # Whole or not at all; whoever comes second keeps what the first has put there.
    with contextlib.suppress(OSError):
        unfinished.rename(jars)
    shutil.rmtree(unfinished, ignore_errors=True)
    return jars


def free_ports(count: int) -> list[int]:
    """Choose ports of loopback on which nobody listens."""
    chosen: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise KafkaServerError("no free port on loopback")


class KafkaServer:
    """A broker and its data, both gone at the end of the `with`.

    Args:
        cache: Where the jars are kept between runs.
        home: An empty folder for data, keys and logs.
        heap: The JVM's `-Xmx`.
        properties: Broker properties that replace those of the tests.
    """

    def __init__(
        self,
        cache: Path,
        home: Path,
        *,
        heap: str = "512m",
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.log_file = home / "kafka.log"
        self._heap = heap
        self._class_path = f"{install(cache)}/*"
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = dict(
            zip(("plain", "ssl", "sasl_ssl", "controller"), free_ports(4), strict=True)
        )
        home.mkdir(parents=True, exist_ok=True)
        self.ca_file = home / "ca.pem"
        self.client_cert_file = home / "client.pem"
        self.client_key_file = home / "client.key"
        self.log_file.touch()
        self._make_keys()
        self._write_configuration(properties or {})

    @property
    def bootstrap_servers(self) -> str:
        """Address of the listener without encryption and authentication."""
        return f"127.0.0.1:{self._ports['plain']}"

    @property
    def ssl_servers(self) -> str:
        """Address of the listener that wants a client certificate."""
        return f"127.0.0.1:{self._ports['ssl']}"

    @property
    def sasl_ssl_servers(self) -> str:
        """Address of the listener that wants user and password: PLAIN, SCRAM-SHA-256 or 512."""
        return f"127.0.0.1:{self._ports['sasl_ssl']}"

    @property
    def pid(self) -> int | None:
        """The broker's process, while it runs."""
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Self:
        self._format()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.home / "data", ignore_errors=True)

    def start(self, seconds: float = 60.0) -> None:
        """Start the broker and wait until it answers.

        Raises:
            KafkaServerError: it ended, or does not answer within `seconds`.
        """
        if self._process is not None:
            raise KafkaServerError("the broker is running already")
        with self.log_file.open("ab") as log:
            # A session of its own: Ctrl-C reaches pytest, which then stops the broker in order.
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self.home / "server.properties")),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(time.monotonic() + seconds)
        except BaseException:
            self.kill()
            raise

    def stop(self, seconds: float = 30.0) -> None:
        """Ask the broker to end, and end it if it does not within `seconds`."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the broker as a crash would: SIGKILL, nothing flushed, nothing said."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop and start on the same ports and data."""
        self.stop()
        self.start()

    def log_tail(self) -> str:
        """The last lines of the broker's log."""
        lines = self.log_file.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def _java(self, main: str, *arguments: str) -> Sequence[str]:
        return [
            "java",
            f"-Xmx{self._heap}",
            "-XX:+UseSerialGC",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}",
            "-cp",
            self._class_path,
            main,
            *arguments,
        ]

    def _format(self) -> None:
        users = [
            f"--add-scram={mechanism}=[name={name},password={password}]"
            for name, password in SASL_USERS.items()
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        ]
        configuration = str(self.home / "server.properties")
        tool = "kafka.tools.StorageTool"
        _run(*self._java(tool, "format", "-t", _CLUSTER_ID, "-c", configuration, *users))

    def _wait_until_ready(self, deadline: float) -> None:
        assert self._process is not None
        port = self._ports["plain"]
        while time.monotonic() < deadline:
            code = self._process.poll()
            if code is not None:
                raise KafkaServerError(f"Kafka ended with code {code}:\n{self.log_tail()}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                admin = KafkaAdminClient(
                    bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=2000
                )
            except (OSError, KafkaError):
                time.sleep(0.05)
                continue
            try:
                admin.list_topics()
            finally:
                admin.close()
            return
        raise KafkaServerError(f"Kafka does not answer in time:\n{self.log_tail()}")

    def _make_keys(self) -> None:
        """One self-signed certificate for the broker and one for its clients, as PEM."""
        for name, cert in (("broker", self.ca_file), ("client", self.client_cert_file)):
            key = self.home / f"{name}.key"
            _run(
                "openssl", "req", "-x509", "-nodes", "-newkey", "ec",
                "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2",
                "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                "-keyout", str(key), "-out", str(cert),
            )  # fmt: skip
        both = (self.home / "broker.key").read_text() + self.ca_file.read_text()
        (self.home / "broker.pem").write_text(both)

    def _write_configuration(self, properties: Mapping[str, str]) -> None:
        merged = dict(self._default_properties()) | dict(properties)
        text = "".join(f"{name}={value}\n" for name, value in merged.items())
        (self.home / "server.properties").write_text(text)
        (self.home / "log4j2.properties").write_text(
            "appender.out.type=Console\n"
            "appender.out.name=out\n"
            "appender.out.layout.type=PatternLayout\n"
            "appender.out.layout.pattern=%d %p %m (%c)%n%ex\n"
            + "".join(
                f"logger.{number}.name={name}\nlogger.{number}.level=WARN\n"
                for number, name in enumerate(_TALKATIVE)
            )
            + "rootLogger.level=INFO\n"
            "rootLogger.appenderRef.out.ref=out\n"
        )

    def _default_properties(self) -> Iterator[tuple[str, str]]:
        addresses = ",".join(
            f"{name.upper()}://127.0.0.1:{port}" for name, port in self._ports.items()
        )
        plain_users = " ".join(f'user_{name}="{word}"' for name, word in SASL_USERS.items())
        yield from {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._ports['controller']}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAIN",
            "listeners": addresses,
            "listener.security.protocol.map": (
                "PLAIN:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT"
            ),
            "log.dirs": str(self.home / "data"),
            "auto.create.topics.enable": "false",
            # Internal topics of one node, and small, since each partition costs start-up time.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            # After a kill, the broker is let in again when its former self has expired.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "log.cleaner.dedupe.buffer.size": str(16 << 20),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.home / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.client_cert_file),
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {plain_users};"
            ),
            **{
                f"listener.name.sasl_ssl.scram-sha-{bits}.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                )
                for bits in (256, 512)
            },
        }.items()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-_LOG_TAIL_LINES:])
        raise KafkaServerError(f"`{command[0]}` fails with code {done.returncode}:\n{last}")
