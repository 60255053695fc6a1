"""The lifecycle around the risk of a channel: (state, risk, now) to a transition with a reason."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from ruptura.core import wording
from ruptura.core.document import (
    Action,
    Alert,
    AlertSignal,
    Cause,
    Kind,
    Probability,
    Status,
    TransitionReason,
)
from ruptura.core.event import ExceptionKind
from ruptura.core.risk import Risk
from ruptura.core.tuning import AlertTuning, Moment, Tally, are_finite

NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:ruptura:alert")
"""Namespace of alert ids (RFC 9562, 5.5)."""

_RISK_STEP: Final = 0.2
"""A change of the risk that is worth an update."""

_EXCEPTIONS: Final[dict[str, ExceptionKind]] = {
    "tickets.exceptions_product": "product",
    "tickets.exceptions_service": "service",
    "tickets.exceptions_policy": "policy",
}


class Lifecycle(msgspec.Struct, array_like=True):
    """Where the alert of a channel stands.

    Attributes:
        status: None while no alert is open.
        over, urgent, healthy: Buckets in a row with the risk over the thresholds, and of health.
        onset: Start of the first bucket over the warning threshold, seconds since the epoch.
        sequence: Of the next document.
        told_at, told_risk: Time and risk of the last document.
        kind: The family that the alert was opened for, or has turned to.
        severity: The worst status told; a resolution repeats it, or labels would not match.
        signals, causes: The latest explanation; a resolution repeats it.
    """

    status: Status | None = None
    over: Tally = 0
    urgent: Tally = 0
    healthy: Tally = 0
    onset: Moment = 0.0
    sequence: Tally = 0
    told_at: Moment = 0.0
    told_risk: Probability = 0.0
    kind: Kind = "failure"
    severity: Status = "warning"
    signals: list[AlertSignal] = []
    causes: list[Cause] = []

    def check(self) -> None:
        """Raise ValueError if the explanation holds numbers that cannot be published."""
        numbers = [cause.contribution for cause in self.causes]
        for signal in self.signals:
            numbers += (signal.expected, signal.lower, signal.upper, signal.observed or 0.0)
        if not are_finite(numbers):
            raise ValueError("an alert with numbers that are none")


class Transition(msgspec.Struct, frozen=True, gc=False):
    """A document is due, and this is why."""

    status: Status
    reason: TransitionReason


def advance(  # noqa: C901, PLR0911  # each return is a transition with its reason
    state: Lifecycle,
    risk: Risk,
    start: float,
    end: float,
    *,
    healthy: bool | None,
    tuning: AlertTuning,
) -> Transition | None:
    """Move the lifecycle on by one bucket.

    Args:
        state: Changed in place.
        risk: After the bucket.
        start, end: Of the bucket, in seconds since the Unix epoch.
        healthy: Whether the bucket held evidence of health; None where what is blamed was not
            measured, which is evidence of nothing.
        tuning: Thresholds and durations.
    """
    p = risk.probability
    # One measurement is counted once, however long it stands.
    signals = risk.signals
    news = 1 if signals and any(signal.point.start == start for signal in signals) else 0
    if p >= tuning.warning_risk:
        if state.over == 0 and state.status is None:
            state.onset = start
        state.over += news
    else:
        state.over = 0
    state.urgent = state.urgent + news if p >= tuning.critical_risk else 0
    if p >= tuning.resolve_risk or healthy is False:
        state.healthy = 0
    elif healthy:
        state.healthy += 1
    if state.status is None:
        if state.over < tuning.open_buckets:
            return None
        _explain(state, risk)
        state.kind = risk.kind or state.kind
        return _tell(
            state,
            "critical" if state.urgent >= tuning.open_buckets else "warning",
            "opened",
            p,
            end,
        )
    if state.healthy >= tuning.resolve_buckets:
        return _tell(state, "resolved", "recovered", p, end)
    if p < tuning.warning_risk:
        return None
    turned = risk.kind is not None and risk.kind != state.kind
    _explain(state, risk)
    if state.status == "warning" and state.urgent >= tuning.open_buckets:
        state.kind = risk.kind or state.kind
        return _tell(state, "critical", "escalated", p, end)
    if end - state.told_at >= tuning.update_seconds and (
        turned or abs(p - state.told_risk) >= _RISK_STEP
    ):
        state.kind = risk.kind or state.kind
        return _tell(state, state.status, "updated", p, end)
    return None


def expire(state: Lifecycle, end: float) -> Transition | None:
    """End the alert of a channel that is taken to be gone."""
    if state.status is None:
        return None
    return _tell(state, "resolved", "expired", state.told_risk, end)


def _explain(state: Lifecycle, risk: Risk) -> None:
    state.causes = list(risk.causes)
    state.signals = [
        AlertSignal(
            series=signal.series,
            direction=signal.direction,
            observed=signal.point.observed,
            expected=signal.point.expected or 0.0,
            lower=signal.point.lower or 0.0,
            upper=signal.point.upper or 0.0,
            score=signal.probability,
            since=instant(signal.since),
        )
        for signal in risk.signals
    ]


def _tell(
    state: Lifecycle, status: Status, reason: TransitionReason, p: float, end: float
) -> Transition:
    state.status = status
    if status != "resolved":
        state.severity = status
    state.told_at, state.told_risk = end, p
    return Transition(status, reason)


def document(
    state: Lifecycle,
    transition: Transition,
    service: str,
    channel: str,
    plan: Mapping[str, Sequence[Action]],
) -> Alert:
    """Write the alert document of a transition, and move the lifecycle past it.

    Args:
        state: Changed in place: the sequence grows, and a resolution clears it.
        transition: What happened.
        service, channel: Whose alert it is.
        plan: Actions of the contingency plan by kind of alert.
    """
    started_at = instant(state.onset)
    updated_at = instant(state.told_at)
    resolved = transition.status == "resolved"
    alert = Alert(
        alert_id=str(
            uuid.uuid5(NAMESPACE, "\x1f".join((service, channel, started_at.isoformat())))
        ),
        sequence=state.sequence,
        status=transition.status,
        reason=transition.reason,
        service=service,
        channel=channel,
        kind=state.kind,
        risk=state.told_risk,
        started_at=started_at,
        updated_at=updated_at,
        ended_at=updated_at if resolved else None,
        signals=state.signals,
        causes=state.causes,
        exception=next(
            (_EXCEPTIONS[s.series] for s in state.signals if s.series in _EXCEPTIONS), None
        ),
        actions=list(plan.get(state.kind, ())),
        message=wording.draft(state.kind, transition.status, service, channel),
        labels={
            "alertname": "Ruptura",
            "service": service,
            "channel": channel,
            "severity": state.severity,
        },
    )
    if resolved:
        state.status = None
        state.over = state.urgent = state.healthy = state.sequence = 0
        state.signals, state.causes = [], []
    else:
        state.sequence += 1
    return alert


def instant(seconds: float) -> datetime:
    """Return a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
