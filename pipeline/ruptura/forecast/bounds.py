"""What an objective bounds: the mean over a fading window, or the worst that a bucket shows."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar, Final, Literal, NamedTuple

import msgspec

from ruptura.core.contracts.tuning import Finite
from ruptura.core.detect.forecast import CALM
from ruptura.core.detect.state import vector, vector_bytes
from ruptura.forecast import erlang
from ruptura.forecast.passage import normal, passage
from ruptura.forecast.queue import Path
from ruptura.forecast.trend import Ahead, Trend

VERSION: Final = 1

EIGHTY: Final = 1.2816
"""Deviations on each side of a normal mean within which 80 % lies."""

_STILL: Final = 0.1
"""Deviation that a level is expected to have even if it never moved, over its limit."""

_MEAN_ERROR, _WORST_ERROR = 1.7, 2.0
"""How much further than a trend says its forecasts miss, of means and of single buckets: queues,
errors and latencies fall back more often than they grow on. Measured on simulated desks."""

_FEW: Final = 10.0
"""A share of fewer contacts in the window counts as if the missing ones were well."""

_MOST: Final = 1e20
"""More is no state: what is measured is at most 1e15, and of that a window holds few."""

_MOST_AGENTS: Final = 2000
_TARGET_STEP: Final = math.log(1.05)
_PATIENCE_STEP: Final = math.log(1.25)
_LEAST_PATIENCE, _MOST_PATIENCE = 0.02, 200.0
_WORST_SHIFT, _WORST_SPREAD = 0.564, 0.682
"""Mean and variance of the largest of two normal variables (Tippett 1925): of buckets that the
noise lets peak, about so many lie near the end of a rising path."""

Column = Literal["late", "abandoned"]
States = tuple[float, erlang.Table]
"""What a number in the system is multiplied by, and the table to look it up in."""


class Judged(NamedTuple):
    """A forecast of what an objective bounds, in its unit.

    Attributes:
        probability: Of a breach within the horizon.
        seconds: Until it is as likely as not; None beyond the horizon.
        now, ahead, lower, upper: As in `Forecast`.
    """

    probability: float
    seconds: float | None
    now: float
    ahead: float
    lower: float
    upper: float


class WindowMeanState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `WindowMean` remembers.

    Attributes:
        sums: Two little-endian floats of single precision: of what is bounded, and of what it is a
            part.
        trend: As `Trend.dump`; None: nothing is followed.
    """

    sums: bytes
    trend: bytes | None


