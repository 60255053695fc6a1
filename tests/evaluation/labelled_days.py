"""Labels by hand: two weeks of two channels, a gradual rupture, a sudden one, and a holiday."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ruptura.evaluation.pages import Page
from ruptura.simulator.labels import ChannelName, Labels, NonEvent, Rupture

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
JUDGED_FROM = BEGIN + timedelta(days=7)
END = BEGIN + timedelta(days=21)
CREEP = BEGIN + timedelta(days=9)
OUTAGE = BEGIN + timedelta(days=12)
HOLIDAY = BEGIN + timedelta(days=15)

CREEPING = Rupture(
    name="creep",
    kind="error_creep",
    service="aurora",
    channels=["app", "voice"],
    onset=CREEP,
    breach=CREEP + timedelta(minutes=60),
    ends=CREEP + timedelta(hours=4),
    gradual=True,
)
SUDDEN = Rupture(
    name="outage",
    kind="outage",
    service="aurora",
    channels=["voice"],
    onset=OUTAGE,
    breach=OUTAGE + timedelta(minutes=2),
    ends=OUTAGE + timedelta(hours=2),
    gradual=False,
)


def labels(*ruptures: Rupture) -> Labels:
    """These ruptures (or both), with a holiday on which voice must stay quiet."""
    return Labels(
        scenario="by-hand",
        seed=1,
        begins=BEGIN,
        judged_from=JUDGED_FROM,
        ends=END,
        channels=[ChannelName("aurora", "app"), ChannelName("aurora", "voice")],
        ruptures=list(ruptures or (CREEPING, SUDDEN)),
        quiet=[
            NonEvent(
                name="holiday",
                kind="holiday",
                service="aurora",
                channels=["voice"],
                begins=HOLIDAY,
                ends=HOLIDAY + timedelta(days=1),
            )
        ],
    )


def page(moment: datetime, channel: str = "voice", minutes: float = 0.0) -> Page:
    """A page so many minutes after a moment."""
    return Page("aurora", channel, moment.timestamp() + minutes * 60.0)


PERFECT = (page(CREEP, "app", 10), page(OUTAGE, "voice", 1))
LATE = (page(CREEP, "app", 70), page(OUTAGE, "voice", 30))
NOISY = (
    page(BEGIN, "app"),  # before anything is judged
    page(JUDGED_FROM, "app", 60),  # false
    page(CREEP, "voice", -1),  # false: the cause has not begun
    page(CREEP, "voice", 40),  # finds the creep
    page(CREEP, "app", 45),  # a further page of it, elsewhere
    page(CREEP, "voice", 90),  # once more, on the same channel
    page(OUTAGE, "app", 5),  # false: nothing of it can be seen there
    page(HOLIDAY, "voice", 600),  # false, and on a labelled non-event
    page(HOLIDAY, "app", 700),  # false: the holiday is not its own
)
