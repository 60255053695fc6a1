"""Why an alert is open, in words: each language, each kind of line, and nothing forged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.contracts.document import AlertSignal
from ruptura.core.contracts.facts import Lead, Membership, Prior, Term
from ruptura.outputs.texts.explanation import LANGUAGES, Language, explain

SINCE = datetime(2026, 3, 2, 14, 5, tzinfo=UTC)

RARE = Prior(1e-4)


def signal(series: str = "tickets.opened", **changes: Any) -> AlertSignal:
    fields: dict[str, Any] = {
        "direction": "above",
        "observed": 31.0,
        "expected": 4.25,
        "lower": 0.0,
        "upper": 11.0,
        "score": 1e-9,
        "since": SINCE,
    }
    return AlertSignal(series=series, **{**fields, **changes})


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "tickets.opened above normal since 14:05 UTC; last bucket 31, 4.25 expected."),
        (
            "pt-BR",
            "tickets.opened acima do normal desde 14:05 UTC; último intervalo 31, esperado 4,25.",
        ),
    ],
)
def test_what_is_more_than_usual_is_told_with_both_numbers(language: Language, line: str) -> None:
    assert explain([signal()], [], language) == line


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "requests below normal since 14:05 UTC; last bucket 1234, 9900 expected."),
        (
            "pt-BR",
            "requests abaixo do normal desde 14:05 UTC; último intervalo 1234, esperado 9900.",
        ),
    ],
)
def test_what_is_less_than_usual_is_told_without_digits_that_say_nothing(
    language: Language, line: str
) -> None:
    told = signal("requests", direction="below", observed=1234.5, expected=9900.0)
    assert explain([told], [], language) == line


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "heartbeats: nothing has come since 14:05 UTC."),
        ("pt-BR", "heartbeats: nada chegou desde 14:05 UTC."),
    ],
)
def test_of_a_silence_there_is_no_number(language: Language, line: str) -> None:
    silent = signal("heartbeats", direction="below", observed=None)
    assert explain([silent], [], language) == line


@pytest.mark.parametrize(
    ("language", "line"),
    [
        (
            "en",
            "An objective is about to be broken (longest wait): probability 75%.",
        ),
        (
            "pt-BR",
            "Um objetivo está prestes a ser violado (maior espera): probabilidade 75%.",
        ),
    ],
)
def test_a_forecast_is_told_by_its_objective_and_probability(language: Language, line: str) -> None:
    assert explain([signal("forecast.longest_wait", score=0.25)], [], language) == line


@pytest.mark.parametrize(
    ("language", "last"),
    [("en", "and 2 more"), ("pt-BR", "e mais 2")],
)
def test_only_the_four_strongest_are_told_and_the_others_counted(
    language: Language, last: str
) -> None:
    lines = explain([signal(f"metric_{n}") for n in range(6)], [], language).split("\n")
    assert [line.split()[0] for line in lines[:4]] == [f"metric_{n}" for n in range(4)]
    assert lines[4:] == [last]
    assert len(explain([signal(f"metric_{n}") for n in range(4)], [], language).split("\n")) == 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_a_series_only_the_strongest_statement_is_told(language: Language) -> None:
    silent = signal("requests", direction="below", observed=None)
    fewer = signal("requests", direction="below", observed=1.0, score=1e-5)
    other = signal("errors_ratio", score=1e-4)
    told = explain([silent, fewer, other], [], language)
    assert told == explain([silent, other], [], language)
    assert [line.split()[0] for line in told.split("\n")] == ["requests:", "errors_ratio"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_series_that_is_told_twice_is_counted_once_among_the_others(language: Language) -> None:
    six = [signal(f"metric_{n}") for n in range(6)]
    assert explain([*six, *six], [], language) == explain(six, [], language)


@pytest.mark.parametrize(
    ("language", "last"),
    [
        ("en", "Part of an incident that began on voice."),
        ("pt-BR", "Parte de um incidente que começou em voice."),
    ],
)
def test_of_causes_only_the_incident_that_was_joined_is_told(language: Language, last: str) -> None:
    joined = Membership("a-1", "voice", 0.0, Lead("loss", "voice", "app"))
    causes = [
        Term("prior", -9.2, RARE),
        Term("surge:tickets.opened", 12.0, RARE),
        Term("joined:voice", 0.0, joined),
    ]
    assert explain([signal()], causes, language).split("\n")[1:] == [last]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_with_line_breaks_forges_no_line(language: Language) -> None:
    forged = Term("joined:voice\r\nAll is well.\u2028Go home.", 0.0, RARE)
    assert len(explain([signal("a\nb")], [forged], language).splitlines()) == 2


SIGNALS = st.builds(
    AlertSignal,
    series=st.text() | st.text().map("forecast.".__add__),
    direction=st.sampled_from(["above", "below"]),
    observed=st.none() | st.floats(),
    expected=st.floats(),
    lower=st.floats(),
    upper=st.floats(),
    score=st.floats(0, 1),
    since=st.datetimes(timezones=st.just(UTC)),
)
CAUSES = st.builds(Term, st.text() | st.text().map("joined:".__add__), st.floats(), st.just(RARE))


@given(st.lists(SIGNALS, max_size=7), st.lists(CAUSES, max_size=4), st.sampled_from(LANGUAGES))
def test_whatever_the_signals_there_is_a_line_for_each_of_their_series_and_no_other(
    signals: list[AlertSignal], causes: list[Term], language: Language
) -> None:
    joined = sum(cause.code.partition(":")[0] == "joined" for cause in causes)
    series = len({signal.series for signal in signals})
    lines = min(series, 4) + (series > 4) + joined
    text = explain(signals, causes, language)
    assert len(text.splitlines()) == len(text.split("\n") if text else []) == lines
