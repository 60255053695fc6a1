"""Drafts of what to tell customers, by kind of alert, in Brazilian Portuguese and English."""

from __future__ import annotations

from typing import Final

from ruptura.core.contracts.document import Kind, Message, Status

_OPEN: Final[dict[Kind, tuple[str, str]]] = {
    "surge": (
        "Estamos recebendo mais contatos do que o habitual em {channel} ({service}). O atendimento "
        "pode demorar mais. Se puder, tente outro canal ou volte mais tarde.",
        "We are receiving more contacts than usual on {channel} ({service}). Answers may take "
        "longer. If you can, try another channel or come back later.",
    ),
    "failure": (
        "Estamos com instabilidade em {channel} ({service}). Nossa equipe já está trabalhando na "
        "solução. Seu pedido está registrado e não será perdido.",
        "We are having trouble with {channel} ({service}). Our team is already working on it. "
        "Your request is on record and will not be lost.",
    ),
    "silence": (
        "O canal {channel} ({service}) pode estar fora do ar. Enquanto verificamos, use outro "
        "canal de atendimento.",
        "The channel {channel} ({service}) may be down. While we look into it, please use another "
        "channel.",
    ),
    "forecast": (
        "O tempo de espera em {channel} ({service}) deve aumentar nos próximos minutos.",
        "Waiting times on {channel} ({service}) are expected to grow in the next minutes.",
    ),
}
_OVER: Final = (
    "O atendimento em {channel} ({service}) voltou ao normal. Obrigado pela paciência.",
    "Service on {channel} ({service}) is back to normal. Thank you for your patience.",
)


def draft(kind: Kind, status: Status, service: str, channel: str) -> Message:
    """Return the draft for an alert; a person reads it before it is sent."""
    pt_br, en = _OVER if status == "resolved" else _OPEN[kind]
    return Message(
        pt_br=pt_br.format(service=service, channel=channel),
        en=en.format(service=service, channel=channel),
    )
