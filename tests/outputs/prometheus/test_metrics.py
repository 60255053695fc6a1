"""Metrics: what the engine did, seen through the text that Prometheus scrapes."""

from __future__ import annotations

import platform
import shutil
import subprocess
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ruptura import __version__
from ruptura.core.contracts.effects import ChannelPoint, Effects, OpenAlert, SeriesPoint, State
from ruptura.core.contracts.event import Reason, Rejection
from ruptura.core.contracts.facts import AlertFacts
from ruptura.core.contracts.record import Record
from ruptura.outputs.prometheus.counters import MAX_TOPICS
from ruptura.outputs.prometheus.metrics import Metrics

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RECORD = Record("t", 0, 0, 0.0, None, b"")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def fresh(max_channels: int = 100) -> Metrics:
    return Metrics(CollectorRegistry(), max_channels)


def samples(metrics: Metrics) -> Samples:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((f"ruptura_{name}", frozenset(labels.items())))


def point(series: str = "tickets.opened", channel: str = "voice", **changes: Any) -> SeriesPoint:
    band = {"expected": 4.0, "lower": 1.0, "upper": 9.0, "score": 0.25, "evidence": 0.5}
    return SeriesPoint("shop", channel, series, 60.0, **{"observed": 7.0, **band, **changes})


def risk(channel: str = "voice", probability: float = 0.125, state: State = "normal") -> Any:
    return ChannelPoint("shop", channel, 120.0, probability, state)


def alert(
    kind: Literal["surge", "failure", "silence", "forecast"],
    status: Literal["warning", "critical", "resolved"],
    reason: Literal["opened", "escalated", "updated", "recovered", "expired"],
) -> AlertFacts:
    return AlertFacts(
        alert_id="a",
        incident_id="i",
        sequence=0,
        status=status,
        reason=reason,
        service="shop",
        channel="voice",
        kind=kind,
        risk=0.7,
        started_at=NOW,
        updated_at=NOW,
        signals=[],
        causes=[],
        actions=[],
        labels={},
    )


def test_counters_add_up_what_steps_did() -> None:
    metrics = fresh()
    for _ in range(2):
        metrics.apply(
            Effects(
                consumed={"tickets": 10, "channel-metrics": 5},
                late={"tickets": 2},
                duplicates={"tickets": 3},
                misrouted={"shop": 4},
                evicted=6,
                buckets=7,
                rejections=[Rejection(RECORD, Reason.FUTURE_EVENT, "")],
            )
        )
    metrics.dead_lettered(2)

    assert value(metrics, "events_consumed_total", topic="tickets") == 20
    assert value(metrics, "events_consumed_total", topic="channel-metrics") == 10
    assert value(metrics, "events_late_total", topic="tickets") == 4
    assert value(metrics, "events_duplicate_total", topic="tickets") == 6
    assert value(metrics, "events_misrouted_total", service="shop") == 8
    assert value(metrics, "tickets_evicted_total") == 12
    assert value(metrics, "buckets_closed_total") == 14
    assert value(metrics, "events_rejected_total", reason="future_event") == 2
    assert value(metrics, "events_dead_lettered_total") == 2


def test_alerts_are_counted_by_kind_severity_and_reason() -> None:
    metrics = fresh()
    metrics.apply(
        Effects(
            alerts=[
                alert("surge", "warning", "opened"),
                alert("surge", "warning", "updated"),
                alert("surge", "resolved", "recovered"),
                alert("silence", "warning", "opened"),
            ]
        )
    )

    def counted(kind: str, severity: str, reason: str) -> float | None:
        return value(metrics, "alerts_total", kind=kind, severity=severity, reason=reason)

    assert counted("surge", "warning", "opened") == 1
    assert counted("surge", "warning", "updated") == 1
    assert counted("surge", "resolved", "recovered") == 1
    assert counted("silence", "warning", "opened") == 1
    assert counted("silence", "critical", "escalated") == 0


def test_what_may_happen_stands_at_zero_before_it_does() -> None:
    metrics = fresh()
    metrics.apply(Effects(consumed={"tickets": 1}))

    for reason in Reason:
        assert value(metrics, "events_rejected_total", reason=reason.value) == 0
    assert value(metrics, "events_late_total", topic="tickets") == 0
    assert value(metrics, "events_duplicate_total", topic="tickets") == 0
    assert value(metrics, "active_alerts", severity="critical") == 0
    assert value(metrics, "label_overflow_total", label="channel") == 0


