"""A level with a damped slope, and how sure both are: online, in a few numbers.

Holt's linear trend with damping (Gardner & McKenzie, Forecasting trends in time series, Management
Science 31, 1985) in state space, as a Kalman filter (Harvey, Forecasting, Structural Time Series
Models and the Kalman Filter, 1989, sections 3.2 and 4.1): so missing buckets, unequal precision
and the variance of the forecast come by themselves. All variances are in units of one noise, which
is learned.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

from ruptura.core.detect.state import vector, vector_bytes

_LEVEL_NOISE: Final = 0.02
_SLOPE_NOISE: Final = 0.0001
"""Variance by which level and slope move in a bucket, in units of the noise of a measurement."""

_COUNT_AGILITY: Final = 0.02
"""The same for the mean of a count, over that mean: it moves by 2 % of itself in a bucket, while
the noise of few events is large beside that."""

_DAMPING_SECONDS: Final = 3600.0
_OUTLIER: Final = 4.0
"""Deviations to which a single measurement is winsorised."""

_NOISE_MEMORY: Final = 120.0
_ENOUGH: Final = 12.0
_VAGUE: Final = 0.5
"""Variance of the level, over the noise of a measurement, from which nothing is forecast."""

_MOST_VARIANCE: Final = 1e4
_MOST_LEVEL, _MOST_NOISE = 1e17, 1e36
"""More is no state: what is measured is at most 1e15."""

_LEVEL, _SLOPE, _LEVEL_VARIANCE, _COVARIANCE, _SLOPE_VARIANCE, _NOISE, _UNIT, _SEEN = range(8)
_CELLS: Final = 8


class Ahead:
    """Constants of a forecast, by step: shared by all trends.

    Args:
        bucket_seconds: Length of a bucket.
        times: Seconds ahead of each step, equally long; the last is the horizon.
        window_seconds: Memory of the fading window over which shares and means are taken.

    Attributes:
        times: As given.
        bucket_decay, horizon_decay: What is left of the window after a bucket, and a horizon.
        slopes: What a slope of one per bucket adds up to until then.
        drifts: Variance that level and slope have gained until then, in units of the noise.
    """

    __slots__ = ("bucket_decay", "damping", "drifts", "horizon_decay", "slopes", "times")

    def __init__(
        self, bucket_seconds: float, times: tuple[float, ...], window_seconds: float
    ) -> None:
        self.bucket_decay = math.exp(-bucket_seconds / window_seconds)
        self.horizon_decay = math.exp(-times[-1] / window_seconds)
        rate = bucket_seconds / _DAMPING_SECONDS
        self.damping = math.exp(-rate)
        self.times = times
        self.slopes = tuple(-math.expm1(-rate * t / bucket_seconds) / rate for t in times)
        self.drifts = tuple(
            _LEVEL_NOISE * n + _SLOPE_NOISE * n * n * n / 3.0
            for n in (t / bucket_seconds for t in times)
        )


class Trend:
    """One quantity: its level, its slope, and their variances.

    Args:
        ahead: Shared constants.
        is_count: Whether it is the mean of a Poisson count.
        least: Least deviation that measurements have: a level that never moved may yet.
    """

    __slots__ = ("_ahead", "_cells", "_is_count", "_least")

    def __init__(self, ahead: Ahead, *, is_count: bool = False, least: float = 1e-6) -> None:
        self._ahead = ahead
        self._least = least * least
        self._is_count = is_count
        # Single precision: what is kept is what goes on.
        self._cells = array("f", bytes(4 * _CELLS))

    @property
    def level(self) -> float:
        """The level now."""
        return self._cells[_LEVEL]

    @property
    def slope(self) -> float:
        """The slope, per bucket."""
        return self._cells[_SLOPE]

    @property
    def noise(self) -> float:
        """Variance of a usual measurement about the level."""
        return self._cells[_NOISE]

    @property
    def seen(self) -> float:
        """Measurements so far, up to a limit."""
        return self._cells[_SEEN]

    @property
    def is_known(self) -> bool:
        """Whether enough was seen, and lately enough, to forecast from."""
        return self._cells[_SEEN] >= _ENOUGH and self._cells[_LEVEL_VARIANCE] <= _VAGUE

    def _agility(self, level: float) -> float:
        """How fast level and slope move, over what their noises say."""
        return min(max(level, 0.1) * _COUNT_AGILITY, 1.0) if self._is_count else 1.0

    def learn(self, value: float, unit: float) -> None:
        """Take in the measurement of a bucket.

        Args:
            value: What was measured.
            unit: Its variance up to a factor that is learned: 1 for levels, the mean for counts,
                r (1 - r) / n for shares.
        """
        level, slope, p11, p12, p22, noise, usual, seen = self._cells
        if not seen:
            variance = 0.01 * self._agility(value)
            noise = max(unit, self._least)
            self._cells = array("f", (value, 0.0, 1.0, 0.0, variance, noise, unit, 1.0))
            return
        agility = self._agility(level)
        unit = max(unit, 1e-12)
        usual += (unit - usual) / min(seen + 1.0, _NOISE_MEMORY)
        damping = self._ahead.damping
        # One bucket on.
        level += damping * slope
        slope *= damping
        p11 += damping * (2.0 * p12 + damping * p22) + _LEVEL_NOISE * agility
        p12 = damping * (p12 + damping * p22)
        p22 = damping * damping * p22 + _SLOPE_NOISE * agility
        # The measurement.
        precision = unit / usual
        total = p11 + precision
        deviation = math.sqrt(total * noise)
        error = value - level
        squared = error * error / total
        if seen >= 3.0:
            squared = min(squared, _OUTLIER * _OUTLIER * noise)
            error = max(-_OUTLIER * deviation, min(error, _OUTLIER * deviation))
        gain, gain_slope = p11 / total, p12 / total
        level += gain * error
        slope += gain_slope * error
        p22 = max(p22 - gain_slope * p12, 0.0)
        p12 *= 1.0 - gain
        p11 *= 1.0 - gain
        noise += (squared - noise) / min(seen + 1.0, _NOISE_MEMORY)
        noise = max(noise, self._least, 1e-8 * level * level)
        self._cells = array(
            "f", (level, slope, p11, p12, p22, noise, usual, min(seen + 1.0, _NOISE_MEMORY))
        )

    def forget(self) -> None:
        """Begin anew."""
        if self._cells[_SEEN]:
            self._cells = array("f", bytes(4 * _CELLS))

    def skip(self) -> None:
        """Let a bucket pass in which nothing was measured."""
        cells = self._cells
        if not cells[_SEEN]:
            return
        damping = self._ahead.damping
        level, slope, p11, p12, p22 = cells[:_NOISE]
        agility = self._agility(level)
        cells[_LEVEL] += damping * slope
        cells[_SLOPE] = slope * damping
        cells[_LEVEL_VARIANCE] = min(
            p11 + damping * (2.0 * p12 + damping * p22) + _LEVEL_NOISE * agility, _MOST_VARIANCE
        )
        cells[_COVARIANCE] = max(
            min(damping * (p12 + damping * p22), _MOST_VARIANCE), -_MOST_VARIANCE
        )
        cells[_SLOPE_VARIANCE] = min(
            damping * damping * p22 + _SLOPE_NOISE * agility, _MOST_VARIANCE
        )

    def forecast(self, step: int) -> tuple[float, float]:
        """Return mean and variance of the level at a step ahead, noise of measuring left out."""
        level, slope, p11, p12, p22, noise = self._cells[:_UNIT]
        reach = self._ahead.slopes[step]
        variance = p11 + 2.0 * reach * p12 + reach * reach * p22
        variance += self._ahead.drifts[step] * self._agility(level)
        return level + reach * slope, max(variance, 0.0) * noise

    def forecasts(self) -> list[tuple[float, float]]:
        """Return `forecast` of every step."""
        level, slope, p11, p12, p22, noise = self._cells[:_UNIT]
        drift = self._agility(level) * noise
        p11 *= noise
        p12 *= 2.0 * noise
        p22 *= noise
        ahead = self._ahead
        return [
            (
                level + reach * slope,
                max(p11 + reach * (p12 + reach * p22), 0.0) + drift * drifts,
            )
            for reach, drifts in zip(ahead.slopes, ahead.drifts, strict=True)
        ]

    def dump(self) -> bytes:
        """Return the state, of which the version is that of whoever holds it.

        Eight little-endian floats of single precision: level and slope, the variance of the level,
        their covariance, the variance of the slope, noise, usual unit, and how many measurements
        there were.
        """
        return vector_bytes(self._cells, "f")

    def load(self, state: bytes) -> None:
        """Take the state back; ValueError if it could not be one."""
        cells = vector(state, "trend", "f")
        if len(cells) != _CELLS:
            raise ValueError("not the state of a trend")
        variances = [abs(variance) for variance in cells[_LEVEL_VARIANCE:_NOISE]]
        if (
            max(abs(cells[_LEVEL]), abs(cells[_SLOPE])) > _MOST_LEVEL
            or max(variances) > 100.0 * _MOST_VARIANCE
            or min(cells[_LEVEL_VARIANCE], cells[_SLOPE_VARIANCE]) < 0.0
            or min(cells[_NOISE], cells[_UNIT]) < 0.0
            or max(cells[_NOISE], cells[_UNIT]) > _MOST_NOISE
            or not 0.0 <= cells[_SEEN] <= _NOISE_MEMORY
            or (cells[_SEEN] > 0.0 and min(cells[_NOISE], cells[_UNIT]) <= 0.0)
        ):
            raise ValueError("a trend out of range")
        level, both, slope = cells[_LEVEL_VARIANCE:_NOISE]
        if both * both > level * slope * 1.001 + 1e-6:
            raise ValueError("a trend whose covariance matrix is not valid")
        self._cells = cells
