"""Metrics served on loopback, while a replay runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from ruptura.outputs.prometheus.metrics import Metrics


@contextmanager
def served_metrics(port: int, max_channels: int) -> Iterator[tuple[Metrics, str]]:
    """Serve /metrics, and give the sink behind it with its address.

    Args:
        port: On loopback; 0 takes a free one.
        max_channels: Channels exported one by one.

    Raises:
        OSError: the port cannot be had.
    """
    registry = CollectorRegistry()
    metrics = Metrics(registry, max_channels)
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"port {port} of 127.0.0.1") from None
    try:
        yield metrics, f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