counts = st.dictionaries(st.sampled_from(["a", "b", "other"]), st.integers(0, 9))
steps = st.builds(
    Effects,
    consumed=counts,
    late=counts,
    duplicates=counts,
    misrouted=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), max_size=1),
    evicted=st.integers(0, 9),
    buckets=st.integers(0, 9),
    rejections=st.lists(st.sampled_from(Reason).map(lambda r: Rejection(RECORD, r, ""))),
    points=st.lists(st.sampled_from("abcdef").map(lambda c: point(channel=c)), max_size=5),
)


@given(st.lists(steps, max_size=4))
def test_however_effects_are_split_the_counters_are_the_same(parts: list[Effects]) -> None:
    by_step, by_field = fresh(3), fresh(3)
    for part in parts:
        by_step.apply(part)
        for name in Effects.__struct_fields__:
            by_field.apply(Effects(**{name: getattr(part, name)}))

    assert samples(by_step) == samples(by_field)


def test_series_show_their_newest_bucket() -> None:
    metrics = fresh()
    metrics.apply(Effects(points=[point(observed=1.0), point(observed=2.0)]))
    metrics.apply(Effects(points=[point(observed=3.0)]))

    labels = {"service": "shop", "channel": "voice", "series": "tickets.opened"}
    shown = {
        name: value(metrics, f"series_{name}", **labels)
        for name in ("observed", "expected", "lower", "upper", "score", "evidence")
    }
    assert shown == {
        "observed": 3.0,
        "expected": 4.0,
        "lower": 1.0,
        "upper": 9.0,
        "score": 0.25,
        "evidence": 0.5,
    }


def test_a_series_that_warms_up_again_shows_only_what_was_observed() -> None:
    metrics = fresh()
    metrics.apply(Effects(points=[point()]))
    metrics.apply(Effects(points=[SeriesPoint("shop", "voice", "tickets.opened", 0.0, 5.0)]))

    names = {name for name, _ in samples(metrics) if name.startswith("ruptura_series")}
    assert names == {"ruptura_series_observed"}


def test_a_bucket_in_which_nothing_was_measured_shows_no_value_but_the_expectation() -> None:
    metrics = fresh()
    metrics.apply(Effects(points=[point()]))
    metrics.apply(Effects(points=[point(observed=None)]))

    labels = {"service": "shop", "channel": "voice", "series": "tickets.opened"}
    assert value(metrics, "series_observed", **labels) is None
    assert value(metrics, "series_expected", **labels) == 4.0


def test_a_channel_is_in_exactly_one_state() -> None:
    metrics = fresh()
    metrics.apply(
        Effects(channels=[risk(state="warning"), risk(probability=0.99, state="critical")])
    )

    labels = {"service": "shop", "channel": "voice"}
    states = {
        state: value(metrics, "channel_state", **labels, state=state)
        for state in ("warming_up", "normal", "warning", "critical")
    }
    assert states == {"warming_up": 0, "normal": 0, "warning": 0, "critical": 1}
    assert value(metrics, "channel_risk", **labels) == 0.99


def test_active_alerts_rise_and_fall_with_the_states_of_channels() -> None:
    metrics = fresh(max_channels=1)  # active alerts are counted beyond the cap, too
    metrics.apply(
        Effects(channels=[risk("a", 0.6, "warning"), risk("b", 0.7, "warning"), risk("c")])
    )
    assert value(metrics, "active_alerts", severity="warning") == 2

    metrics.apply(Effects(channels=[risk("b", 0.99, "critical")]))
    assert value(metrics, "active_alerts", severity="warning") == 1
    assert value(metrics, "active_alerts", severity="critical") == 1

    metrics.apply(Effects(channels=[risk("a", 0.01, "normal")], gone=[("shop", "b")]))
    assert value(metrics, "active_alerts", severity="warning") == 0
    assert value(metrics, "active_alerts", severity="critical") == 0


