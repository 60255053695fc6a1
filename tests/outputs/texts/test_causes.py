"""What the terms of a risk say, word for word."""

from __future__ import annotations

import msgspec
import pytest

from ruptura.core.contracts.facts import (
    Breach,
    CommonMove,
    Deviation,
    Facts,
    Lead,
    Load,
    Membership,
    Prior,
    Repetition,
    Sibling,
    Term,
)
from ruptura.outputs.texts.causes import sentence

NOON = 1_772_452_800.0  # 2026-03-02 12:00 UTC
LOSS = Lead("loss", "whatsapp", "voice")
DEVIATION = Deviation("tickets.opened", "surge", "above", NOON, 30.0, 7.127, 1.2e-9)
LOAD = Load(0.8, 0.45, 6.0, 240.0, 28.0, 1.5, 1.1, 1.0)
BREACH = Breach("answer", 0.8, 30.0, False, 900.0, 0.734, 240.0, 0.1, 0.35, 0.2, 0.5, None)

SENTENCES: list[tuple[Facts, str]] = [
    (Prior(1e-4), "Without evidence the risk is 0.0001 in each bucket."),
    (
        DEVIATION,
        "tickets.opened is above normal since 2026-03-02 12:00 UTC: 30 in the last bucket, 7.13 "
        "expected; chance alone would show as much evidence with probability 1.2e-09.",
    ),
    (
        msgspec.structs.replace(DEVIATION, kind="silence", direction="below", observed=None),
        "tickets.opened is silent since 2026-03-02 12:00 UTC: nothing in the last bucket, 7.13 "
        "expected; chance alone would show as much evidence with probability 1.2e-09.",
    ),
    (
        Repetition(1.0, 1.0, 5.0),
        "Few customers make many of these contacts: 1 distinct customers in the last bucket, "
        "1 expected, made 5 contacts.",
    ),
    (
        Sibling("tickets.opened", "voice", "above", NOON, LOSS),
        "tickets.opened of voice is above normal since 12:00 UTC: customers who do not get "
        "through on whatsapp turn to voice.",
    ),
    (
        Membership("a-1", "whatsapp", NOON, LOSS),
        "Part of the incident of the alert a-1 of whatsapp, open since 12:00 UTC: customers who "
        "do not get through on whatsapp turn to voice.",
    ),
    (
        Membership("a-1", "bot", NOON, Lead("bot", "bot", "voice")),
        "Part of the incident of the alert a-1 of bot, open since 12:00 UTC: what the bot of bot "
        "hands over lands on voice.",
    ),
    (
        Membership("a-1", "app", NOON, Lead("platform", "app", "voice")),
        "Part of the incident of the alert a-1 of app, open since 12:00 UTC: customers hit by "
        "the failure of app ask for help on voice.",
    ),
    (
        Membership("a-1", "app", NOON, CommonMove("requests", "web", "tickets.opened", "app")),
        "Part of the incident of the alert a-1 of app, open since 12:00 UTC: requests of web and "
        "tickets.opened of app moved together.",
    ),
    (
        BREACH,
        "The objective that 0.8 of contacts are answered within 30 s will be broken within 15 min "
        "with probability 0.73, most likely in 4.0 min: now 0.90, in 15 min 0.65 (0.80 to 0.50).",
    ),
    (
        msgspec.structs.replace(BREACH, seconds=0.0, as_waits=True, load=LOAD),
        "The objective that 0.8 of contacts are answered within 30 s is broken now: now 0.1 s, in "
        "15 min 0.35 s (0.2 s to 0.5 s). Load of the next 15 min: 125% of what 28 agents can do "
        "= 80% arrivals (6 a minute with an AHT of 240 s) + 45% queue. Arrivals weigh 1.65 times "
        "what they did in past hours = 1.50 contacts x 1.10 AHT x 1.00 fewer agents.",
    ),
]


@pytest.mark.parametrize(("facts", "text"), SENTENCES, ids=lambda each: type(each).__name__)
def test_each_kind_of_facts_has_its_sentence(facts: Facts, text: str) -> None:
    assert sentence(facts) == text


@pytest.mark.parametrize(
    ("objective", "limit", "what"),
    [
        ("longest_wait", 300.0, "nobody waits over 300 s"),
        ("abandonment", 0.05, "at most 0.05 of contacts give up"),
        ("backlog", 40.0, "at most 40 contacts wait"),
        ("errors", 0.02, "at most 0.02 of requests fail"),
        ("latency", 1.5, "latency is at most 1.5 s"),
    ],
)
def test_each_objective_is_named(objective: str, limit: float, what: str) -> None:
    breach = msgspec.structs.replace(BREACH, objective=objective, limit=limit)
    assert sentence(breach).startswith(f"The objective that {what} will be broken")


@pytest.mark.parametrize("facts", [facts for facts, _ in SENTENCES])
def test_what_comes_back_from_a_snapshot_says_the_same(facts: Facts) -> None:
    kept = msgspec.msgpack.encode(Term("code", 1.0, facts))
    assert sentence(msgspec.msgpack.decode(kept, type=Term).facts) == sentence(facts)


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), -1.0, 1e300])
def test_a_moment_that_is_none_is_refused_before_it_is_told(moment: float) -> None:
    kept = msgspec.msgpack.encode(
        Term("code", 1.0, msgspec.structs.replace(DEVIATION, since=moment))
    )
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(kept, type=Term)
