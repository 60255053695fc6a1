"""Which signals of an alert a text speaks of."""

from __future__ import annotations

from collections.abc import Sequence

from ruptura.core.contracts.document import AlertSignal


def one_per_series(signals: Sequence[AlertSignal]) -> list[AlertSignal]:
    """Return the strongest signal of each series: one that is silent is below normal, too.

    Args:
        signals: Strongest first, as in the document.
    """
    strongest: dict[str, AlertSignal] = {}
    for signal in signals:
        strongest.setdefault(signal.series, signal)
    return list(strongest.values())
