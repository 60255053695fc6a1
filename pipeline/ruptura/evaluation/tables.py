"""Figures as tables for people."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from ruptura.evaluation.figures import Figures
from ruptura.evaluation.labelled import Part, Scoring
from ruptura.evaluation.nab import PROFILES, Outcome

_NONE = "-"


def figures_table(title: str, rows: Mapping[str, Figures], heading: str = "detector") -> Table:
    """Return the figures of detectors, or of scenarios, one a row."""
    table = _table(
        title,
        heading,
        "found",
        "recall",
        "precision",
        "false",
        "a channel-week",
        "lead",
        "lead p10",
        "to detect",
        "early",
        "on quiet",
    )
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row.found}/{row.ruptures}" if row.ruptures else _NONE,
            _percent(row.recall),
            _percent(row.precision) if row.ruptures else _NONE,
            str(row.false_alarms),
            _number(row.false_alarms_per_channel_week),
            _minutes(row.lead_median_seconds),
            _minutes(row.lead_p10_seconds),
            _minutes(row.detect_median_seconds),
            f"{_percent(row.gradual_early)} of {row.gradual}" if row.gradual else _NONE,
            f"{row.pages_on_quiet} on {row.quiet}" if row.quiet else _NONE,
        )
    table.caption = (
        "Medians in minutes. Lead: from page to breach; to detect: from onset to page; "
        "early: gradual ruptures found 5 min or more before the breach."
    )
    return table


def labelled_table(title: str, rows: Mapping[str, Part]) -> Table:
    """Return the figures of detectors on labelled series, one row a part.

    First: the part that set the threshold; rest: the other part; unlabelled: series without any.
    """
    table = _table(
        title,
        "detector",
        "threshold",
        "part",
        "found",
        "recall",
        "precision",
        "F1",
        "F1 by point",
        "false runs",
        "per week",
    )
    for name, row in rows.items():
        parts = (("first", row.first), ("rest", row.rest), ("unlabelled", row.unlabelled))
        for part, scoring in parts:
            opening = (name, f"{row.threshold:.4g}") if part == "first" else ("", "")
            table.add_row(*opening, part, *_scoring(scoring))
    return table


def nab_table(
    title: str, rows: Mapping[str, Mapping[str, Outcome]], unseen: Mapping[str, float]
) -> Table:
    """Return the figures of detectors on the benchmark, one a row.

    Args:
        title: Of the table.
        rows: By detector and profile.
        unseen: By detector, the cross-validated standard figure.
    """
    names = [profile.name for profile in PROFILES]
    table = _table(title, "detector", *names, "standard, cross-validated", "windows", "false")
    for name, outcomes in rows.items():
        standard = outcomes[names[0]]
        table.add_row(
            name,
            *(f"{outcomes[profile].value:.1f}" for profile in names),
            f"{unseen[name]:.1f}" if name in unseen else _NONE,
            f"{standard.detected}/{standard.windows}",
            str(standard.false_alarms),
        )
    return table


def _table(title: str, heading: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", caption_justify="left", box=None, pad_edge=False
    )
    table.add_column(heading, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _scoring(scoring: Scoring) -> list[str]:
    tally = scoring.tally
    return [
        f"{tally.found}/{tally.segments}" if tally.segments else _NONE,
        _percent(scoring.recall),
        _percent(scoring.precision) if tally.segments else _NONE,
        _percent(scoring.f1),
        _percent(scoring.point_f1),
        str(tally.false_runs),
        _number(scoring.false_runs_per_week),
    ]


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100.0 * share:.1f}%"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def _minutes(seconds: float | None) -> str:
    return _NONE if seconds is None else f"{seconds / 60.0:.1f}"
