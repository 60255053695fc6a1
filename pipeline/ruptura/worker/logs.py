"""Structured logs: one JSON object a line on stderr, or lines for people."""

from __future__ import annotations

import logging
import sys
import time
from typing import Literal

import structlog

_CHATTY = ("aiokafka", "kafka", "faust", "mode", "aiohttp", "asyncio")
_SILENT = logging.CRITICAL + 1


def configure(level: str, style: Literal["json", "console"]) -> None:
    """Send all logs of the process, the libraries' too, to stderr in one form.

    Args:
        level: debug, info, warning or error.
        style: json for machines, console for people.
    """
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if style == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    handler = logging.StreamHandler(sys.stderr)
    if level != "debug":
        handler.addFilter(_Sampled())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    unmute_libraries()  # their routine notes drown ours; their warnings do not
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def mute_libraries() -> None:
    """Silence the libraries: the worker logs the cause itself, and they would ten times."""
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(_SILENT)


def unmute_libraries() -> None:
    """Let the libraries log again."""
    level = logging.DEBUG if logging.getLogger().isEnabledFor(logging.DEBUG) else logging.WARNING
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(level)


class _Sampled(logging.Filter):
    """Lets a library log the same thing once a minute.

    Without a broker, aiokafka logs that it has none thirty times a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sampler = LogSampler(seconds=60.0)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record may be written; note how many were not."""
        if record.name.partition(".")[0] not in _CHATTY:
            return True
        # Before its arguments are put in, so that they do not make it another.
        message = f"{record.name}: {record.msg}"
        sampled = self._sampler.add(message, 1, time.monotonic())
        if sampled is not None and sampled[1] > 1:
            record.msg = f"{record.msg} (and {sampled[1] - 1} times more before)"
        return sampled is not None


class LogSampler:
    """Lets a name be sampled of once per interval, with how often it would have been.

    Args:
        seconds: The interval.
        names: How many names are counted apart; the others are counted together, as `other`.
    """

    def __init__(self, seconds: float = 60.0, names: int = 1000) -> None:
        self._seconds = seconds
        self._names = names
        self._counts: dict[str, int] = {}
        self._due: dict[str, float] = {}

    def add(self, name: str, count: int, now: float) -> tuple[str, int] | None:
        """Count; return name and count if it is time to log.

        Args:
            name: Whose count.
            count: How many more.
            now: Monotonic time in seconds.
        """
        if name not in self._due and len(self._due) >= self._names:
            name = "other"
        total = self._counts.get(name, 0) + count
        if now < self._due.get(name, now):
            self._counts[name] = total
            return None
        self._counts[name] = 0
        self._due[name] = now + self._seconds
        return name, total
