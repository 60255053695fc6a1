"""Pages against labels: which rupture a page belongs to, and which page is a false alarm.

The rules, for every page between `judged_from` and `ends` of the labels:

- Only openings count (`ruptura.evaluation.pages`), at the time at which they could be sent.
- A page fits a rupture if it names its service and one of its channels, and was sent from the
  onset (included) until `GRACE_SECONDS` after the end (included).
- A page belongs to the first rupture, by onset, that it fits and that no page was found to belong
  to before: that rupture is found. A page that fits only ruptures already found is a further page:
  neither true nor false. Those on a channel that had paged for that rupture before are `repeated`.
- Every other page is a false alarm. One that names the service and a channel of a labelled
  non-event, and was sent between its begin and `GRACE_SECONDS` after its end, is also a page on
  that non-event.
- Ruptures whose onset lies before `judged_from` are not judged; their pages are neither true nor
  false.
- The time in which a false alarm was possible is that of all channels from `judged_from` to
  `ends`, less the time in which a page would have fitted a rupture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ruptura.evaluation.pages import Page
from ruptura.simulator.labels import Labels, NonEvent, Rupture

GRACE_SECONDS: Final = 900.0
"""How long after the last effect a page may still be sent: evidence added up over buckets lags by
some minutes, and the horizon of a warning is as long."""

WEEK_SECONDS: Final = 604_800.0


class Judged(msgspec.Struct, frozen=True, gc=False):
    """One rupture, and when it was found.

    Attributes:
        name, kind, service: As labelled.
        is_gradual: Whether it came slowly.
        onset: When its cause began, in seconds since the Unix epoch.
        breach: When customers felt it; None if they never did.
        told: Time of the page that found it; None if it was missed.
    """

    name: str
    kind: str
    service: str
    is_gradual: bool
    onset: float
    breach: float | None
    told: float | None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """How pages did against the labels of one simulation.

    Attributes:
        ruptures: All that were judged, by onset.
        false_alarms: In order of time.
        on_quiet: Pages on labelled non-events, which are false alarms too.
        quiet: Labelled non-events.
        repeated: Further pages on a channel that had paged for the same rupture.
        channel_weeks: Weeks, added up over channels, in which a false alarm was possible.
    """

    ruptures: Sequence[Judged]
    false_alarms: Sequence[Page]
    on_quiet: Sequence[Page]
    quiet: int
    repeated: int
    channel_weeks: float


def judge(pages: Iterable[Page], labels: Labels) -> Verdict:
    """Match pages against labels, by the rules above."""
    begin, end = labels.judged_from.timestamp(), labels.ends.timestamp()
    ruptures = sorted(labels.ruptures, key=lambda rupture: (rupture.onset, rupture.name))
    found_at: dict[str, float] = {}
    paged: set[tuple[str, str]] = set()
    false_alarms: list[Page] = []
    on_quiet: list[Page] = []
    repeated = 0
    for page in sorted(pages, key=lambda page: (page.at, page.service, page.channel)):
        if not begin <= page.at <= end:
            continue
        fitting = [rupture for rupture in ruptures if _fits(page, rupture)]
        if not fitting:
            false_alarms.append(page)
            if any(_disturbs(page, quiet) for quiet in labels.quiet):
                on_quiet.append(page)
            continue
        missing = [rupture for rupture in fitting if rupture.name not in found_at]
        found = missing[0] if missing else fitting[0]
        if missing:
            found_at[found.name] = page.at
        elif (found.name, page.channel) in paged:
            repeated += 1
        paged.add((found.name, page.channel))
    return Verdict(
        [
            _judged(rupture, found_at.get(rupture.name))
            for rupture in ruptures
            if rupture.onset >= labels.judged_from
        ],
        false_alarms,
        on_quiet,
        sum(quiet.ends >= labels.judged_from for quiet in labels.quiet),
        repeated,
        _channel_seconds(labels, begin, end) / WEEK_SECONDS,
    )


def _judged(rupture: Rupture, found_at: float | None) -> Judged:
    return Judged(
        rupture.name,
        rupture.kind,
        rupture.service,
        rupture.gradual,
        rupture.onset.timestamp(),
        None if rupture.breach is None else rupture.breach.timestamp(),
        found_at,
    )


def _fits(page: Page, rupture: Rupture) -> bool:
    return (
        page.service == rupture.service
        and page.channel in rupture.channels
        and rupture.onset.timestamp() <= page.at <= rupture.ends.timestamp() + GRACE_SECONDS
    )


def _disturbs(page: Page, quiet: NonEvent) -> bool:
    return (
        page.service == quiet.service
        and page.channel in quiet.channels
        and quiet.begins.timestamp() <= page.at <= quiet.ends.timestamp() + GRACE_SECONDS
    )


def _channel_seconds(labels: Labels, begin: float, end: float) -> float:
    """Return the seconds, added up over channels, in which no page fits a rupture."""
    total = 0.0
    for each in labels.channels:
        free, now = 0.0, begin
        for rupture in sorted(labels.ruptures, key=lambda rupture: rupture.onset):
            if rupture.service != each.service or each.channel not in rupture.channels:
                continue
            free += max(min(rupture.onset.timestamp(), end) - now, 0.0)
            now = max(now, rupture.ends.timestamp() + GRACE_SECONDS)
        total += free + max(end - now, 0.0)
    return total
