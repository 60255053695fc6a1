"""The objectives of a channel, each judged by the queue where it is known, else by a trend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from scipy.special import gammaincc

from ruptura.core.contracts.facts import Breach, Objective
from ruptura.core.detect.forecast import CALM, Forecast, Objectives, Readings
from ruptura.core.detect.state import pack, unpack
from ruptura.core.series.registry import Measure
from ruptura.forecast.bounds import Judged, States, WindowMean, Worst, steady_states
from ruptura.forecast.queue import Path, Queue
from ruptura.forecast.trend import Ahead

STEPS: Final = 10
"""Steps into which the horizon is cut."""

_UNTOLD: Final = 10.0
"""Contacts that a share is taken to be of, where it was sent as a plain value."""

_HARDLY: Final = 1e-6
"""A whole of which no share is taken."""

_TARGET: Final = 20.0
"""Seconds for a table of steady states in which nobody asks for a target time."""

_LONGEST: Final[tuple[Measure, ...]] = ("oldest_wait", "wait")
_WAITING: Final[tuple[Measure, ...]] = ("waiting_contacts", "backlog")
_QUEUED: Final = frozenset(("answer", "longest_wait", "abandonment", "backlog"))


class ChannelForecaster:
    """The forecast of one channel.

    Args:
        objectives: At least one.
        bucket_seconds: Length of a bucket.
        ahead: Shared constants, `STEPS` of them up to the horizon.
    """

    __slots__ = (
        "_horizon",
        "_means",
        "_objectives",
        "_queue",
        "_target_seconds",
        "_waits",
        "_worsts",
    )

    def __init__(self, objectives: Objectives, bucket_seconds: float, ahead: Ahead) -> None:
        self._objectives = objectives
        self._horizon = ahead.times[-1]
        self._means: dict[Objective, WindowMean] = {}
        self._worsts: dict[Objective, Worst] = {}
        self._waits: WindowMean | None = None
        within, ratio = objectives.answer_within_seconds, objectives.service_level_ratio
        self._target_seconds = within or 0.0
        if within is not None and ratio is not None:
            self._means["answer"] = WindowMean(1.0 - ratio, ahead, is_share=True)
            # Waits taken as exponential keep the objective up to this mean.
            most = within / max(-math.log1p(-ratio), 1e-9)
            self._waits = WindowMean(most, ahead, is_share=False)
        shares: tuple[tuple[Objective, float | None], ...] = (
            ("abandonment", objectives.abandonment_ratio),
            ("errors", objectives.errors_ratio),
        )
        for objective, limit in shares:
            if limit is not None:
                self._means[objective] = WindowMean(limit, ahead, is_share=True)
        if objectives.request_seconds is not None:
            self._means["latency"] = WindowMean(objectives.request_seconds, ahead, is_share=False)
        worsts: tuple[tuple[Objective, float | None], ...] = (
            ("longest_wait", objectives.longest_wait_seconds),
            ("backlog", objectives.backlog_contacts),
        )
        for objective, limit in worsts:
            if limit is not None:
                self._worsts[objective] = Worst(limit, ahead, bucket_seconds)
        is_queued = bool(_QUEUED & (self._means.keys() | self._worsts.keys()))
        self._queue = Queue(bucket_seconds, ahead) if is_queued else None

    def update(self, readings: Readings, *, is_open: bool) -> tuple[Forecast, ...]:
        """Take in a closed bucket; return a forecast for each objective that can be judged."""
        if not is_open:
            self._skip()
            return ()
        path = None
        queue = self._queue
        if queue is not None:
            queue.learn(readings)
            path = queue.path()
        states = None if path is None else steady_states(path, self._target_seconds or _TARGET)
        found: dict[Objective, Judged] = {}
        for objective, mean in self._means.items():
            led = path if objective in _QUEUED else None
            self._learn_mean(objective, mean, readings, led)
            judged = self._judged_mean(objective, mean, led, states)
            if judged is not None:
                found[objective] = judged
        for objective, worst in self._worsts.items():
            judged = _judged_worst(objective, worst, readings, path)
            if judged is not None:
                found[objective] = judged
        return self._forecasts(found, is_queue_known=path is not None)

    def _skip(self) -> None:
        if self._queue is not None:
            self._queue.skip()
        if self._waits is not None:
            self._waits.skip()
        for mean in self._means.values():
            mean.skip()
        for worst in self._worsts.values():
            worst.skip()

    def _learn_mean(
        self, objective: Objective, mean: WindowMean, readings: Readings, path: Path | None
    ) -> None:
        part = self._late(readings, path) if objective == "answer" else _part(objective, readings)
        if part is None or part[1] <= _HARDLY:
            mean.skip()
        elif path is not None:
            mean.add(*part)
        else:
            mean.follow(*part)
        if objective != "answer" or self._waits is None:
            return
        wait = readings.get("wait")
        if wait is None:
            self._waits.skip()
        elif path is not None:
            self._waits.add(wait[0], 1.0)
        else:
            self._waits.follow(wait[0], 1.0)

    def _late(self, readings: Readings, path: Path | None) -> tuple[float, float] | None:
        """Return how many were answered late, and of how many."""
        share = readings.get("service_level")
        if share is not None:
            answered, contacts = _contacts(share)
            return contacts - answered, contacts
        queue = self._queue
        if path is None or queue is None or queue.waiting is None:
            return None
        # Not told how many were late: those who came and found so many before them. They wait for
        # so many to leave, and one more: a gamma variable. Under one waited only a part of them.
        waiting = queue.waiting
        left = path.servers * path.service_rate * self._target_seconds
        chance = min(waiting, 1.0) * float(gammaincc(waiting + 1.0, left))
        contacts = max(queue.arrivals.level, 0.0)
        return contacts * chance, contacts

    def _judged_mean(
        self, objective: Objective, mean: WindowMean, path: Path | None, states: States | None
    ) -> Judged | None:
        if path is not None and states is not None:
            return mean.by_path(path, states, "late" if objective == "answer" else "abandoned")
        if mean.is_known:
            return mean.by_trend()
        if objective == "answer" and self._waits is not None and self._waits.is_known:
            return self._waits.by_trend()
        return None

    def _forecasts(
        self, found: Mapping[Objective, Judged], *, is_queue_known: bool
    ) -> tuple[Forecast, ...]:
        """Return forecasts; only of the most probable breach is there anything to say."""
        highest = max((judged.probability for judged in found.values()), default=0.0)
        return tuple(
            self._forecast(
                objective,
                judged,
                by_path=is_queue_known and objective in _QUEUED,
                is_explained=judged.probability >= max(highest, CALM),
            )
            for objective, judged in found.items()
        )

    def _forecast(
        self, objective: Objective, judged: Judged, *, by_path: bool, is_explained: bool
    ) -> Forecast:
        breach = self._breach(objective, judged, by_path=by_path) if is_explained else None
        return Forecast(
            objective,
            judged.probability,
            _whole(judged.seconds),
            judged.now,
            judged.ahead,
            judged.lower,
            judged.upper,
            breach,
        )

    def _breach(self, objective: Objective, judged: Judged, *, by_path: bool) -> Breach:
        is_answer = objective == "answer"
        return Breach(
            objective,
            _limit(objective, self._objectives),
            self._objectives.answer_within_seconds if is_answer else None,
            is_answer and self._is_by_waits(by_path=by_path),
            self._horizon,
            judged.probability,
            judged.seconds,
            judged.now,
            judged.ahead,
            judged.lower,
            judged.upper,
            self._queue.workload() if by_path and self._queue is not None else None,
        )

    def _is_by_waits(self, *, by_path: bool) -> bool:
        return not by_path and not self._means["answer"].is_known

    def dump(self) -> dict[str, bytes]:
        """Return the state of the parts that have one, each with its version."""
        return {
            name: pack(part)
            for name, part in self._parts().items()
            if isinstance(part, Queue) or not part.is_fresh
        }

    def load(self, state: Mapping[str, bytes]) -> Sequence[str]:
        """Take the state back; as the protocol."""
        return [
            f"{name} of another version"
            for name, part in self._parts().items()
            if name in state and not unpack(part, state[name])
        ]

    def _parts(self) -> dict[str, Queue | WindowMean | Worst]:
        parts: dict[str, Queue | WindowMean | Worst] = {}
        if self._queue is not None:
            parts["queue"] = self._queue
        parts.update(self._means.items())
        parts.update(self._worsts.items())
        if self._waits is not None:
            parts["waits"] = self._waits
        return parts


def _limit(objective: Objective, objectives: Objectives) -> float:
    """Return what an objective bounds by; 0 without one."""
    limits: dict[Objective, float | None] = {
        "answer": objectives.service_level_ratio,
        "longest_wait": objectives.longest_wait_seconds,
        "abandonment": objectives.abandonment_ratio,
        "backlog": objectives.backlog_contacts,
        "errors": objectives.errors_ratio,
        "latency": objectives.request_seconds,
    }
    return limits[objective] or 0.0


def _whole(seconds: float | None) -> float | None:
    """Round to what can be meant; only what is broken already is so in 0 seconds."""
    return max(float(round(seconds)), 1.0) if seconds else seconds


def _part(objective: Objective, readings: Readings) -> tuple[float, float] | None:
    """Return what is bounded and what it is a part of."""
    if objective == "latency":
        latency = readings.get("latency")
        return None if latency is None else (latency[0], 1.0)
    share = readings.get("errors" if objective == "errors" else "abandonment")
    if share is not None:
        return _contacts(share)
    if objective == "errors":
        return None
    lost, opened = readings.get("abandoned_contacts"), readings.get("opened_contacts")
    if lost is None or opened is None:
        return None
    return min(lost[0], opened[0]), opened[0]


def _contacts(share: tuple[float, float]) -> tuple[float, float]:
    """Return both sides of a share; of a few contacts, where it was sent without."""
    part, whole = share
    if whole > _HARDLY:
        return min(max(part, 0.0), whole), whole
    return min(max(part, 0.0), 1.0) * _UNTOLD, _UNTOLD


def _judged_worst(
    objective: Objective, worst: Worst, readings: Readings, path: Path | None
) -> Judged | None:
    value = _worst(objective, readings)
    if path is not None:
        worst.add()
        return worst.by_path(path, value, as_wait=objective == "longest_wait")
    if value is None:
        worst.skip()
    else:
        worst.follow(value)
    return worst.by_trend() if worst.is_known else None


def _worst(objective: Objective, readings: Readings) -> float | None:
    """Return the wait of who has waited longest, or how many wait."""
    for measure in _LONGEST if objective == "longest_wait" else _WAITING:
        if measure in readings:
            return readings[measure][0]
    return None
