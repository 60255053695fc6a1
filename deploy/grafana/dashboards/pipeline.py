"""Whether Ruptura itself is well: rates, lag, checkpoints, latency, what was refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models import common as styles
from grafana_foundation_sdk.models import dashboard as model

from dashboards.addresses import JOB, PIPELINE
from dashboards.frame import frame, runbook_link, several, values
from dashboards.panels import (
    GREEN,
    RED,
    dashed_thresholds,
    lines,
    number,
    numbered,
    row,
    thresholds,
)

_WORKER: Final = f'job="{JOB}", instance=~"$instance"'
_NEVER: Final = {
    "misrouted events": "ruptura_events_misrouted_total",
    "jumps of offsets": "ruptura_offset_jumps_total",
    "state entries refused": "ruptura_state_entries_refused_total",
    "tickets forgotten": "ruptura_tickets_evicted_total",
    "labels over the cap": "ruptura_label_overflow_total",
    "sends that failed": "ruptura_faust_send_errors_total",
}


def dashboard() -> model.Dashboard:
    """Build it."""
    begun = frame(PIPELINE, "Whether the workers keep up, and what they refused.").with_variable(
        several(values("instance", "Worker", "Workers to show.", f'up{{job="{JOB}"}}'))
    )
    for alert in ("RupturaWorkerAbsent", "RupturaLag", "RupturaDeadLetters"):
        begun.link(runbook_link(alert))
    for top in _now():
        begun.with_panel(top)
    for title, panels in (
        ("Throughput and lag", _flow()),
        ("Heartbeats and checkpoints", _beats()),
        ("What was refused", _refused()),
        ("Resources and alerts", _resources()),
    ):
        begun.with_row(row(title))
        for panel in panels:
            begun.with_panel(panel)
    return numbered(begun.build())


def _rate(metric: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) (rate({metric}{{{_WORKER}}}[$__rate_interval]))"


def _increase(metric: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) (increase({metric}{{{_WORKER}}}[$__rate_interval]))"


def _now() -> Iterator[stat.Panel]:
    yield number(
        "Workers up",
        "Workers that Prometheus reaches.",
        "short",
        f"sum(up{{{_WORKER}}})",
    ).thresholds(thresholds((None, RED), (1, GREEN)))
    yield number(
        "Kafka reachable",
        "1 while every worker reaches a broker.",
        "short",
        f"min(ruptura_worker_kafka_reachable{{{_WORKER}}})",
    ).thresholds(thresholds((None, RED), (1, GREEN)))
    yield number(
        "Partitions held",
        "Partitions of input topics that workers hold, their state restored.",
        "short",
        f"sum(ruptura_worker_partitions{{{_WORKER}}})",
    ).thresholds(thresholds((None, RED), (1, GREEN)))
    yield number(
        "Channels watched",
        "Channels with a risk of their own.",
        "short",
        f"count(max by (service, channel) (ruptura_channel_risk{{{_WORKER}}}))",
    ).thresholds(thresholds((None, GREEN)))
    yield number(
        "Saved state",
        "Saved state held by the workers, copies that stand by for others included.",
        "bytes",
        f"sum(ruptura_worker_state_bytes{{{_WORKER}}})",
    ).thresholds(thresholds((None, GREEN)))
    yield (
        number(
            "Version",
            "Versions of Ruptura that run; more than one during an upgrade only.",
            "short",
            f"count by (version) (ruptura_build_info{{{_WORKER}}})",
            legend="{{version}}",
        )
        .text_mode(styles.BigValueTextMode.NAME)
        .thresholds(thresholds((None, GREEN)))
    )


def _flow() -> Iterator[timeseries.Panel]:
    yield lines(
        "Events read",
        "Records read each second, by topic; refused ones too.",
        "reqps",
        {"{{topic}}": _rate("ruptura_events_consumed_total", "topic")},
    )
    yield lines(
        "Age of the newest event",
        "Clock less newest event time, by partition: how far what is judged lies behind.",
        "s",
        {
            "{{topic}} {{partition}}": "time() - max by (topic, partition) "
            f"(ruptura_newest_event_timestamp_seconds{{{_WORKER}}})"
        },
    )
    yield lines(
        "Records not yet committed",
        "End of each partition less the committed offset; grows where workers do not keep up.",
        "short",
        {
            "{{topic}} {{partition}}": "max by (topic, partition) "
            f"(ruptura_faust_end_offset{{{_WORKER}}}) - max by (topic, partition) "
            f"(ruptura_faust_committed_offset{{{_WORKER}}})"
        },
    )
    yield lines(
        "Buckets closed",
        "Buckets closed each second: none means that event time stands still.",
        "ops",
        {"{{instance}}": _rate("ruptura_buckets_closed_total", "instance")},
    )
    batch = "ruptura_batch_processing_seconds_bucket"
    yield lines(
        "Time to process a batch",
        "How long the engine took over a batch of records.",
        "s",
        {
            name: f"histogram_quantile({q}, {_rate(batch, 'le')})"
            for name, q in (("median", 0.5), ("99 %", 0.99))
        },
    )
    yield lines(
        "Records in a batch",
        "Mean size of the batches that the engine is fed.",
        "short",
        {
            "{{instance}}": f"{_rate('ruptura_batch_records_sum', 'instance')}"
            f" / {_rate('ruptura_batch_records_count', 'instance')}"
        },
    )


def _beats() -> Iterator[timeseries.Panel]:
    yield (
        lines(
            "Age of the heartbeats",
            "Time since a worker last stepped, heard of Kafka (poll), committed, took a "
            "checkpoint, was assigned partitions. Dashed: over 60 s a worker fails its health "
            "check (step 30 s, assignment 300 s).",
            "s",
            {
                "{{beat}} {{instance}}": "max by (beat, instance) "
                f"(ruptura_worker_beat_age_seconds{{{_WORKER}}})"
            },
        )
        .thresholds(thresholds((None, "transparent"), (60, RED)))
        .thresholds_style(dashed_thresholds())
    )
    yield lines(
        "Latency of Kafka",
        "Latest commit of offsets, latest acknowledged send, latest assignment of partitions.",
        "s",
        {
            f"{name} {{{{instance}}}}": "max by (instance) "
            f"(ruptura_faust_{name}_latency_seconds{{{_WORKER}}})"
            for name in ("commit", "send", "assignment")
        },
    )
    yield lines(
        "Rebalances",
        "Rebalances of the consumer group; each stops the workers for a moment.",
        "short",
        {"{{instance}}": f"sum by (instance) (ruptura_faust_rebalances_total{{{_WORKER}}})"},
    )
    yield lines(
        "Writes",
        "Messages that workers send: checkpoints, alerts, dead letters.",
        "wps",
        {"{{instance}}": _rate("ruptura_faust_messages_sent_total", "instance")},
    )


def _refused() -> Iterator[timeseries.Panel]:
    yield lines(
        "Refused records, by reason",
        "Records that were no valid events; they go to the dead-letter topic.",
        "short",
        {"{{reason}}": _increase("ruptura_events_rejected_total", "reason")},
    )
    yield lines(
        "Dead letters",
        "Refused records that the dead-letter topic acknowledged.",
        "short",
        {"{{instance}}": _increase("ruptura_events_dead_lettered_total", "instance")},
    )
    yield lines(
        "Late events",
        "Share of the events that came after their bucket was closed; they are not applied.",
        "percentunit",
        {
            "{{topic}}": f"{_rate('ruptura_events_late_total', 'topic')}"
            f" / {_rate('ruptura_events_consumed_total', 'topic')}"
        },
    ).min(0)
    yield lines(
        "Duplicates",
        "Share of the events whose event_id was seen before; they are not applied.",
        "percentunit",
        {
            "{{topic}}": f"{_rate('ruptura_events_duplicate_total', 'topic')}"
            f" / {_rate('ruptura_events_consumed_total', 'topic')}"
        },
    ).min(0)
    yield (
        lines(
            "What should not happen",
            "Counts since the workers started, each 0 in a healthy installation: events under a "
            "key that is not their service, offsets that jumped, state that was refused, "
            "tickets forgotten, labels over the cap, sends that failed.",
            "short",
            {name: f"sum({metric}{{{_WORKER}}}) or vector(0)" for name, metric in _NEVER.items()},
            width=24,
        )
        .min(0)
        .axis_soft_max(1)
    )


def _resources() -> Iterator[timeseries.Panel]:
    yield lines(
        "Memory",
        "Resident memory of each worker.",
        "bytes",
        {"{{instance}}": f"max by (instance) (process_resident_memory_bytes{{{_WORKER}}})"},
    ).min(0)
    yield lines(
        "Processor",
        "Cores that each worker uses; it can use one.",
        "short",
        {"{{instance}}": _rate("process_cpu_seconds_total", "instance")},
    ).min(0)
    yield lines(
        "Alert documents",
        "Documents sent to the alerts topic, by what changed.",
        "short",
        {"{{severity}} {{reason}}": _increase("ruptura_alerts_total", "severity", "reason")},
    )
    yield lines(
        "Channels in alert",
        "Channels with an open alert, by severity.",
        "short",
        {"{{severity}}": f"sum by (severity) (ruptura_active_alerts{{{_WORKER}}})"},
    )
