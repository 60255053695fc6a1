"""What is to come: the protocol that every forecast of a breach keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.contracts.facts import Breach, Objective
from ruptura.core.detect import tails
from ruptura.core.detect.signals import Signal
from ruptura.core.series.registry import Measure

FORECASTS: Final = "forecast."
"""What the names of all forecasts begin with; no metric's name has a dot."""

VERSION: Final = 1
"""Of the state."""

SURE: Final = 0.9
"""A forecast alone is never surer than so: it may warn, but what is critical has to be seen."""

CALM: Final = 0.25
"""A breach less probable than so is not worth a word, and is health where one was forecast."""

Readings = Mapping[Measure, tuple[float, float]]
"""What a closed bucket measured, by what it is a measure of: value (events, numerator, or level)
and size (the denominator of a ratio, or how many contacts a mean is of; 0 where that is not known
or means nothing). What was not measured is absent."""


class Objectives(msgspec.Struct, frozen=True, kw_only=True):
    """The service level objectives of a channel; None: none.

    Attributes:
        service_level_ratio, answer_within_seconds: At least this share of contacts is answered
            within this time (0.8 and 20 for 80/20); both or none.
        longest_wait_seconds: No contact waits longer.
        abandonment_ratio: At most this share of contacts gives up.
        backlog_contacts: At most so many contacts wait.
        errors_ratio: At most this share of requests fails.
        request_seconds: The latency of the platform is at most this.

    Shares and the latency are meant over a fading window.
    """

    service_level_ratio: float | None = None
    answer_within_seconds: float | None = None
    longest_wait_seconds: float | None = None
    abandonment_ratio: float | None = None
    backlog_contacts: float | None = None
    errors_ratio: float | None = None
    request_seconds: float | None = None


class Forecast(msgspec.Struct, frozen=True, gc=False):
    """Whether one objective will be broken within the horizon.

    Attributes:
        objective: Which.
        probability: Of a breach within the horizon, in [0, 1]; 1 where it is broken already.
        seconds: Until the breach is as likely as not, 0 or more; None if that is beyond the
            horizon.
        now: What the objective bounds, as it stands: a share, seconds or contacts.
        ahead: The same at the horizon, most likely.
        lower, upper: What it lies between then, with a probability of 80 %.
        breach: What there is to say of it; None unless the probability is worth it.
    """

    objective: Objective
    probability: float
    seconds: float | None
    now: float
    ahead: float
    lower: float
    upper: float
    breach: Breach | None

    @property
    def series(self) -> str:
        """The name under which it speaks."""
        return FORECASTS + self.objective

    def signal(self, service: str, channel: str, start: float, *, is_news: bool) -> Signal:
        """Return the forecast as a signal: a probability of rupture by itself.

        Args:
            service, channel: Whose it is.
            start: Of the bucket, in seconds since the Unix epoch.
            is_news: As in `Signal`.
        """
        holds = max(1.0 - self.probability, tails.SMALLEST)
        sure = min(max(self.probability, 1e-9), SURE)
        point = SeriesPoint(
            service,
            channel,
            self.series,
            start,
            self.now,
            self.ahead,
            self.lower,
            self.upper,
            holds,
            holds,
        )
        return Signal(
            self.series,
            "forecast",
            "above",
            holds,
            1.0,
            start,
            point,
            math.log(sure / (1.0 - sure)),
            self.breach,
            min(sure + 1.0 - SURE, 1.0),
            is_news,
        )


def foremost(coming: Sequence[Forecast]) -> Forecast:
    """Return the forecast of the most probable breach, and the soonest of those."""
    return max(
        coming, key=lambda f: (f.probability, -math.inf if f.seconds is None else -f.seconds)
    )


class Forecaster(Protocol):
    """An online forecaster of one channel. No clock, no chance, O(1)."""

    def update(self, readings: Readings, *, is_open: bool) -> tuple[Forecast, ...]:
        """Take in a closed bucket; return a forecast for each objective that can be judged.

        Args:
            readings: What was measured.
            is_open: Whether the service is open: when it is closed nothing is forecast.
        """

    def dump(self) -> dict[str, bytes]:
        """Return the state, small and explicit, by part, each with its version."""

    def load(self, state: Mapping[str, bytes]) -> Sequence[str]:
        """Take the state back.

        Parts that the objectives no longer ask for are dropped.

        Returns:
            Which parts begin anew, and why; none where all is as it was.

        Raises:
            ValueError: the bytes are not a state of these parts.
        """


class ForecasterFactory(Protocol):
    """Makes the forecaster of a new channel."""

    def __call__(self, service: str, channel: str) -> Forecaster | None:
        """Return a fresh one; None where the channel has no objectives."""


def no_forecaster(service: str, channel: str) -> Forecaster | None:  # noqa: ARG001 - the protocol's names
    """Forecast nothing."""
    return None
