"""A receiver of Alertmanager's webhooks on loopback, which remembers what it was told.

with WebhookReceiver() as webhook:
    webhook.address                     # "http://127.0.0.1:23456", to which receivers add a path
    webhook.wait(lambda told: len(told) == 1)
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Notification:
    """One message of Alertmanager.

    Attributes:
        receiver: The last part of the path that it was posted to: the name of the receiver, as in
            deploy/alertmanager/alertmanager.yml.
        document: The body: version 4 of Alertmanager's webhook, or what Slack would have got.
        at: When it came, in seconds of the monotonic clock.
    """

    receiver: str
    document: dict[str, Any]
    at: float = field(compare=False)

    @property
    def status(self) -> str:
        """`firing` while any alert of the group is, else `resolved`."""
        return str(self.document["status"])

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alerts, each with status, labels, annotations, startsAt and endsAt."""
        return list(self.document["alerts"])

    @property
    def names(self) -> list[str]:
        """The alertname of each alert, sorted."""
        return sorted(alert["labels"]["alertname"] for alert in self.alerts)


class WebhookReceiver:
    """Listens from the start to the end of the `with`; answers 200 to every POST."""

    def __init__(self) -> None:
        self._told: list[Notification] = []
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._note(self.path.rpartition("/")[2], json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: the notifications are the log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def address(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def notifications(self) -> list[Notification]:
        """All that came so far, in order."""
        with self._changed:
            return list(self._told)

    def to(self, receiver: str) -> list[Notification]:
        """What came so far to one receiver, in order."""
        return [told for told in self.notifications if told.receiver == receiver]

    def wait(
        self, condition: Callable[[Sequence[Notification]], bool], seconds: float = 20.0
    ) -> list[Notification]:
        """Wait until a condition on all notifications holds; return them.

        Raises:
            AssertionError: it does not hold within `seconds`; the text lists what came.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while not condition(self._told):
                left = deadline - time.monotonic()
                if left <= 0:
                    lines = [f"{told.receiver}: {told.document}" for told in self._told]
                    raise AssertionError(f"waited for {seconds} s; told:\n" + "\n".join(lines))
                self._changed.wait(left)
            return list(self._told)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _note(self, receiver: str, document: dict[str, Any]) -> None:
        with self._changed:
            self._told.append(Notification(receiver, document, time.monotonic()))
            self._changed.notify_all()
