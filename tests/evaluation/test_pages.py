"""Only openings call a person."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from ruptura.core.contracts.document import Alert, TransitionReason
from ruptura.evaluation.pages import Page, openings


@pytest.fixture(scope="module")
def warning(root: Path) -> Alert:
    example = root / "schemas" / "examples" / "valid" / "alert.surge-warning.json"
    return msgspec.json.decode(example.read_bytes(), type=Alert)


def test_of_the_documents_of_an_alert_the_opening_alone_is_a_page(warning: Alert) -> None:
    reasons = get_args(TransitionReason)
    assert len(reasons) > 1
    told = [msgspec.structs.replace(warning, reason=reason) for reason in reasons]
    why = f"{warning.kind}: {warning.signals[0].series}"
    at = warning.updated_at.timestamp() + 30.0
    assert openings(told, 30.0) == [Page(warning.service, warning.channel, at, why)]


def test_an_alert_without_signals_is_named_by_its_kind(warning: Alert) -> None:
    bare = msgspec.structs.replace(warning, reason="opened", signals=[])
    assert [page.why for page in openings([bare], 0.0)] == [warning.kind]