def test_a_forecast_is_shown_while_there_is_one() -> None:
    metrics = fresh()
    labels = {"service": "shop", "channel": "voice"}
    ahead = ChannelPoint("shop", "voice", 120.0, 0.6, "warning", 0.6, 480.0)
    metrics.apply(Effects(channels=[ahead]))
    assert value(metrics, "breach_probability", **labels) == 0.6
    assert value(metrics, "expected_breach_seconds", **labels) == 480.0

    far = ChannelPoint("shop", "voice", 180.0, 0.1, "normal", 0.1, None)
    metrics.apply(Effects(channels=[far]))
    assert value(metrics, "breach_probability", **labels) == 0.1
    assert value(metrics, "expected_breach_seconds", **labels) is None

    metrics.apply(Effects(channels=[risk()]))
    assert value(metrics, "breach_probability", **labels) is None


def channels_shown(metrics: Metrics) -> set[str]:
    return {channel for _, labels in samples(metrics) if (channel := dict(labels).get("channel"))}


def test_a_channel_that_is_gone_disappears_and_makes_room() -> None:
    metrics = fresh(max_channels=1)
    metrics.apply(Effects(points=[point(channel="a")], channels=[risk("a")]))
    assert channels_shown(metrics) == {"a"}

    metrics.apply(Effects(gone=[("shop", "a"), ("shop", "never seen")]))
    assert channels_shown(metrics) == set()

    metrics.apply(Effects(points=[point(channel="b")], channels=[risk("b")]))
    assert channels_shown(metrics) == {"b"}


def test_a_channel_that_goes_in_the_step_of_its_last_bucket_does_not_stay() -> None:
    metrics = fresh()
    metrics.apply(
        Effects(points=[point()], channels=[risk(state="warning")], gone=[("shop", "voice")])
    )

    assert channels_shown(metrics) == set()
    assert value(metrics, "active_alerts", severity="warning") == 0


def test_channels_beyond_the_cap_have_no_gauges_and_are_counted() -> None:
    metrics = fresh(max_channels=2)
    names = [f"c{index}" for index in range(5)]
    for _ in range(3):
        metrics.apply(
            Effects(points=[point(channel=c) for c in names], channels=[risk(c) for c in names])
        )

    assert channels_shown(metrics) == {"c0", "c1"}
    assert value(metrics, "label_overflow_total", label="channel") == 3 * (3 + 3)


def test_topics_and_services_beyond_the_cap_share_other_and_lose_no_count() -> None:
    metrics = fresh(max_channels=2)
    metrics.apply(Effects(consumed={f"t{index}": 2 for index in range(MAX_TOPICS + 3)}))
    metrics.apply(Effects(misrouted={"a": 1, "b": 2, "c": 3, "d": 4}))
    metrics.apply(Effects(misrouted={"a": 1, "d": 1}))

    assert value(metrics, "events_consumed_total", topic="other") == 6
    assert value(metrics, "label_overflow_total", label="topic") == 6
    assert value(metrics, "events_misrouted_total", service="a") == 2
    assert value(metrics, "events_misrouted_total", service="other") == 8
    assert value(metrics, "label_overflow_total", label="service") == 8


def test_the_newest_event_time_never_goes_back() -> None:
    metrics = fresh()
    metrics.apply(Effects(event_times={("tickets", 0): 1000.5, ("tickets", 1): 900.0}))
    metrics.apply(Effects(event_times={("tickets", 0): 990.0}))

    name = "newest_event_timestamp_seconds"
    assert value(metrics, name, topic="tickets", partition="0") == 1000.5
    assert value(metrics, name, topic="tickets", partition="1") == 900.0


def test_lag_is_shown_once_the_time_was_told() -> None:
    metrics = fresh()
    metrics.apply(Effects(event_times={("tickets", 0): 1000.0}))
    assert value(metrics, "event_time_lag_seconds", topic="tickets", partition="0") is None

    metrics.observe_lag(1007.5)
    assert value(metrics, "event_time_lag_seconds", topic="tickets", partition="0") == 7.5


def test_what_another_worker_owns_now_is_not_shown() -> None:
    metrics = fresh()
    metrics.apply(Effects(points=[point()], event_times={("tickets", 0): 1.0}))
    metrics.observe_lag(2.0)

    metrics.forget([("shop", "voice")])
    metrics.forget_source("tickets", 0)

    assert channels_shown(metrics) == set()
    assert not {labels for name, labels in samples(metrics) if dict(labels).get("partition")}


