"""Open alerts to Prometheus gauges: which there are, what they are about, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from ruptura.core.contracts.effects import OpenAlert
from ruptura.outputs.texts.explanation import LANGUAGES, explain


def alert_gauges(opened: Iterable[tuple[tuple[str, str], OpenAlert]]) -> Iterator[Metric]:
    """Yield what an alerting rule needs: which alerts are open, and why.

    Args:
        opened: The open alerts, by service and channel.
    """
    labels = ["service", "channel"]
    info = GaugeMetricFamily(
        "ruptura_alert_info",
        "1 for each open alert; absent when it has ended.",
        labels=[
            *labels,
            *("severity", "kind", "exception", "alert_id", "incident_id", "incident_role"),
        ],
    )
    why = GaugeMetricFamily(
        "ruptura_alert_explanation_info",
        "1 for each open alert and language; what is seen, in words.",
        labels=[*labels, "language", "text"],
    )
    causes = GaugeMetricFamily(
        "ruptura_alert_cause_log_odds",
        "Terms of the risk of each open alert, in natural log-odds; they add up to its logit.",
        labels=[*labels, "cause"],
    )
    for channel, alert in opened:
        identity = (alert.kind, alert.exception or "", alert.alert_id, alert.incident_id)
        info.add_metric((*channel, alert.severity, *identity, alert.incident_role), 1)
        for language in LANGUAGES:
            text = explain(alert.signals, alert.causes, language)
            why.add_metric((*channel, language, text), 1)
        terms: dict[str, float] = {}
        for cause in alert.causes:
            terms[cause.code] = terms.get(cause.code, 0.0) + cause.contribution
        for code, contribution in terms.items():
            causes.add_metric((*channel, code), contribution)
    yield info
    yield why
    yield causes
