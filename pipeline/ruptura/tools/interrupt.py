"""Stop a long command in order: the first SIGINT or SIGTERM asks, a second one insists."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that SIGINT or SIGTERM sets, for as long as the `with` lasts.

    A second signal finds the handlers of before, so that it ends a command that does not listen.
    Outside the main thread, where Python allows no handlers, the event is never set by a signal.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in numbers:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
