"""Incidents: what channels add to each other's risk, and which alerts are one incident."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.document import AlertSignal, Direction, Kind
from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.contracts.facts import AlertFacts, Lead, Membership, Sibling, Term
from ruptura.core.decide import incidents
from ruptura.core.decide.incidents import EARLY_SECONDS, LAG_SECONDS, MOST, TOGETHER_SECONDS
from ruptura.core.decide.lifecycle import (
    INCIDENTS,
    Joined,
    Lifecycle,
    Transition,
    alert_facts,
    alert_id,
)
from ruptura.core.detect.signals import Signal

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
SERVICE = "aurora"
corroborate = partial(incidents.corroborate, registry=series_registry())
join = partial(incidents.join, registry=series_registry())

LOSS: tuple[str, Direction] = ("tickets.opened", "below")
SURGE: tuple[str, Direction] = ("tickets.opened", "above")
BOT: tuple[str, Direction] = ("bot_fallback_ratio", "above")
ERRORS: tuple[str, Direction] = ("errors_ratio", "above")
HEARTBEATS: tuple[str, Direction] = ("heartbeats", "below")
EXCEPTIONS: tuple[str, Direction] = ("tickets.exceptions_service", "above")
ABANDONED: tuple[str, Direction] = ("tickets.abandoned", "above")
RATING: tuple[str, Direction] = ("tickets.rating", "below")
FEWER_RESOLVED: tuple[str, Direction] = ("tickets.resolved", "below")
MORE_DELIVERED: tuple[str, Direction] = ("messages_delivered_ratio", "above")
SERVICE_LEVEL: tuple[str, Direction] = ("service_level_ratio", "below")
FEWER_PURCHASES: tuple[str, Direction] = ("purchases", "below")
MORE_PURCHASES: tuple[str, Direction] = ("purchases", "above")
FORECAST: tuple[str, Direction] = ("forecast.answer", "above")


def signal(
    what: tuple[str, Direction],
    since: float = NOON,
    probability: float = 1e-6,
    kind: Kind = "surge",
) -> Signal:
    point = SeriesPoint(SERVICE, "c", what[0], since, 5.0, 1.0, 0.0, 2.0, 1e-6, 1e-6)
    return Signal(what[0], kind, what[1], probability, 1.0, since, point)


def opened(
    what: tuple[str, Direction], since: float = NOON, onset: float | None = None
) -> Lifecycle:
    """The lifecycle of an alert that blames one series."""
    told = AlertSignal(
        what[0], what[1], 5.0, 1.0, 0.0, 2.0, 1e-6, datetime.fromtimestamp(since, UTC)
    )
    return Lifecycle(status="warning", onset=since if onset is None else onset, signals=[told])


def told(state: Lifecycle, channel: str) -> AlertFacts:
    return alert_facts(state, Transition("warning", "opened"), SERVICE, channel, {})


class TestCorroboration:
    def test_a_surge_of_siblings_makes_a_silence_likelier_and_says_so(self) -> None:
        said = {"whatsapp": [signal(LOSS)], "voice": [signal(SURGE)]}
        (cause,) = corroborate("whatsapp", said)
        assert cause.code == "sibling:voice:tickets.opened"
        assert cause.contribution > 3.0
        why = Lead("loss", "whatsapp", "voice")
        assert cause.facts == Sibling("tickets.opened", "voice", "above", NOON, why)

    @pytest.mark.parametrize("cause", [LOSS, BOT, ERRORS, HEARTBEATS])
    def test_a_broken_sibling_makes_a_surge_likelier(self, cause: Any) -> None:
        said = {"bot": [signal(cause)], "voice": [signal(SURGE)]}
        (term,) = corroborate("voice", said)
        assert 0.0 < term.contribution <= MOST["surge"]

    def test_a_common_movement_makes_nothing_likelier(self) -> None:
        for what in (LOSS, SURGE, ERRORS):
            said = {"whatsapp": [signal(what)], "voice": [signal(what)]}
            assert corroborate("whatsapp", said) == ()

    def test_a_surge_elsewhere_does_not_make_errors_here_likelier(self) -> None:
        said = {"app": [signal(ERRORS)], "voice": [signal(SURGE)]}
        assert corroborate("app", said) == ()

    def test_only_the_sibling_that_says_most_counts(self) -> None:
        one = {"whatsapp": [signal(LOSS)], "voice": [signal(SURGE)]}
        many = one | {name: [signal(SURGE, probability=1e-5)] for name in ("a", "b", "z")}
        assert corroborate("whatsapp", one) == corroborate("whatsapp", many)

    def test_what_began_hours_apart_has_nothing_to_do_with_it(self) -> None:
        said = {"whatsapp": [signal(LOSS)], "voice": [signal(SURGE, NOON - 6 * 3600.0)]}
        assert corroborate("whatsapp", said) == ()

    @given(
        st.dictionaries(
            st.sampled_from(["a", "b", "c", "d"]),
            st.lists(
                st.builds(
                    signal,
                    st.sampled_from([LOSS, SURGE, BOT, ERRORS, RATING]),
                    st.floats(NOON - 7200, NOON),
                    st.floats(1e-300, 1.0),
                ),
                min_size=1,
                max_size=3,
            ),
            min_size=1,
        ).filter(lambda said: "a" in said)
    )
    def test_it_is_one_bounded_term_at_most_and_the_order_of_channels_changes_nothing(
        self, said: dict[str, list[Signal]]
    ) -> None:
        terms = corroborate("a", said)
        assert len(terms) <= 1
        assert all(0.0 < term.contribution <= max(MOST.values()) for term in terms)
        turned = {name: said[name] for name in reversed(list(said))}
        assert corroborate("a", turned) == terms


class TestJoining:
    @pytest.mark.parametrize(
        ("cause", "effect"),
        [
            (LOSS, SURGE),
            (BOT, SURGE),
            (ERRORS, SURGE),
            (ERRORS, ABANDONED),
            (HEARTBEATS, EXCEPTIONS),
            (BOT, FORECAST),
            (BOT, SERVICE_LEVEL),
            (FEWER_PURCHASES, SURGE),
            (ERRORS, MORE_PURCHASES),
        ],
    )
    def test_an_effect_joins_the_incident_of_its_cause_and_a_cause_that_of_its_effect(
        self, cause: Any, effect: Any
    ) -> None:
        for first, second in ((cause, effect), (effect, cause)):
            alerts = {"x": opened(first), "y": opened(second, NOON + 300.0)}
            join(SERVICE, ["y"], alerts)
            primary, joined = told(alerts["x"], "x"), told(alerts["y"], "y")
            assert primary.incident_id == joined.incident_id
            assert primary.alert_id != joined.alert_id
            assert primary.labels["incident_role"] == "primary"
            assert joined.labels["incident_role"] == "joined"

    def test_the_document_says_to_which_alert_it_is_linked_and_why(self) -> None:
        alerts = {"whatsapp": opened(LOSS), "voice": opened(SURGE, NOON + 300.0)}
        join(SERVICE, ["voice"], alerts)
        cause = told(alerts["voice"], "voice").causes[-1]
        assert cause.code == "joined:whatsapp"
        assert cause.contribution == 0.0
        other = alert_id(SERVICE, "whatsapp", alerts["whatsapp"])
        why = Lead("loss", "whatsapp", "voice")
        assert cause.facts == Membership(other, "whatsapp", NOON, why)

    def test_what_is_told_of_the_other_alert_is_when_that_says_that_it_started(self) -> None:
        alerts = {"whatsapp": opened(LOSS), "voice": opened(SURGE, NOON + 300.0)}
        alerts["whatsapp"].started = NOON - 1500.0
        join(SERVICE, ["voice"], alerts)
        facts = told(alerts["voice"], "voice").causes[-1].facts
        assert isinstance(facts, Membership)
        assert facts.since == NOON - 1500.0
        assert told(alerts["whatsapp"], "whatsapp").started_at.timestamp() == NOON - 1500.0

    def test_the_id_is_a_known_uuid_of_service_channel_and_onset(self) -> None:
        state = opened(SURGE)
        name = "\x1f".join((SERVICE, "voice", "2026-03-02T12:00:00+00:00"))
        assert told(state, "voice").incident_id == str(uuid.uuid5(INCIDENTS, name))

    def test_a_common_movement_of_all_channels_is_one_incident(self) -> None:
        for what in (LOSS, SURGE):
            alerts = {name: opened(what, NOON + 60.0 * n) for n, name in enumerate("abcd")}
            for name in alerts:
                join(SERVICE, [name], {n: a for n, a in alerts.items() if n <= name})
            documents = [told(state, name) for name, state in alerts.items()]
            assert len({one.incident_id for one in documents}) == 1
            assert [one.labels["incident_role"] for one in documents] == [
                "primary", "joined", "joined", "joined",
            ]  # fmt: skip

    def test_a_feed_that_stops_is_one_incident_though_rare_contacts_are_missed_later(self) -> None:
        alerts = {"busy": opened(LOSS), "rare": opened(LOSS, NOON + 3 * 3600.0)}
        join(SERVICE, ["rare"], alerts)
        assert alerts["rare"].joined is not None

    def test_of_alerts_that_open_at_once_the_cause_is_primary_whatever_its_name(self) -> None:
        for cause, effect in (("a", "z"), ("z", "a")):
            alerts = {cause: opened(LOSS), effect: opened(SURGE)}
            join(SERVICE, sorted(alerts), alerts)
            assert alerts[cause].joined is None
            assert alerts[effect].joined is not None

    def test_a_chain_is_one_incident(self) -> None:
        alerts = {"app": opened(ERRORS)}
        join(SERVICE, ["app"], alerts)
        for n, name in enumerate(("chat", "voice"), 1):
            alerts[name] = opened(SURGE, NOON + n * 1200.0)
            join(SERVICE, [name], alerts)
        assert len({told(state, name).incident_id for name, state in alerts.items()}) == 1

    def test_a_cause_explains_more_than_a_common_movement(self) -> None:
        alerts = {"a": opened(SURGE, NOON), "z": opened(LOSS, NOON - 600.0), "m": opened(SURGE)}
        join(SERVICE, ["m"], alerts)
        assert alerts["m"].joined is not None
        assert alerts["m"].joined.cause.code == "joined:z"


class TestIndependence:
    @pytest.mark.parametrize(
        ("first", "second", "apart"),
        [
            (SURGE, SURGE, TOGETHER_SECONDS["surge"] + 60.0),
            (LOSS, LOSS, TOGETHER_SECONDS["loss"] + 60.0),
            (LOSS, SURGE, LAG_SECONDS + 60.0),
            (ERRORS, SURGE, LAG_SECONDS + 60.0),
            (SURGE, ERRORS, EARLY_SECONDS + 60.0),
        ],
    )
    def test_alerts_too_far_apart_in_time_are_two_incidents(
        self, first: Any, second: Any, apart: float
    ) -> None:
        alerts = {"a": opened(first), "b": opened(second, NOON + apart)}
        join(SERVICE, ["b"], alerts)
        assert told(alerts["a"], "a").incident_id != told(alerts["b"], "b").incident_id

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (RATING, SURGE),
            (RATING, RATING),
            (("unknown", "above"), SURGE),
            (LOSS, ERRORS),
            (FEWER_RESOLVED, SURGE),
            (MORE_DELIVERED, SURGE),
        ],
    )
    def test_what_nothing_links_is_two_incidents_even_at_the_same_moment(
        self, one: Any, other: Any
    ) -> None:
        alerts = {"a": opened(one), "b": opened(other)}
        join(SERVICE, ["a", "b"], alerts)
        assert told(alerts["a"], "a").incident_id != told(alerts["b"], "b").incident_id

    def test_a_resolved_alert_takes_no_one_in(self) -> None:
        for status in (None, "resolved"):
            over = msgspec.structs.replace(opened(LOSS), status=status)
            alerts = {"a": over, "b": opened(SURGE)}
            join(SERVICE, ["b"], alerts)
            assert alerts["b"].joined is None

    def test_joining_ends_with_the_alert(self) -> None:
        alerts = {"a": opened(LOSS), "b": opened(SURGE)}
        join(SERVICE, ["b"], alerts)
        last = alert_facts(alerts["b"], Transition("resolved", "recovered"), SERVICE, "b", {})
        assert last.labels["incident_role"] == "joined"
        assert last.causes[-1].code == "joined:a"
        assert alerts["b"].joined is None


BECAUSE = Membership("a-1", "a", NOON, Lead("loss", "a", "b"))


class TestState:
    def test_a_joined_alert_that_is_not_open_is_no_state(self) -> None:
        joined = Joined(str(uuid.uuid4()), Term("joined:a", 0.0, BECAUSE))
        with pytest.raises(ValueError, match="joined"):
            Lifecycle(joined=joined).check()
        with pytest.raises(ValueError, match="joined"):
            Lifecycle(status="warning", joined=Joined("", Term("joined:a", 1.0, BECAUSE))).check()

    def test_an_incident_id_that_is_no_uuid_is_refused(self) -> None:
        state = msgspec.msgpack.encode(Joined("<script>", Term("joined:a", 0.0, BECAUSE)))
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(state, type=Joined)
