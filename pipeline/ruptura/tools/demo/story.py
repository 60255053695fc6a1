"""What the demo plays, and when: acts of a recording, each with its own speed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the recording.

    Attributes:
        until: Event time of its end; it begins where the act before ends.
        seconds: How long it takes on the screen.
        text: What the data holds there.
    """

    until: Annotated[datetime, Meta(tz=True)]
    seconds: Annotated[float, Meta(gt=0)]
    text: str


class Story(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recording with what a person should know about it.

    Attributes:
        recording, settings: Files beside the story.
        time_zone: IANA name of the zone in which times are shown.
        what: What the recording is.
        sources: Where it comes from: authors, title, licence, changes.
        acts: In order of time.
    """

    recording: str
    settings: str
    time_zone: str
    what: str
    sources: list[str]
    acts: Annotated[list[Act], Meta(min_length=1)]


def load_story(folder: Path) -> Story:
    """Read `story.toml` of a folder.

    Raises:
        OSError: there is none.
        msgspec.DecodeError: it is not a story.
    """
    return msgspec.toml.decode((folder / "story.toml").read_bytes(), type=Story)


class Schedule:
    """From the time of a record to the second of the play in which it is due.

    Args:
        acts: In order of time.
        begin: Time of the first record, seconds since the Unix epoch.
        seconds: How long the whole play takes; None: as long as its acts say.
    """

    def __init__(self, acts: Sequence[Act], begin: float, seconds: float | None = None) -> None:
        whole = sum(act.seconds for act in acts)
        scale = 1.0 if seconds is None else seconds / whole
        self._acts = acts
        self._ends = [act.until.timestamp() for act in acts]
        self._moments = [begin, *self._ends]
        self._due = [0.0]
        for act in acts:
            self._due.append(self._due[-1] + act.seconds * scale)

    @property
    def seconds(self) -> float:
        """How long the whole play takes."""
        return self._due[-1]

    def act(self, moment: float) -> Act:
        """Return the act in which a time lies; what comes after the last belongs to it."""
        return self._acts[min(bisect_right(self._ends, moment), len(self._acts) - 1)]

    def due(self, moment: float) -> float:
        """Return the second of the play for a time; never beyond the end of its last act."""
        number = min(bisect_right(self._ends, moment), len(self._acts) - 1)
        start, end = self._moments[number], self._moments[number + 1]
        share = (min(moment, end) - start) / (end - start) if end > start else 0.0
        return self._due[number] + max(0.0, share) * (self._due[number + 1] - self._due[number])
