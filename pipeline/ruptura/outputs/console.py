"""Alerts on a terminal, a line each."""

from __future__ import annotations

from rich.console import Console

from ruptura.core.contracts.effects import Effects
from ruptura.outputs.sink import ImmediateSink
from ruptura.outputs.texts.alert_line import alert_line
from ruptura.outputs.texts.alerts import alert_document


class AlertConsole(ImmediateSink):
    """Prints alerts for people.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def apply(self, effects: Effects) -> None:
        """Print the alerts of a step."""
        for alert in effects.alerts:
            self._console.print(alert_line(alert_document(alert)), soft_wrap=True, highlight=False)
