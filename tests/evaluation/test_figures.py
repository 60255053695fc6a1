"""Figures that can be worked out by hand."""

from __future__ import annotations

import msgspec
import pytest

from ruptura.evaluation.figures import figures, lead
from ruptura.evaluation.matching import judge
from tests.evaluation.labelled_days import CREEPING, LATE, NOISY, PERFECT, SUDDEN, labels


def test_a_perfect_stream() -> None:
    found = figures([judge(PERFECT, labels())])
    assert (found.recall, found.precision, found.false_alarms) == (1.0, 1.0, 0)
    assert found.false_alarms_per_channel_week == 0.0
    # Ten minutes after onset is 50 before the breach; one minute after is one before.
    assert found.lead_median_seconds == pytest.approx((50 + 1) / 2 * 60)
    assert found.lead_p10_seconds == pytest.approx((1 + 0.1 * 49) * 60)
    assert found.detect_median_seconds == pytest.approx((10 + 1) / 2 * 60)
    assert (found.gradual, found.gradual_early) == (1, 1.0)
    assert (found.pages_on_quiet, found.quiet) == (0, 1)


def test_an_empty_stream() -> None:
    found = figures([judge((), labels())])
    assert (found.recall, found.precision, found.found, found.ruptures) == (0.0, None, 0, 2)
    assert found.lead_median_seconds is None
    assert found.lead_p10_seconds is None
    assert found.detect_median_seconds is None
    assert (found.gradual, found.gradual_early) == (1, 0.0)
    assert found.false_alarms_per_channel_week == 0.0


def test_a_late_stream_finds_all_and_warns_of_nothing() -> None:
    found = figures([judge(LATE, labels())])
    assert (found.recall, found.precision) == (1.0, 1.0)
    assert found.lead_median_seconds == pytest.approx((-10 - 28) / 2 * 60)
    assert found.gradual_early == 0.0


def test_a_noisy_stream() -> None:
    verdict = judge(NOISY, labels())
    found = figures([verdict])
    assert found.recall == 0.5
    assert found.precision == pytest.approx(1 / 6)
    assert found.false_alarms == 5
    assert found.false_alarms_per_channel_week == pytest.approx(5 / verdict.channel_weeks)
    assert found.lead_median_seconds == pytest.approx(20 * 60)
    assert found.gradual_early == 1.0
    assert (found.pages_on_quiet, found.repeated) == (1, 1)


def test_verdicts_add_up_rupture_by_rupture() -> None:
    both = figures([judge(PERFECT, labels()), judge(NOISY, labels(CREEPING))])
    assert (both.found, both.ruptures, both.recall) == (3, 3, 1.0)
    # Without the outage's label nothing changes for a page on `app`, which was false before.
    assert both.precision == pytest.approx(3 / 8)


def test_a_page_exactly_five_minutes_before_the_breach_is_early_enough() -> None:
    at = CREEPING.breach
    assert at is not None
    for seconds, share in ((300.0, 1.0), (299.0, 0.0)):
        told = msgspec.structs.replace(PERFECT[0], at=at.timestamp() - seconds)
        assert figures([judge([told], labels(CREEPING))]).gradual_early == share


def test_a_gradual_rupture_that_nobody_felt_has_no_lead() -> None:
    unfelt = msgspec.structs.replace(CREEPING, breach=None)
    verdict = judge(PERFECT, labels(unfelt, SUDDEN))
    assert lead(verdict.ruptures[0]) is None
    found = figures([verdict])
    assert (found.recall, found.gradual, found.gradual_early) == (1.0, 0, None)
    assert found.lead_median_seconds == pytest.approx(60.0)


def test_nothing_at_all_has_no_figures_to_divide() -> None:
    found = figures([])
    assert (found.recall, found.precision, found.false_alarms_per_channel_week) == (None,) * 3
