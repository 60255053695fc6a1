"""Three-sigma bands, as the usual PromQL recipes draw them.

The recipes are those of "How to use Prometheus for anomaly detection in GitLab" (A. Newdigate,
GitLab blog, 2019): the z-score of a five-minute rate,

    (x - avg_over_time(x[1d])) / stddev_over_time(x[1d])

and, for what has a season, the distance from the same hour of last week,

    (x - avg_over_time(x[1h] offset 1w)) / stddev_over_time(x[1w])

with the hour centred, each over 3 for five minutes; on the series of `Selection`, and only on
their bad side.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Final

from ruptura.evaluation.bucket import Bucket, Selection, is_bad

SIGMAS: Final = 3.0
RATE_SECONDS: Final = 300.0
DAY_SECONDS: Final = 86_400.0
WEEK_SECONDS: Final = 604_800.0
HOUR_SECONDS: Final = 3600.0

_LEAST_VALUES: Final = 30
"""A deviation of fewer values says nothing; the recipes leave that to patience."""


class Moments:
    """Mean and standard deviation of the last values, `avg_over_time` and `stddev_over_time`.

    Args:
        count: How many values.
    """

    __slots__ = ("_squares", "_sum", "_values", "_zero")

    def __init__(self, count: int) -> None:
        self._values: deque[float] = deque(maxlen=count)
        self._zero = 0.0
        self._sum = self._squares = 0.0

    def add(self, value: float) -> None:
        """Add a value; the oldest leaves."""
        values = self._values
        if not values:
            self._zero = value  # sums are kept about it, or large levels would drown deviations
        if len(values) == values.maxlen:
            old = values[0] - self._zero
            self._sum -= old
            self._squares -= old * old
        values.append(value)
        new = value - self._zero
        self._sum += new
        self._squares += new * new

    def strangeness(self, value: float, middle: float | None = None) -> float:
        """Return the signed distance from the middle, in standard deviations; 0 if none is known.

        Args:
            value: What is judged.
            middle: What it is compared with; the mean if None.
        """
        count = len(self._values)
        if count < _LEAST_VALUES:
            return 0.0
        mean = self._sum / count
        variance = self._squares / count - mean * mean
        if variance <= 1e-12 * max(self._squares / count, 1e-300):
            return 0.0  # PromQL divides by zero here, and rules on NaN or Inf are filtered out
        if middle is None:
            middle = mean + self._zero
        return (value - middle) / math.sqrt(variance)


class DailyBands:
    """The z-score over the last day, or another span, of every series of a channel.

    Args:
        bucket_seconds: Length of a bucket.
        span_seconds: Of the window.
        rate_seconds: Over which a value is averaged before; a bucket or less for none.
    """

    patience: Mapping[str, float] = {}

    def __init__(
        self,
        bucket_seconds: float,
        span_seconds: float = DAY_SECONDS,
        rate_seconds: float = RATE_SECONDS,
    ) -> None:
        self._count = round(span_seconds / bucket_seconds)
        self._rate = max(round(rate_seconds / bucket_seconds), 1)
        self._selection = Selection()
        self._series: dict[str, tuple[deque[float], Moments]] = {}

    def observe(self, bucket: Bucket) -> Mapping[str, bool]:
        """Judge each series that has a value."""
        conditions: dict[str, bool] = {}
        for series, value in self._selection.of(bucket):
            known = self._series.get(series)
            if known is None:
                known = self._series[series] = deque(maxlen=self._rate), Moments(self._count)
            recent, moments = known
            recent.append(value)
            rate = sum(recent) / len(recent)
            moments.add(rate)  # PromQL's range ends now
            conditions[series] = beyond(series, moments.strangeness(rate))
        return conditions


class WeeklyBands:
    """The distance from the same hour of last week of every series of a channel.

    Args:
        bucket_seconds: Length of a bucket.
    """

    patience: Mapping[str, float] = {}

    def __init__(self, bucket_seconds: float) -> None:
        self._bucket = bucket_seconds
        self._week = round(WEEK_SECONDS / bucket_seconds)
        self._half = max(round(HOUR_SECONDS / bucket_seconds / 2.0), 1)
        self._rate = max(round(RATE_SECONDS / bucket_seconds), 1)
        self._selection = Selection()
        self._series: dict[str, _Weekly] = {}

    def observe(self, bucket: Bucket) -> Mapping[str, bool]:
        """Judge each series that has a value, and had some a week ago."""
        index = round(bucket.start / self._bucket)
        conditions: dict[str, bool] = {}
        for series, value in self._selection.of(bucket):
            known = self._series.get(series)
            if known is None:
                known = self._series[series] = _Weekly(self._week, self._half, self._rate)
            conditions[series] = beyond(series, known.observe(index, value))
        return conditions


class _Weekly:
    """One series: the last week by bucket, with the sum over the hour around a week ago."""

    def __init__(self, week: int, half: int, rate: int) -> None:
        self._week, self._half = week, half
        self._size = week + half + 2
        self._ring = [math.nan] * self._size
        self._at = -1
        self._total, self._count = 0.0, 0
        self._recent: deque[float] = deque(maxlen=rate)
        self._moments = Moments(week)

    def observe(self, index: int, value: float) -> float:
        """Return the signed distance in standard deviations; 0 if none is known."""
        size = self._size
        if self._at < 0:
            self._at = index - 1
        for missed in range(max(self._at + 1, index - size), index):
            self._step(missed, math.nan)
        self._at = index
        self._recent.append(value)
        rate = sum(self._recent) / len(self._recent)
        self._step(index, rate)
        if index % size == 0:
            self._recount(index)  # or rounding would gather
        self._moments.add(rate)
        if self._count <= self._half:
            return 0.0
        return self._moments.strangeness(rate, self._total / self._count)

    def _step(self, index: int, rate: float) -> None:
        """Move the hour of last week on by one bucket."""
        ring, size = self._ring, self._size
        ring[index % size] = rate
        centre = index - self._week
        came = ring[(centre + self._half) % size]
        if came == came:  # noqa: PLR0124 - the fastest test for NaN
            self._total += came
            self._count += 1
        went = ring[(centre - self._half - 1) % size]
        if went == went:  # noqa: PLR0124 - the fastest test for NaN
            self._total -= went
            self._count -= 1

    def _recount(self, index: int) -> None:
        centre = index - self._week
        span = range(centre - self._half, centre + self._half + 1)
        hour = [old for at in span if not math.isnan(old := self._ring[at % self._size])]
        self._total, self._count = math.fsum(hour), len(hour)


def beyond(series: str, sigmas: float) -> bool:
    """Return whether a value lies outside the band, on a side that is bad for the series."""
    return abs(sigmas) > SIGMAS and is_bad(series, above=sigmas > 0.0)