class WindowMean:
    """A share of contacts or requests, or a mean level, over a fading window.

    Args:
        limit: The most that it may be.
        is_share: Whether it is a share.
        ahead: Shared constants of forecasts.
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = WindowMeanState

    __slots__ = ("_ahead", "_cells", "_decay", "_is_share", "_trend", "limit")

    def __init__(self, limit: float, ahead: Ahead, *, is_share: bool) -> None:
        self.limit = limit
        self._is_share = is_share
        self._ahead = ahead
        self._decay = ahead.bucket_decay
        self._trend = Trend(ahead, least=_STILL * limit)
        self._cells = array("f", (0.0, 0.0))  # sums of what is bounded, and of what it is a part

    @property
    def is_known(self) -> bool:
        """Whether enough was measured, and lately enough."""
        return self._trend.is_known

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was ever measured."""
        return not self._cells[1]

    @property
    def now(self) -> float:
        """What it is now."""
        total, size = self._cells
        if self._is_share:
            return total / max(size, _FEW)
        return total / size if size else 0.0

    def add(self, amount: float, size: float) -> None:
        """Take a bucket into the window alone: a queue tells where it goes.

        Args:
            amount: A part of the whole, or the sum of levels.
            size: The whole, or how many levels; over 0.
        """
        cells = self._cells
        cells[0] = cells[0] * self._decay + amount
        cells[1] = cells[1] * self._decay + size
        self._trend.forget()

    def follow(self, amount: float, size: float) -> None:
        """Take a bucket into the window and the trend, as `add`."""
        cells = self._cells
        cells[0] = cells[0] * self._decay + amount
        cells[1] = cells[1] * self._decay + size
        if self._is_share:
            usual = min(max(self.now, 1.0 / (size + _FEW)), 0.5)
            self._trend.learn(min(amount / size, 1.0), usual * (1.0 - usual) / size)
        else:
            self._trend.learn(amount / size, 1.0 / size)

    def skip(self) -> None:
        """Let a bucket pass in which nothing was measured; what is past is no breach now."""
        cells = self._cells
        cells[0] *= self._decay
        cells[1] *= self._decay
        self._trend.skip()

    def by_trend(self) -> Judged:
        """Judge by where the measurements go."""
        trend = self._trend
        times = self._ahead.times
        now = self.now
        mean, variance = trend.forecast(len(times) // 2)
        mean = min(max(mean, 0.0), 1.0) if self._is_share else max(mean, 0.0)
        # The mean of the buckets to come is known no better than their noise allows.
        buckets = max(math.log(max(self._ahead.horizon_decay, 1e-300)) / math.log(self._decay), 1.0)
        deviation = _MEAN_ERROR * math.sqrt(variance + trend.noise / buckets)
        needed = self._needed(now)
        probability = 1.0 if now > self.limit else normal((mean - needed) / max(deviation, 1e-12))
        middle, spread = (
            self._mixed(now, mean),
            (1.0 - self._ahead.horizon_decay) * EIGHTY * deviation,
        )
        seconds = None
        if probability >= 0.5:
            levels = [level for level, _ in trend.forecasts()]
            seconds = self._passes(now, levels)
        return Judged(probability, seconds, now, middle, max(middle - spread, 0.0), middle + spread)

    def by_path(self, path: Path, states: States, column: Column) -> Judged:
        """Judge by where the queue goes.

        Args:
            path: Of the number of contacts in the system.
            states: What a number in the system means.
            column: Which share this is.
        """
        scale, table = states
        shares = table.late if column == "late" else table.abandoned
        count = len(path.mean)
        now = self.now if self._cells[1] else interpolated(table.present, shares, path.begin)
        needed = self._needed(now)
        mean = scale * sum(path.mean) / count
        # Chance from contact to contact averages out over the horizon; the error does not.
        error = path.standard_error[count // 2]
        rate = path.service_rate if mean < scale * path.servers else path.giving_up_rate
        spans = rate * self._ahead.times[-1]
        averaged = 2.0 / spans * (1.0 + math.expm1(-spans) / spans)
        variance = error * error + path.wander[-1] * min(averaged, 1.0)
        deviation = scale * math.sqrt(max(variance, 1e-12))
        if now > self.limit or needed <= 0.0:
            probability = 1.0
        elif needed >= shares[-1]:
            probability = 0.0
        else:
            barrier = interpolated(shares, table.present, needed)
            probability = normal((mean - barrier) / deviation)
        if probability < CALM:
            ahead = self._mixed(now, interpolated(table.present, shares, mean))
            return Judged(probability, None, now, ahead, ahead, ahead)
        bounds = [
            self._mixed(now, interpolated(table.present, shares, mean + z * deviation))
            for z in (0.0, -EIGHTY, EIGHTY)
        ]
        seconds = None
        if probability >= 0.5:
            levels = [interpolated(table.present, shares, scale * x) for x in path.mean]
            seconds = self._passes(now, levels)
        return Judged(probability, seconds, now, *bounds)

    def _needed(self, now: float) -> float:
        """Return what the mean over the horizon must be for the window to reach the limit."""
        decay = self._ahead.horizon_decay
        return (self.limit - decay * now) / (1.0 - decay)

    def _mixed(self, now: float, mean: float) -> float:
        """Return what the window will hold after a horizon."""
        decay = self._ahead.horizon_decay
        return decay * now + (1.0 - decay) * mean

    def _passes(self, now: float, levels: Sequence[float]) -> float:
        """Return when the window's mean passes the limit, at the latest at the horizon."""
        if now > self.limit:
            return 0.0
        times = self._ahead.times
        fade = math.pow(self._ahead.horizon_decay, times[0] / times[-1])
        for time, level in zip(times, levels, strict=True):
            then = now * fade + level * (1.0 - fade)
            if then > self.limit:
                return time - times[0] * (then - self.limit) / max(then - now, 1e-12)
            now = then
        return times[-1]

    def dump(self) -> WindowMeanState:
        """Return the state."""
        trend = self._trend.dump() if self._trend.seen else None
        return WindowMeanState(vector_bytes(self._cells, "f"), trend)

    def load(self, state: WindowMeanState) -> None:
        """Take the state back; ValueError if it could not be one."""
        cells = vector(state.sums, "window", "f")
        if len(cells) != 2 or cells[1] < 0.0 or max(map(abs, cells)) > _MOST:
            raise ValueError("a window out of range")
        if state.trend is not None:
            self._trend.load(state.trend)
        self._cells = cells


def _as_kept(value: float) -> float:
    """Return a value as it comes back from a state: in single precision."""
    return array("f", (value,))[0]


class WorstState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `Worst` remembers.

    Attributes:
        last: What was measured last, or the limit where that is lower and nothing was.
        trend: As `Trend.dump`.
    """

    last: Finite
    trend: bytes


class Worst:
    """A level that no bucket should show: a backlog, or the longest wait.

    Args:
        limit: The most that it may be.
        ahead: Shared constants of forecasts.
        bucket_seconds: Length of a bucket.
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = WorstState

    __slots__ = ("_ahead", "_bucket", "_last", "_trend", "limit")

    def __init__(self, limit: float, ahead: Ahead, bucket_seconds: float) -> None:
        self.limit = limit
        self._ahead = ahead
        self._bucket = bucket_seconds
        self._trend = Trend(ahead, least=_STILL * limit)
        self._last = 0.0

    @property
    def is_known(self) -> bool:
        """Whether enough was measured, and lately enough."""
        return self._trend.is_known

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was ever measured."""
        return not self._trend.seen

    def add(self) -> None:
        """Let a bucket pass in which a queue tells where it goes."""
        self._trend.forget()

    def follow(self, value: float) -> None:
        """Take in the measurement of a bucket."""
        self._trend.learn(value, 1.0)
        self._last = _as_kept(value)

    def skip(self) -> None:
        """Let a bucket pass in which nothing was measured."""
        self._trend.skip()
        self._last = min(self._last, _as_kept(self.limit))  # what is past is no breach now

    def by_trend(self) -> Judged:
        """Judge by where the measurements go."""
        trend = self._trend
        noise = trend.noise
        ahead = trend.forecasts()
        room = self.limit - _WORST_SHIFT * math.sqrt(noise)
        chances = [
            normal((mean - room) / (_WORST_ERROR * math.sqrt(variance + _WORST_SPREAD * noise)))
            for mean, variance in ahead
        ]
        end, variance = ahead[-1]
        spread = EIGHTY * _WORST_ERROR * math.sqrt(variance + noise)
        return self._judged(chances, self._last, end, end - spread, end + spread)

    def by_path(self, path: Path, now: float | None, *, as_wait: bool) -> Judged:
        """Judge by where the queue goes.

        Args:
            path: Of the number of contacts in the system.
            now: What was measured, if anything.
            as_wait: Whether the limit is a wait, in seconds; else it is a number of contacts.
        """
        waiting = path.reach(self.limit) if as_wait else self.limit
        # Of two contacts behind as many others one waits longer: what is served in a span is a
        # Poisson number.
        chance = waiting if as_wait else 0.0
        barrier = max(path.servers + waiting, path.begin) + 0.5  # past it, in whole contacts
        last = len(path.mean) - 1
        at = max(range(last + 1), key=path.mean.__getitem__)
        chances = [self._passage(path, barrier, at, chance)]
        if at != last:
            chances.append(self._passage(path, barrier, last, chance))
        if max(chances) >= 0.5:
            chances = [self._passage(path, barrier, step, chance) for step in range(last + 1)]
        deviation = math.sqrt(path.wander[-1] + path.standard_error[-1] ** 2)
        shown = [
            max(x - path.servers, 0.0)
            for x in (
                path.begin,
                path.mean[-1],
                path.mean[-1] - EIGHTY * deviation,
                path.mean[-1] + EIGHTY * deviation,
            )
        ]
        if as_wait:
            shown = [path.wait(contacts) for contacts in shown]
        return self._judged(chances, shown[0] if now is None else now, *shown[1:])

    def _passage(self, path: Path, barrier: float, step: int, chance: float) -> float:
        begin, error = path.begin, path.standard_error[step]
        return passage(
            barrier - begin,
            path.mean[step] - begin,
            path.wander[step] + error * error + chance,
            max(self._ahead.times[step] / self._bucket, 1.0),
        )

    def _judged(
        self, chances: Sequence[float], now: float, ahead: float, lower: float, upper: float
    ) -> Judged:
        shown = max(ahead, 0.0), max(lower, 0.0), max(upper, 0.0)
        if now > self.limit:
            return Judged(1.0, 0.0, now, *shown)
        highest = max(chances)
        if highest < 0.5:
            return Judged(highest, None, now, *shown)
        # Where it is as likely as not there is a chance for each step.
        before, start = 0.0, 0.0
        for time, chance in zip(self._ahead.times, chances, strict=True):
            if chance >= 0.5:
                share = (0.5 - before) / (chance - before)
                return Judged(highest, start + (time - start) * share, now, *shown)
            before, start = chance, time
        raise AssertionError("one of the chances is the highest")

    def dump(self) -> WorstState:
        """Return the state."""
        return WorstState(self._last, self._trend.dump())

    def load(self, state: WorstState) -> None:
        """Take the state back; ValueError if it could not be one."""
        if not math.isfinite(state.last):
            raise ValueError("last: not finite")
        if abs(state.last) > _MOST:
            raise ValueError("a level out of range")
        self._trend.load(state.trend)
        self._last = _as_kept(state.last)


def steady_states(path: Path, target_seconds: float) -> States:
    """Return the steady states of about this queue."""
    agents = min(max(round(path.servers), 1), _MOST_AGENTS)
    patience = path.service_rate / path.giving_up_rate
    target = max(target_seconds * path.service_rate, 1e-3)
    # Rounded, so that the tables are few.
    patience = min(max(patience, _LEAST_PATIENCE), _MOST_PATIENCE)
    patience = math.exp(round(math.log(patience) / _PATIENCE_STEP) * _PATIENCE_STEP)
    target = math.exp(round(math.log(target) / _TARGET_STEP) * _TARGET_STEP)
    return agents / path.servers, erlang.table(agents, patience, min(target, 100.0))


def interpolated(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Interpolate between points with rising xs; beyond their ends the end holds."""
    at = bisect_right(xs, x)
    if at == 0:
        return ys[0]
    if at == len(xs):
        return ys[-1]
    low, high = xs[at - 1], xs[at]
    return ys[at - 1] + (ys[at] - ys[at - 1]) * (x - low) / (high - low)
