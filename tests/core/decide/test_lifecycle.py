"""The lifecycle: hysteresis, reasons, sequence, ids, and no recovery on missing data."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.document import Action, Kind
from ruptura.core.contracts.effects import OpenAlert, SeriesPoint
from ruptura.core.contracts.facts import AlertFacts, Lead, Membership, Term
from ruptura.core.contracts.tuning import AlertTuning
from ruptura.core.decide.lifecycle import (
    Joined,
    Lifecycle,
    advance,
    alert_facts,
    expire,
    open_alert,
)
from ruptura.core.decide.risk import Risk, combine
from ruptura.core.detect.channel_detectors import Health
from ruptura.core.detect.signals import Signal

TUNING = AlertTuning(
    prior=1e-4,
    warning_risk=0.5,
    critical_risk=0.95,
    resolve_risk=0.1,
    open_buckets=2,
    resolve_buckets=3,
    update_seconds=900,
)
START = 1_772_409_600.0
Step = tuple[float, Health]


def risk(p: float, kind: Any = "surge", start: float = START, *, is_news: bool = True) -> Risk:
    if p < 0.3:
        return Risk(p, [], None, [])
    point = SeriesPoint("s", "c", "tickets.opened", start, 9.0, 1.0, 0.0, 3.0, 1e-9, 1e-9)
    told = Signal("tickets.opened", kind, "above", 1e-9, 1.0, START, point, is_news=is_news)
    return Risk(p, [], kind, [told])


def mixed(kinds: list[str], start: float) -> Risk:
    """A risk in which these families speak, the dominant one first."""
    signals = [signal for kind in kinds for signal in risk(0.7, kind, start).signals]
    return Risk(0.7, [], kinds[0], signals)  # type: ignore[arg-type]  # the names of kinds


def play(steps: list[Step], kinds: list[str] | None = None) -> list[AlertFacts]:
    state, told = Lifecycle(), []
    for n, (p, health) in enumerate(steps):
        start = START + 60.0 * n
        found = risk(p, kinds[n] if kinds else "surge", start)
        moved = advance(state, found, start, start + 60.0, health=health, tuning=TUNING)
        if moved is not None:
            told.append(alert_facts(state, moved, "aurora", "voice", {"surge": [Action("Call.")]}))
    return told


HIGH: Step = (0.7, "unhealthy")
SURE: Step = (0.99, "unhealthy")
LOW: Step = (0.01, "healthy")
HIGHER: Step = (0.92, "unhealthy")
MIDDLING: Step = (0.3, "healthy")
UNSEEN: Step = (0.01, "unknown")


def test_one_bucket_opens_nothing_two_open_a_warning() -> None:
    assert play([HIGH, LOW, HIGH, LOW]) == []
    (opened,) = play([LOW, HIGH, HIGH])
    assert (opened.status, opened.reason, opened.sequence) == ("warning", "opened", 0)
    assert opened.started_at.timestamp() == START + 60.0
    assert opened.updated_at.timestamp() == START + 180.0
    assert opened.actions == [Action("Call.")]


def test_the_id_is_a_known_uuid_of_service_channel_and_onset() -> None:
    (opened,) = play([HIGH, HIGH])
    assert opened.alert_id == "db1b95a3-26e5-5376-9c12-988432e684f8"


def test_sure_risk_opens_critical_and_a_warning_escalates_once() -> None:
    assert [a.status for a in play([SURE, SURE])] == ["critical"]
    told = play([HIGH, HIGH, SURE, SURE, SURE, HIGH])
    assert [(a.status, a.reason) for a in told] == [
        ("warning", "opened"),
        ("critical", "escalated"),
    ]


def test_it_ends_on_health_in_a_row_and_says_when() -> None:
    told = play([HIGH, HIGH, LOW, LOW, HIGH, LOW, LOW, LOW, LOW])
    assert [a.reason for a in told] == ["opened", "recovered"]
    assert told[-1].ended_at == told[-1].updated_at
    assert told[-1].updated_at.timestamp() == START + 8 * 60.0
    assert told[-1].labels["severity"] == "warning"


def test_missing_data_is_no_health_however_long() -> None:
    assert len(play([HIGH, HIGH, *([UNSEEN] * 500)])) == 1


def test_what_is_not_measured_neither_breaks_a_streak_of_health_nor_adds_to_it() -> None:
    told = play([HIGH, HIGH, LOW, UNSEEN, LOW, UNSEEN, UNSEEN, LOW])
    assert [a.status for a in told] == ["warning", "resolved"]
    assert play([HIGH, HIGH, LOW, LOW, (0.01, "unhealthy"), LOW, LOW])[-1].status == "warning"


def test_one_measurement_counts_once_however_long_it_stands() -> None:
    state = Lifecycle()
    for n in range(10):
        start = START + 60.0 * n
        stale = risk(0.99, "failure", START, is_news=n == 0)
        assert advance(state, stale, start, start + 60.0, health="unknown", tuning=TUNING) is None
    fresh = risk(0.99, "failure", START + 600.0)
    opened = advance(state, fresh, START + 600.0, START + 660.0, health="unknown", tuning=TUNING)
    assert opened is not None
    assert opened.status == "critical"
    assert state.onset == START


def test_the_labels_of_a_resolution_are_those_of_the_worst_that_was_told() -> None:
    told = play([HIGH, HIGH, SURE, SURE, LOW, LOW, LOW])
    assert [a.labels["severity"] for a in told] == ["warning", "critical", "critical"]
    assert {a.labels["alertname"] for a in told} == {"Ruptura"}


def test_risk_between_the_thresholds_neither_opens_nor_ends() -> None:
    assert len(play([HIGH, HIGH, *([MIDDLING] * 100)])) == 1
    assert play([MIDDLING] * 100) == []


class TestStart:
    """An alert started when its causes say that what they name began."""

    def told(self, sinces: list[dict[str, float] | None]) -> list[AlertFacts]:
        """Play minutes in which these series deviate, since so many minutes after the start."""
        state, told = Lifecycle(), []
        for n, deviating in enumerate(sinces):
            start = START + 60.0 * n
            signals = [
                msgspec.structs.replace(signal, series=series, since=START + 60.0 * since)
                for series, since in (deviating or {}).items()
                for signal in risk(0.7, "failure" if "ratio" in series else "surge", start).signals
            ]
            found = combine(signals, TUNING.prior, series_registry())
            health: Health = "unhealthy" if deviating else "healthy"
            moved = advance(state, found, start, start + 60.0, health=health, tuning=TUNING)
            if moved is not None:
                told.append(alert_facts(state, moved, "aurora", "voice", {}))
        return told

    def minutes(self, sinces: list[dict[str, float] | None]) -> list[float]:
        return [(a.started_at.timestamp() - START) / 60.0 for a in self.told(sinces)]

    def test_it_is_the_earliest_of_the_causes_often_before_the_bucket_that_crossed(self) -> None:
        assert self.minutes([{"backlog": -7.0, "errors_ratio": -9.0}] * 2) == [-9.0]

    def test_a_signal_that_no_cause_names_moves_it_not(self) -> None:
        (opened,) = self.told([{"backlog": -7.0, "tickets.opened": -20.0}] * 2)
        named = [cause.code for cause in opened.causes]
        assert named == ["prior", "surge:backlog"]
        assert opened.started_at.timestamp() == START - 7 * 60.0

    def test_it_stays_whatever_the_causes_name_later(self) -> None:
        told = self.told([*[{"backlog": -7.0}] * 2, *[{"errors_ratio": -30.0}] * 20, *[None] * 3])
        assert [a.reason for a in told] == ["opened", "updated", "recovered"]
        assert {a.started_at.timestamp() for a in told} == {START - 7 * 60.0}

    def test_it_is_never_before_the_end_of_the_alert_before_it(self) -> None:
        told = self.told([*[{"backlog": -7.0}] * 2, *[None] * 3, *[{"errors_ratio": -60.0}] * 2])
        assert [a.reason for a in told] == ["opened", "recovered", "opened"]
        assert told[2].started_at == told[1].ended_at

    def test_the_ids_are_of_the_bucket_that_crossed_so_alerts_that_start_alike_differ(self) -> None:
        told = self.told([*[{"backlog": -7.0}] * 2, *[None] * 3, *[{"backlog": -7.0}] * 2])
        assert told[0].alert_id == "db1b95a3-26e5-5376-9c12-988432e684f8"
        assert told[2].alert_id not in (told[0].alert_id, "")
        assert told[2].incident_id != told[0].incident_id


class TestRelapse:
    """What comes back again and again has to prove its health for longer."""

    OUTAGE = (HIGH, HIGH, *([LOW] * 24))

    def test_each_relapse_doubles_the_health_in_a_row_that_ends_it(self) -> None:
        told = play([*self.OUTAGE] * 6)
        ended = [a for a in told if a.status == "resolved"]
        healthy = [(a.updated_at - a.started_at).total_seconds() / 60.0 - 2.0 for a in ended]
        assert healthy == [3.0, 6.0, 12.0, 24.0, 24.0, 24.0]

    def test_after_an_hour_of_peace_it_is_an_alert_like_the_first(self) -> None:
        told = play([*self.OUTAGE, *([LOW] * 60), *self.OUTAGE])
        ended = [a for a in told if a.status == "resolved"]
        assert len({(a.updated_at - a.started_at) for a in ended}) == 1

    def test_an_outage_that_comes_back_before_its_proof_is_one_alert(self) -> None:
        short: list[Step] = [HIGH, HIGH, *([LOW] * 5)]
        told = play(short * 20)
        assert len({a.alert_id for a in told}) == 2


class TestKind:
    """What an alert is about: it stays that, unless something explains it."""

    def kinds(self, *steps: str) -> list[Kind]:
        """Play an alert whose dominant family is this, with those behind it, for a while each."""
        state, told, n = Lifecycle(), [], 0
        for step in steps:
            for _ in range(20):
                start = START + 60.0 * n
                found = mixed(step.split(), start)
                moved = advance(state, found, start, start + 60, health="unhealthy", tuning=TUNING)
                if moved is not None:
                    told.append(alert_facts(state, moved, "aurora", "voice", {}).kind)
                n += 1
        return told

    def test_it_stays_while_its_own_family_still_speaks(self) -> None:
        assert self.kinds("failure", "surge failure") == ["failure"]
        assert self.kinds("silence", "failure silence") == ["silence"]

    def test_a_broken_supply_explains_a_surge(self) -> None:
        assert self.kinds("surge", "failure surge") == ["surge", "failure"]
        assert self.kinds("surge", "surge failure") == ["surge"]

    def test_what_has_come_true_is_no_forecast_any_more(self) -> None:
        assert self.kinds("forecast", "surge forecast") == ["forecast", "surge"]

    def test_it_turns_when_its_own_family_is_gone(self) -> None:
        assert self.kinds("failure", "surge") == ["failure", "surge"]


def test_a_forecast_says_when_and_a_resolution_does_not() -> None:
    state, told = Lifecycle(), []
    for n, (p, health) in enumerate([HIGH, HIGH, LOW, LOW, LOW]):
        start = START + 60.0 * n
        moved = advance(
            state,
            risk(p, "forecast", start),
            start,
            start + 60.0,
            health=health,
            tuning=TUNING,
            breach_at=START + 900.0 if p > 0.5 else None,
        )
        if moved is not None:
            told.append(alert_facts(state, moved, "aurora", "voice", {}))
    assert [a.expected_breach_at and a.expected_breach_at.timestamp() for a in told] == [
        START + 900.0,
        None,
    ]


def test_the_labels_of_an_alert_never_change_but_for_its_severity() -> None:
    told = play([HIGH, HIGH, SURE, SURE, LOW, LOW, LOW])
    kept = [{k: v for k, v in a.labels.items() if k != "severity"} for a in told]
    assert len(kept) == 3
    assert kept[0] == kept[1] == kept[2]
    assert kept[0]["incident_role"] == "primary"
    assert kept[0]["incident_id"] == told[0].incident_id


def test_updates_wait_and_need_a_change() -> None:
    calm = play([HIGH, HIGH, *([HIGH] * 40)])
    assert [a.reason for a in calm] == ["opened"]
    changed = play([HIGH, HIGH, *([HIGHER] * 40)])
    assert [a.reason for a in changed] == ["opened", "updated"]
    assert (changed[1].updated_at - changed[0].updated_at).total_seconds() == 900.0


def test_a_new_alert_after_a_resolution_has_a_new_id_and_begins_at_nought() -> None:
    told = play([HIGH, HIGH, LOW, LOW, LOW, HIGH, HIGH])
    assert [a.sequence for a in told] == [0, 1, 0]
    assert told[0].alert_id == told[1].alert_id != told[2].alert_id


def test_expiry_ends_an_open_alert_only() -> None:
    state = Lifecycle()
    assert expire(state, START) is None
    for n in range(2):
        start = START + n * 60
        found = risk(0.7, start=start)
        advance(state, found, start, start + 60, health="unhealthy", tuning=TUNING)
    moved = expire(state, START + 1e6)
    assert moved is not None
    assert (moved.status, moved.reason) == ("resolved", "expired")


@given(
    st.lists(
        st.tuples(st.sampled_from([0.01, 0.3, 0.7, 0.99]), st.sampled_from(get_args(Health))),
        max_size=200,
    )
)
def test_whatever_happens_documents_make_sense(steps: list[Step]) -> None:
    told = play(steps)
    for alert in told:
        assert (alert.ended_at is None) == (alert.status != "resolved")
        assert alert.started_at < alert.updated_at
    for before, after in pairwise(told):
        assert before.updated_at < after.updated_at
        if before.status == "resolved":
            assert (after.reason, after.sequence) == ("opened", 0)
        else:
            assert after.alert_id == before.alert_id
            assert after.sequence == before.sequence + 1
            assert after.reason != "opened"
        assert (before.status, after.status) != ("critical", "warning")


def lived(steps: list[Step]) -> tuple[Lifecycle, list[OpenAlert | None], list[AlertFacts]]:
    """A lifecycle after these buckets, what stood after each of them, and the documents."""
    state, stood, told = Lifecycle(), [], []
    for n, (p, health) in enumerate(steps):
        start = START + 60.0 * n
        found = risk(p, start=start)
        moved = advance(state, found, start, start + 60.0, health=health, tuning=TUNING)
        if moved is not None:
            told.append(alert_facts(state, moved, "aurora", "voice", {}))
        stood.append(open_alert(state, "aurora", "voice"))
    return state, stood, told


def test_what_stands_is_what_the_document_said_when_it_opened() -> None:
    _, (before, stands), (opened,) = lived([HIGH, HIGH])
    assert before is None
    assert stands is not None
    assert (stands.alert_id, stands.incident_id) == (opened.alert_id, opened.incident_id)
    assert (stands.severity, stands.kind, stands.exception) == ("warning", "surge", None)
    assert stands.incident_role == opened.labels["incident_role"] == "primary"
    assert list(stands.signals) == opened.signals
    assert list(stands.causes) == opened.causes


def test_what_stands_escalates_with_the_alert_and_keeps_its_id() -> None:
    _, stood, told = lived([HIGH, HIGH, SURE, SURE])
    severities = [stands.severity for stands in stood if stands is not None]
    assert severities == ["warning", "warning", "critical"]
    assert {stands.alert_id for stands in stood if stands is not None} == {told[0].alert_id}
    assert told[-1].reason == "escalated"


def test_nothing_stands_once_the_alert_is_resolved() -> None:
    _, stood, told = lived([HIGH, HIGH, LOW, LOW, LOW, LOW])
    assert told[-1].status == "resolved"
    assert [stands is not None for stands in stood] == [False, True, True, True, False, False]


def test_an_alert_that_joined_stands_under_the_incident_of_the_other_with_why() -> None:
    state, _, (opened,) = lived([HIGH, HIGH])
    why = Term("joined:app", 0.0, Membership("a-1", "app", START, Lead("loss", "app", "voice")))
    state.joined = Joined("0" * 36, why)
    stands = open_alert(state, "aurora", "voice")
    assert stands is not None
    assert (stands.incident_id, stands.incident_role) == ("0" * 36, "joined")
    assert stands.alert_id == opened.alert_id
    assert list(stands.causes) == [*opened.causes, why]


def test_an_alert_stands_as_before_when_it_comes_back_from_a_snapshot() -> None:
    state, stood, _ = lived([HIGH, HIGH, SURE, SURE])
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=Lifecycle)
    assert stood[-1] is not None
    assert open_alert(restored, "aurora", "voice") == stood[-1]


def test_what_stands_does_not_change_with_the_lifecycle_after_it() -> None:
    _, stood, _ = lived([HIGH, HIGH, SURE, SURE, LOW, LOW, LOW])
    assert stood[1] is not None
    assert (stood[1].severity, len(stood[1].signals)) == ("warning", 1)


def test_the_exception_of_an_open_alert_changes_only_with_a_document_and_never_to_none() -> None:
    """It chooses the team: were it that of each bucket, teams would be told in turn."""
    state = Lifecycle()
    told: list[AlertFacts] = []
    stood: list[str | None] = []
    for minute, kind in enumerate(["policy", "policy", "service", "policy", "", "", "service"]):
        start = START + 60.0 * minute
        series = f"tickets.exceptions_{kind}" if kind else "tickets.opened"
        found = risk(0.7, "surge", start)
        found = msgspec.structs.replace(
            found,
            signals=[msgspec.structs.replace(s, series=series) for s in found.signals],
            exception=kind or None,
            # Sure enough in the last minute for a document of its own.
            probability=0.99 if minute >= 5 else 0.7,
        )
        moved = advance(state, found, start, start + 60.0, health="unhealthy", tuning=TUNING)
        if moved is not None:
            told.append(alert_facts(state, moved, "aurora", "voice", {}))
        stands = open_alert(state, "aurora", "voice")
        stood.append(None if stands is None else stands.exception)
    assert [(a.reason, a.exception) for a in told] == [
        ("opened", "policy"),
        ("escalated", "service"),
    ]
    assert stood == [None, "policy", "policy", "policy", "policy", "policy", "service"]
