"""Why an alert is open, in a few lines for people: English and Brazilian Portuguese."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from ruptura.core.contracts.document import AlertSignal
from ruptura.core.contracts.facts import Term
from ruptura.core.detect.forecast import FORECASTS
from ruptura.outputs.texts.signals import one_per_series

Language = Literal["en", "pt-BR"]

LANGUAGES: Final[tuple[Language, ...]] = ("en", "pt-BR")

_MOST: Final = 4
"""Lines: who is paged at night reads no more; the document on the topic has all."""

_OBJECTIVES: Final[dict[str, tuple[str, str]]] = {
    "answer": ("answers in time", "respostas no prazo"),
    "longest_wait": ("longest wait", "maior espera"),
    "abandonment": ("abandonment", "abandono"),
    "backlog": ("backlog", "fila de pendências"),
    "errors": ("errors", "erros"),
    "latency": ("latency", "latência"),
}


def explain(signals: Sequence[AlertSignal], causes: Sequence[Term], language: Language) -> str:
    """Return what is seen, a line a series, strongest first; then what other channels have to do.

    Args:
        signals: Of the alert, strongest first.
        causes: Of the alert; those that are no signals of its own are named by their code.
        language: Of the lines.
    """
    english = language == "en"
    told = one_per_series(signals)
    lines = [_line(signal, english=english) for signal in told[:_MOST]]
    more = len(told) - len(lines)
    if more > 0:
        lines.append(f"and {more} more" if english else f"e mais {more}")
    for cause in causes:
        kind, _, rest = cause.code.partition(":")
        if kind == "joined":
            other = _on_one_line(rest)
            lines.append(
                f"Part of an incident that began on {other}."
                if english
                else f"Parte de um incidente que começou em {other}."
            )
    return "\n".join(lines)


def _on_one_line(name: str) -> str:
    """Names come from events: one with a line break must not pass for a line of ours."""
    return " ".join(name.split())


def _line(signal: AlertSignal, *, english: bool) -> str:
    series = _on_one_line(signal.series)
    if series.startswith(FORECASTS):
        name = series.removeprefix(FORECASTS)
        objective = _OBJECTIVES.get(name, (name, name))[0 if english else 1]
        breach = 1.0 - signal.score
        if english:
            return f"An objective is about to be broken ({objective}): probability {breach:.0%}."
        return f"Um objetivo está prestes a ser violado ({objective}): probabilidade {breach:.0%}."
    began = f"{signal.since:%H:%M} UTC"
    if signal.observed is None:
        if english:
            return f"{series}: nothing has come since {began}."
        return f"{series}: nada chegou desde {began}."
    seen, usual = _number(signal.observed), _number(signal.expected)
    if english:
        side = "above" if signal.direction == "above" else "below"
        return f"{series} {side} normal since {began}; last bucket {seen}, {usual} expected."
    side = "acima" if signal.direction == "above" else "abaixo"
    seen, usual = seen.replace(".", ","), usual.replace(".", ",")
    return f"{series} {side} do normal desde {began}; último intervalo {seen}, esperado {usual}."


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000.0 or abs(value) >= 1e9 else f"{value:.0f}"
