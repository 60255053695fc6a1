"""The lifecycle around the risk of a channel: (state, risk, now) to a transition with a reason."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ruptura.core.contracts.document import (
    Action,
    AlertSignal,
    Kind,
    Probability,
    Status,
    TransitionReason,
)
from ruptura.core.contracts.effects import OpenAlert
from ruptura.core.contracts.event import ExceptionKind
from ruptura.core.contracts.facts import AlertFacts, Term
from ruptura.core.contracts.tuning import AlertTuning, Moment, Tally, are_finite
from ruptura.core.decide.risk import Risk
from ruptura.core.detect.channel_detectors import Health

VERSION: Final = 1
"""Of the state."""

NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:ruptura:alert")
INCIDENTS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:ruptura:incident")
"""Namespaces of the ids of alerts and incidents (RFC 9562, 5.5)."""

_RISK_STEP: Final = 0.2
"""A change of the risk that is worth an update."""

RELAPSE_SECONDS: Final = 3600.0
"""An alert that opens so soon after the last one is a relapse."""

_MOST_DOUBLINGS: Final = 3
"""How often relapses double the health in a row that ends an alert: to 2 h with the defaults."""


class Joined(msgspec.Struct, frozen=True, array_like=True):
    """That an alert is part of an incident which another one began.

    Attributes:
        incident_id: Of that incident.
        cause: Which alert it is, and why this one belongs to it; contributes nothing.
    """

    incident_id: Annotated[str, Meta(pattern=r"^[0-9a-f-]{36}$")]
    cause: Term


class Lifecycle(msgspec.Struct, array_like=True):
    """Where the alert of a channel stands.

    Attributes:
        status: None while no alert is open.
        over, urgent, healthy: Buckets in a row with the risk over the thresholds, and of health.
        onset: Start of the first bucket over the warning threshold, seconds since the epoch; ids
            are made of it, for no two alerts of a channel share it.
        sequence: Of the next document.
        last_notified_at, last_notified_risk: Time and risk of the last document.
        kind: The family that the alert was opened for, or has turned to.
        severity: The worst status published; a resolution repeats it, or labels would not match.
        signals, causes: The latest explanation; a resolution repeats it.
        joined: Set when the alert opened, if it is part of another's incident.
        breach_at: When a forecast expects the breach, as of the last document.
        resolved_at: When the last alert of the channel ended.
        relapses: Alerts that each opened soon after the one before them had ended.
        exception: Kind of the exceptions that the alert is about, as of the last document; it
            chooses who is notified, so once known it stays unless another one takes its place.
        started: When the deviations began that the causes named when the alert opened; None before
            the first alert.
    """

    status: Status | None = None
    over: Tally = 0
    urgent: Tally = 0
    healthy: Tally = 0
    onset: Moment = 0.0
    sequence: Tally = 0
    last_notified_at: Moment = 0.0
    last_notified_risk: Probability = 0.0
    kind: Kind = "failure"
    severity: Status = "warning"
    signals: list[AlertSignal] = []
    causes: list[Term] = []
    joined: Joined | None = None
    breach_at: Moment | None = None
    resolved_at: Moment = 0.0
    relapses: Tally = 0
    exception: ExceptionKind | None = None
    started: Moment | None = None

    def check(self) -> None:
        """Raise ValueError if the explanation holds numbers that cannot be published."""
        numbers = [cause.contribution for cause in self.causes]
        for signal in self.signals:
            numbers += (signal.expected, signal.lower, signal.upper, signal.observed or 0.0)
        if not are_finite(numbers):
            raise ValueError("an alert with numbers that are not finite")
        if self.joined is not None and (self.status is None or self.joined.cause.contribution):
            raise ValueError("an alert that joined an incident without being open, or with a term")


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
    health: Health,
    tuning: AlertTuning,
    breach_at: float | None = None,
) -> Transition | None:
    """Move the lifecycle on by one bucket.

    Args:
        state: Changed in place.
        risk: After the bucket.
        start, end: Of the bucket, in seconds since the Unix epoch.
        health: What the bucket says of what is blamed.
        tuning: Thresholds and durations.
        breach_at: When a forecast expects the breach, in seconds since the Unix epoch.
    """
    p = risk.probability
    # One measurement is counted once, however long it stands.
    signals = risk.signals
    is_new = any(signal.is_news for signal in signals)
    if p >= tuning.warning_risk:
        if state.over == 0 and state.status is None:
            state.onset = start
        state.over += is_new
    else:
        state.over = 0
    state.urgent = state.urgent + is_new if p >= tuning.critical_risk else 0
    if p >= tuning.resolve_risk or health == "unhealthy":
        state.healthy = 0
    elif health == "healthy":
        state.healthy += 1
    if state.status is None:
        if state.over < tuning.open_buckets:
            return None
        _explain(state, risk)
        # What the alert before this one covered is not covered again.
        state.started = max(state.onset if risk.began is None else risk.began, state.resolved_at)
        state.kind = risk.kind or state.kind
        state.relapses = state.relapses + 1 if end - state.resolved_at <= RELAPSE_SECONDS else 0
        return _transition(
            state,
            "critical" if state.urgent >= tuning.open_buckets else "warning",
            "opened",
            risk,
            end,
            breach_at,
        )
    # Damped as flapping routes are (RFC 2439): the more often it comes back, the longer the proof.
    if state.healthy >= tuning.resolve_buckets << min(state.relapses, _MOST_DOUBLINGS):
        return _transition(state, "resolved", "recovered", risk, end)
    if p < tuning.warning_risk:
        return None
    kind = _turned(state.kind, risk)
    _explain(state, risk)
    if state.status == "warning" and state.urgent >= tuning.open_buckets:
        state.kind = kind
        return _transition(state, "critical", "escalated", risk, end, breach_at)
    if end - state.last_notified_at >= tuning.update_seconds and (
        kind != state.kind or abs(p - state.last_notified_risk) >= _RISK_STEP
    ):
        state.kind = kind
        return _transition(state, state.status, "updated", risk, end, breach_at)
    return None


def _turned(kind: Kind, risk: Risk) -> Kind:
    """What an open alert is about now.

    It stays what it was while that is still to be seen, so that the plan on the desk stays the
    right one; but a broken supply explains too much demand, and what has come true a forecast.
    """
    dominant = risk.kind
    if dominant is None or dominant == kind:
        return kind
    if all(signal.kind != kind for signal in risk.signals):
        return dominant
    if kind == "forecast" or (kind == "surge" and dominant in ("failure", "silence")):
        return dominant
    return kind


def expire(state: Lifecycle, end: float) -> Transition | None:
    """End the alert of a channel that is taken to be gone."""
    if state.status is None:
        return None
    return _transition(state, "resolved", "expired", None, end)


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


def _transition(
    state: Lifecycle,
    status: Status,
    reason: TransitionReason,
    risk: Risk | None,
    end: float,
    breach_at: float | None = None,
) -> Transition:
    state.status = status
    if status != "resolved":
        state.severity = status
        state.exception = (risk.exception if risk is not None else None) or state.exception
    state.last_notified_at = end
    if risk is not None:
        state.last_notified_risk = risk.probability
    state.breach_at = breach_at
    return Transition(status, reason)


def alert_facts(
    state: Lifecycle,
    transition: Transition,
    service: str,
    channel: str,
    plan: Mapping[str, Sequence[Action]],
) -> AlertFacts:
    """Return the facts of the document of a transition, and move the lifecycle past it.

    Args:
        state: Changed in place: the sequence grows, and a resolution clears it.
        transition: What happened.
        service, channel: Whose alert it is.
        plan: Actions of the contingency plan by kind of alert.
    """
    updated_at = instant(state.last_notified_at)
    resolved = transition.status == "resolved"
    incident = incident_id(service, channel, state)
    alert = AlertFacts(
        alert_id=alert_id(service, channel, state),
        incident_id=incident,
        sequence=state.sequence,
        status=transition.status,
        reason=transition.reason,
        service=service,
        channel=channel,
        kind=state.kind,
        risk=state.last_notified_risk,
        started_at=started_at(state),
        updated_at=updated_at,
        ended_at=updated_at if resolved else None,
        expected_breach_at=None if state.breach_at is None else instant(state.breach_at),
        signals=state.signals,
        causes=_causes(state),
        exception=state.exception,
        actions=list(plan.get(state.kind, ())),
        labels={
            "alertname": "Ruptura",
            "service": service,
            "channel": channel,
            "severity": state.severity,
            "incident_id": incident,
            "incident_role": _role(state),
        },
    )
    if resolved:
        state.status = state.joined = None
        state.resolved_at = state.last_notified_at
        state.over = state.urgent = state.healthy = state.sequence = 0
        state.signals, state.causes = [], []
        state.exception = None
    else:
        state.sequence += 1
    return alert


def open_alert(state: Lifecycle, service: str, channel: str) -> OpenAlert | None:
    """Return the open alert of a channel as it stands; None without one."""
    if state.status is None or state.status == "resolved":
        return None
    return OpenAlert(
        alert_id(service, channel, state),
        incident_id(service, channel, state),
        _role(state),
        state.status,
        state.kind,
        state.exception,
        _causes(state),
        list(state.signals),
    )


def _causes(state: Lifecycle) -> list[Term]:
    return state.causes if state.joined is None else [*state.causes, state.joined.cause]


def _role(state: Lifecycle) -> str:
    return "primary" if state.joined is None else "joined"


def started_at(state: Lifecycle) -> datetime:
    """Return when what the alert is about began; it stays that for the alert's life."""
    return instant(state.onset if state.started is None else state.started)


def alert_id(service: str, channel: str, state: Lifecycle) -> str:
    """Return the id of the alert that a channel has now."""
    return _id(NAMESPACE, service, channel, state.onset)


def incident_id(service: str, channel: str, state: Lifecycle) -> str:
    """Return the id of the incident that the alert of a channel is part of.

    It is made of what the first alert's id is made of, the channel too: two alerts of one service
    that begin together, and that nothing links, are two incidents.
    """
    if state.joined is not None:
        return state.joined.incident_id
    return _id(INCIDENTS, service, channel, state.onset)


def _id(namespace: uuid.UUID, service: str, channel: str, onset: float) -> str:
    return str(uuid.uuid5(namespace, "\x1f".join((service, channel, instant(onset).isoformat()))))


def instant(seconds: float) -> datetime:
    """Return a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
