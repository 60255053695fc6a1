"""The alert document: the facts of an alert, with their texts."""

from __future__ import annotations

from ruptura.core.contracts.document import Alert, Cause
from ruptura.core.contracts.facts import AlertFacts
from ruptura.outputs.texts.causes import sentence
from ruptura.outputs.texts.drafts import draft


def alert_document(facts: AlertFacts) -> Alert:
    """Return the document that every sink writes of an alert."""
    return Alert(
        alert_id=facts.alert_id,
        incident_id=facts.incident_id,
        sequence=facts.sequence,
        status=facts.status,
        reason=facts.reason,
        service=facts.service,
        channel=facts.channel,
        kind=facts.kind,
        risk=facts.risk,
        started_at=facts.started_at,
        updated_at=facts.updated_at,
        ended_at=facts.ended_at,
        expected_breach_at=facts.expected_breach_at,
        signals=list(facts.signals),
        causes=[Cause(term.code, term.contribution, sentence(term.facts)) for term in facts.causes],
        exception=facts.exception,
        actions=list(facts.actions),
        message=draft(facts.kind, facts.status, facts.service, facts.channel),
        labels=facts.labels,
    )
