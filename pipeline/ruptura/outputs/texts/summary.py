"""The summary of a run, in lines for people."""

from __future__ import annotations

from ruptura.outputs.summary import Summary
from ruptura.outputs.texts.times import utc


def summary_lines(summary: Summary, seconds: float) -> list[str]:
    """Return the summary of a run, for people.

    Args:
        summary: What was seen and said.
        seconds: How long the run took, wall-clock.
    """
    rate = summary.records / seconds if seconds > 0 else 0.0
    rejected = sum(summary.rejected.values())
    lines = [
        f"events      {summary.records:,} in {seconds:.1f} s ({rate:,.0f} events/s)",
        f"rejected    {rejected:,}{_by(summary.rejected)}",
        f"late        {summary.late:,}",
        f"duplicates  {summary.duplicates:,}",
        f"buckets     {summary.buckets:,}",
        f"alerts      {sum(summary.alerts.values()):,}{_by(summary.alerts)}",
        f"documents   {sum(summary.documents.values()):,}{_by(summary.documents)}",
    ]
    if summary.misrouted:
        lines.append(f"misrouted   {summary.misrouted:,} (record key is not the service)")
    if summary.evicted:
        lines.append(f"evicted     {summary.evicted:,} open tickets forgotten")
    if summary.last:
        lines.append(f"event time  up to {utc(summary.last)}")
    return lines


def _by(counts: dict[str, int]) -> str:
    inner = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    return f" ({inner})" if inner else ""
