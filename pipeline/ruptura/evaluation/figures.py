"""The figures of many verdicts together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np

from ruptura.evaluation.matching import Judged, Verdict

EARLY_SECONDS: Final = 300.0
"""A gradual rupture is found early if its page came so long before the breach."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a table shows. None stands where there is nothing to divide by.

    Attributes:
        ruptures, found: Judged ruptures, and those that a page found.
        recall: Found over judged, in [0, 1].
        precision: Found ruptures over found ruptures and false alarms, in [0, 1]. Further pages of
            a rupture count as neither.
        false_alarms: Pages that belong to no rupture.
        channel_weeks: Weeks, added up over channels, in which they were possible.
        false_alarms_per_channel_week: Their ratio.
        lead_median_seconds, lead_p10_seconds: From page to breach over found ruptures that
            customers felt; negative where the page came after. 9 of 10 leads are longer than the
            10th percentile. Linear interpolation between the nearest two.
        detect_median_seconds, detect_p90_seconds: From onset to page over found ruptures.
        gradual: Gradual ruptures that customers felt.
        gradual_early: Share of those paged `EARLY_SECONDS` or more before the breach; missed
            ones count as not paged.
        quiet: Labelled non-events.
        pages_on_quiet: Pages on them.
        repeated: Further pages on a channel that had paged for the same rupture.
    """

    ruptures: int
    found: int
    recall: float | None
    precision: float | None
    false_alarms: int
    channel_weeks: float
    false_alarms_per_channel_week: float | None
    lead_median_seconds: float | None
    lead_p10_seconds: float | None
    detect_median_seconds: float | None
    detect_p90_seconds: float | None
    gradual: int
    gradual_early: float | None
    quiet: int
    pages_on_quiet: int
    repeated: int


def figures(verdicts: Iterable[Verdict]) -> Figures:
    """Add up verdicts; every rupture and every false alarm weighs alike."""
    verdicts = list(verdicts)
    ruptures = [rupture for verdict in verdicts for rupture in verdict.ruptures]
    found = [rupture for rupture in ruptures if rupture.told is not None]
    false_alarms = sum(len(verdict.false_alarms) for verdict in verdicts)
    weeks = sum(verdict.channel_weeks for verdict in verdicts)
    leads = [seconds for rupture in found if (seconds := lead(rupture)) is not None]
    delays = [rupture.told - rupture.onset for rupture in found if rupture.told is not None]
    gradual = [rupture for rupture in ruptures if rupture.is_gradual and rupture.breach is not None]
    early = sum((lead(rupture) or 0.0) >= EARLY_SECONDS for rupture in gradual)
    return Figures(
        ruptures=len(ruptures),
        found=len(found),
        recall=_ratio(len(found), len(ruptures)),
        precision=_ratio(len(found), len(found) + false_alarms),
        false_alarms=false_alarms,
        channel_weeks=weeks,
        false_alarms_per_channel_week=_ratio(false_alarms, weeks),
        lead_median_seconds=_percentile(leads, 50),
        lead_p10_seconds=_percentile(leads, 10),
        detect_median_seconds=_percentile(delays, 50),
        detect_p90_seconds=_percentile(delays, 90),
        gradual=len(gradual),
        gradual_early=_ratio(early, len(gradual)),
        quiet=sum(verdict.quiet for verdict in verdicts),
        pages_on_quiet=sum(len(verdict.on_quiet) for verdict in verdicts),
        repeated=sum(verdict.repeated for verdict in verdicts),
    )


def lead(rupture: Judged) -> float | None:
    """Return the seconds from the page to the breach; None where one of them is not."""
    if rupture.told is None or rupture.breach is None:
        return None
    return rupture.breach - rupture.told


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None