def test_processing_is_a_cumulative_histogram_of_batches() -> None:
    metrics = fresh()
    metrics.observe_processing(0.001, 10)
    metrics.observe_processing(0.0011, 500)
    metrics.observe_processing(60.0, 0)

    name = "batch_processing_seconds"
    assert value(metrics, f"{name}_bucket", le="0.0005") == 0
    assert value(metrics, f"{name}_bucket", le="0.001") == 1
    assert value(metrics, f"{name}_bucket", le="0.005") == 2
    assert value(metrics, f"{name}_bucket", le="5.0") == 2
    assert value(metrics, f"{name}_bucket", le="+Inf") == 3
    assert value(metrics, f"{name}_count") == 3
    assert value(metrics, f"{name}_sum") == pytest.approx(60.0021)
    assert value(metrics, "batch_records_sum") == 510
    assert value(metrics, "batch_records_bucket", le="10.0") == 2


def test_jumps_of_offsets_are_counted_by_topic() -> None:
    metrics = fresh()
    for topic in ("tickets", "tickets", "channel-metrics"):
        metrics.jumped(topic)
    assert value(metrics, "offset_jumps_total", topic="tickets") == 2
    assert value(metrics, "offset_jumps_total", topic="channel-metrics") == 1


def test_refused_state_stands_at_zero_and_adds_up_by_reason() -> None:
    metrics = fresh()
    for reason in ("unfit", "outdated", "foreign"):
        assert value(metrics, "state_entries_refused_total", reason=reason) == 0
    metrics.state_refused("outdated", 3)
    metrics.state_refused("outdated", 2)
    metrics.state_refused("foreign", 0)
    assert value(metrics, "state_entries_refused_total", reason="outdated") == 5
    assert value(metrics, "state_entries_refused_total", reason="foreign") == 0


def test_the_build_is_told() -> None:
    labels = {"version": __version__, "python": platform.python_version()}

    assert value(fresh(), "build_info", **labels) == 1


def test_labels_may_hold_any_text() -> None:
    nasty = 'a"b\\c\nd\u2028é{}=,#'
    metrics = fresh()
    metrics.apply(Effects(points=[point(channel=nasty)]))

    assert channels_shown(metrics) == {nasty}


def test_every_name_is_ours_and_has_a_help_text_of_its_own() -> None:
    families = list(text_string_to_metric_families(busy().render().decode()))

    assert len(families) > 20
    assert all(family.name.startswith("ruptura_") for family in families)
    texts = [family.documentation for family in families]
    assert all(text.endswith(".") for text in texts)
    assert len(set(texts)) == len(texts)


def busy() -> Metrics:
    metrics = fresh()
    metrics.apply(
        Effects(
            consumed={"tickets": 1},
            misrouted={"shop": 1},
            points=[point()],
            channels=[risk()],
            alerts=[alert("surge", "warning", "opened")],
            event_times={("tickets", 0): 1.0},
        )
    )
    metrics.observe_lag(2.0)
    metrics.observe_processing(0.1, 1)
    return metrics


@pytest.mark.integration
def test_promtool_finds_no_fault() -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool (of Prometheus) must be on PATH"

    check = subprocess.run(
        [promtool, "check", "metrics"], input=busy().render(), capture_output=True, check=False
    )

    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")


def test_an_open_alert_is_told_of_even_where_its_channel_has_no_gauges_of_its_own() -> None:
    metrics = fresh(max_channels=1)
    alert = OpenAlert("a-1", "i-1", "primary", "critical", "surge", None, [], [])
    told = ChannelPoint("shop", "voice", 120.0, 0.99, "critical", alert=alert)
    metrics.apply(Effects(channels=[risk("chat"), told]))
    assert value(metrics, "channel_risk", service="shop", channel="voice") is None
    assert [labels["alert_id"] for labels in infos(metrics)] == ["a-1"]

    metrics.apply(Effects(channels=[msgspec.structs.replace(told, state="normal", alert=None)]))
    assert infos(metrics) == []


def infos(metrics: Metrics) -> list[dict[str, str]]:
    return [dict(labels) for name, labels in samples(metrics) if name == "ruptura_alert_info"]
