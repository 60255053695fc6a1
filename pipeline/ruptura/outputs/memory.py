"""Alerts kept in memory, for who looks at them when all is over."""

from __future__ import annotations

from ruptura.core.contracts.document import Alert
from ruptura.core.contracts.effects import Effects
from ruptura.outputs.sink import ImmediateSink
from ruptura.outputs.texts.alerts import alert_document


class AlertList(ImmediateSink):
    """Keeps alert documents.

    Attributes:
        alerts: In order.
    """

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def apply(self, effects: Effects) -> None:
        """Keep the alerts of a step."""
        self.alerts += map(alert_document, effects.alerts)
