"""The route that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable

from ruptura.assembly.build import build_route
from ruptura.core.ingest.routing import Repartitioned
from ruptura.settings import Settings
from ruptura.worker.routes.direct import DirectRoute
from ruptura.worker.routes.repartitioned import RepartitionedRoute
from ruptura.worker.routes.route import Position, WorkerRoute


def worker_route(
    settings: Settings, position: Position, is_over: Callable[[], bool]
) -> WorkerRoute:
    """Return the way of records through a worker.

    Args:
        settings: Of the worker.
        position: Of the engine.
        is_over: Whether the app stops.
    """
    route = build_route(settings)
    if isinstance(route, Repartitioned):
        return RepartitionedRoute(route, settings.kafka, position, is_over)
    return DirectRoute(position)
