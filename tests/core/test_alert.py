"""The lifecycle: hysteresis, reasons, sequence, ids, and no recovery on missing data."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ruptura.core.alert import Lifecycle, advance, document, expire
from ruptura.core.document import Action, Alert
from ruptura.core.effects import SeriesPoint
from ruptura.core.risk import Risk
from ruptura.core.signal import Signal
from ruptura.core.tuning import AlertTuning

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
Step = tuple[float, bool | None]


def risk(p: float, kind: Any = "surge", start: float = START) -> Risk:
    if p < 0.3:
        return Risk(p, [], None, [])
    point = SeriesPoint("s", "c", "tickets.opened", start, 9.0, 1.0, 0.0, 3.0, 1e-9, 1e-9)
    return Risk(p, [], kind, [Signal("tickets.opened", kind, "above", 1e-9, 1.0, START, point)])


def play(steps: list[Step], kinds: list[str] | None = None) -> list[Alert]:
    state, told = Lifecycle(), []
    for n, (p, healthy) in enumerate(steps):
        start = START + 60.0 * n
        found = risk(p, kinds[n] if kinds else "surge", start)
        moved = advance(state, found, start, start + 60.0, healthy=healthy, tuning=TUNING)
        if moved is not None:
            told.append(document(state, moved, "aurora", "voice", {"surge": [Action("Call.")]}))
    return told


HIGH, SURE, LOW = (0.7, False), (0.99, False), (0.01, True)
UNSEEN = (0.01, None)


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
    assert play([HIGH, HIGH, LOW, LOW, (0.01, False), LOW, LOW])[-1].status == "warning"


def test_one_measurement_counts_once_however_long_it_stands() -> None:
    state = Lifecycle()
    for n in range(10):
        start = START + 60.0 * n
        stale = risk(0.99, "failure", START)
        assert advance(state, stale, start, start + 60.0, healthy=None, tuning=TUNING) is None
    fresh = risk(0.99, "failure", START + 600.0)
    opened = advance(state, fresh, START + 600.0, START + 660.0, healthy=None, tuning=TUNING)
    assert opened is not None
    assert opened.status == "critical"
    assert state.onset == START


def test_the_labels_of_a_resolution_are_those_of_the_worst_that_was_told() -> None:
    told = play([HIGH, HIGH, SURE, SURE, LOW, LOW, LOW])
    assert [a.labels["severity"] for a in told] == ["warning", "critical", "critical"]
    assert {a.labels["alertname"] for a in told} == {"Ruptura"}


def test_risk_between_the_thresholds_neither_opens_nor_ends() -> None:
    assert len(play([HIGH, HIGH, *([(0.3, True)] * 100)])) == 1
    assert play([(0.3, True)] * 100) == []


def test_updates_wait_and_need_a_change() -> None:
    calm = play([HIGH, HIGH, *([HIGH] * 40)])
    assert [a.reason for a in calm] == ["opened"]
    changed = play([HIGH, HIGH, *([(0.92, False)] * 40)])
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
        advance(state, found, start, start + 60, healthy=False, tuning=TUNING)
    moved = expire(state, START + 1e6)
    assert moved is not None
    assert (moved.status, moved.reason) == ("resolved", "expired")


@given(st.lists(st.tuples(st.sampled_from([0.01, 0.3, 0.7, 0.99]), st.booleans()), max_size=200))
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
