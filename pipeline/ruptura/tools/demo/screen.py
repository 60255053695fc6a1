"""What the demo shows: from the text of /metrics and from alerts to tables and lines. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ruptura.assembly.registry import series_registry
from ruptura.core.contracts.document import Alert
from ruptura.core.series.registry import Measure
from ruptura.outputs.texts.alert_line import STATUS_STYLES, alert_line

_STATE_STYLES = {"warming_up": "dim", "normal": "", **STATUS_STYLES}
_LEAD: Final[Measure] = "opened_contacts"
_RISK_CELLS = 5

WIDE = 110
"""Columns from which a terminal has room for everything."""

_FULL, _EMPTY = "█", "░"


class SeriesSample(msgspec.Struct):
    """The newest closed bucket of a series; None where nothing was exported."""

    observed: float | None = None
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    evidence: float | None = None


class ChannelSample(msgspec.Struct):
    """A channel as /metrics shows it."""

    risk: float = 0.0
    state: str = "warming_up"
    series: dict[str, SeriesSample] = {}


class Sample(msgspec.Struct):
    """What one scrape of /metrics tells.

    Attributes:
        consumed: Records read so far.
        newest: Newest event time, seconds since the Unix epoch; None before the first event.
        channels: By service and channel.
    """

    consumed: int = 0
    newest: float | None = None
    channels: dict[tuple[str, str], ChannelSample] = {}


def read_sample(text: str) -> Sample:
    """Read the Prometheus text format; other metrics than Ruptura's are passed over.

    Raises:
        ValueError: the text is not in the format.
    """
    sample = Sample()
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            if name == "ruptura_events_consumed_total":
                sample.consumed += int(value)
            elif name == "ruptura_newest_event_timestamp_seconds":
                sample.newest = max(value, sample.newest or value)
            elif name == "ruptura_channel_risk":
                _channel(sample, labels).risk = value
            elif name == "ruptura_channel_state":
                if value:
                    _channel(sample, labels).state = labels["state"]
            elif name.startswith("ruptura_series_"):
                field = name.removeprefix("ruptura_series_")
                if field in SeriesSample.__struct_fields__:
                    series = _channel(sample, labels).series
                    setattr(series.setdefault(labels["series"], SeriesSample()), field, value)
    return sample


def _channel(sample: Sample, labels: dict[str, str]) -> ChannelSample:
    return sample.channels.setdefault((labels["service"], labels["channel"]), ChannelSample())


def shown_series(channel: ChannelSample) -> tuple[str, SeriesSample] | None:
    """Choose the series to show: the strangest one in an alert, else the demand, else the first."""
    if not channel.series:
        return None
    if channel.state in ("warning", "critical"):
        return min(channel.series.items(), key=_strangeness)
    leading = series_registry().measuring(_LEAD)
    name = next((name for name in leading if name in channel.series), min(channel.series))
    return name, channel.series[name]


def _strangeness(item: tuple[str, SeriesSample]) -> tuple[float, str]:
    name, series = item
    return (1.0 if series.evidence is None else series.evidence), name


def quantity(value: float | None) -> str:
    """Write a number shortly: 3, 0.25, 12.5, 1.82M."""
    if value is None:
        return "-"
    for limit, scale, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= limit:
            return _digits(value / scale) + unit
    return f"{value:.0f}" if value == round(value) else _digits(value)


def _digits(value: float) -> str:
    """Write three digits or more, never an exponent."""
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def channel_table(sample: Sample, *, wide: bool = True) -> Table:
    """Return a table with a row per channel, in order of name.

    Args:
        sample: What was scraped.
        wide: Whether there is room (about 110 columns) for bands and bars.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("service", "channel", "series"):
        table.add_column(name, overflow="ellipsis")
    for name in ("observed", "expected"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("risk", no_wrap=True)
    table.add_column("state", no_wrap=True, min_width=len("warming up"))
    for row in channel_rows(sample, wide=wide):
        style = _STATE_STYLES.get(row.state.replace(" ", "_"), "")
        table.add_row(*row[:5], Text(row.risk, style), Text(row.state, style))
    return table


class ChannelRow(NamedTuple):
    """A row of the table, as text."""

    service: str
    channel: str
    series: str
    observed: str
    expected: str
    risk: str
    state: str


def channel_rows(sample: Sample, *, wide: bool = True) -> list[ChannelRow]:
    """Return what the table shows, in order of service and channel."""
    rows = []
    for (service, name), channel in sorted(sample.channels.items()):
        series, values = shown_series(channel) or ("-", SeriesSample())
        rows.append(
            ChannelRow(
                service,
                name,
                series,
                quantity(values.observed),
                _expectation(values, wide=wide),
                risk_bar(channel.risk) if wide else f"{channel.risk:.2f}",
                channel.state.replace("_", " "),
            )
        )
    return rows


def channel_lines(sample: Sample) -> list[str]:
    """Return the table as plain lines, as wide as they need to be."""
    rows = [ChannelRow._fields, *channel_rows(sample)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _expectation(series: SeriesSample, *, wide: bool) -> str:
    if series.expected is None or not wide:
        return quantity(series.expected)
    band = f"{quantity(series.lower)} to {quantity(series.upper)}"
    return f"{quantity(series.expected)} ({band})"


def risk_bar(risk: float) -> str:
    """Write a risk in [0, 1] as a bar and a number."""
    full = round(risk * _RISK_CELLS)
    return f"{_FULL * full}{_EMPTY * (_RISK_CELLS - full)} {math.floor(risk * 100) / 100:.2f}"


def clock(moment: float | None, zone: ZoneInfo) -> str:
    """Write an event time with its weekday; `moment` in seconds since the Unix epoch."""
    if moment is None:
        return "no events yet"
    return f"{datetime.fromtimestamp(moment, zone):%a %Y-%m-%d %H:%M}"


def is_change(alert: Alert) -> bool:
    """Whether a document has a new status, and so gets a line of its own."""
    return alert.reason != "updated"


def alert_text(alert: Alert, zone: ZoneInfo) -> Text:
    """Return the line of an alert; cut at the edge of the screen where it is shown live."""
    return Text.from_markup(alert_line(alert, zone), overflow="ellipsis")


def live_screen(
    *,
    sample: Sample,
    act: str,
    published: int,
    total: int,
    alerts: Sequence[Alert],
    zone: ZoneInfo,
    metrics_url: str,
    width: int,
    height: int,
) -> RenderableType:
    """Return the whole screen: where the play stands, the channels, the newest alerts.

    Args:
        sample: The newest scrape.
        act: What the data holds now.
        published, total: Records sent, and in the recording.
        alerts: Documents so far; those with a new status are shown.
        zone: Zone of the times.
        metrics_url: Where a person finds the metrics meanwhile.
        width, height: Columns and lines of the terminal.
    """
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(clock(sample.newest, zone), "bold"),
        ProgressBar(total=max(total, 1), completed=published, width=20),
        f"{sample.consumed:,} of {total:,} events",
    )
    where = Text(f"metrics  {metrics_url}", "dim")
    around = 9 + len(sample.channels)  # all lines but those of the alerts
    changes = [alert for alert in alerts if is_change(alert)][-max(3, height - around) :]
    lines = [alert_text(alert, zone) for alert in changes]
    for line in lines:
        line.no_wrap = True
    return Group(
        head,
        Text(act, "cyan", no_wrap=True, overflow="ellipsis"),
        where,
        channel_table(sample, wide=width >= WIDE),
        Text("alerts" if lines else "no alerts yet", "bold" if lines else "dim"),
        *lines,
        Text(),  # so that an echoed ^C finds room
    )


def alert_counts(alerts: Iterable[Alert]) -> list[str]:
    """Tell the alerts by kind, and their documents by status."""
    documents = list(alerts)
    opened = Counter(alert.kind for alert in documents if alert.reason == "opened")
    statuses = Counter(alert.status for alert in documents)
    return [
        f"alerts     {opened.total()}{_by(opened)}",
        f"documents  {statuses.total()}{_by(statuses)}",
    ]


def _by(counts: Mapping[Any, int]) -> str:
    inner = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return f" ({inner})" if inner else ""
