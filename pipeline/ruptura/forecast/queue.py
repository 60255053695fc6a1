"""Contacts before agents: what is known of them, and where that leads within the horizon.

Between the steady states of `erlang` the number in the system follows a fluid with abandonment
(Garnett, Mandelbaum & Reiman 2002; Whitt, Fluid models for multiserver queues with abandonments,
Operations Research 54, 2006), and wanders about it as a diffusion whose variance has an equation
of its own (Mandelbaum, Massey & Reiman, Strong approximations for Markovian service networks,
Queueing Systems 30, 1998).
"""

from __future__ import annotations

import math
from array import array
from typing import ClassVar, Final

import msgspec

from ruptura.core.contracts.facts import Load
from ruptura.core.detect.forecast import Readings
from ruptura.core.detect.state import vector, vector_bytes
from ruptura.core.series.registry import Measure
from ruptura.forecast.trend import Ahead, Trend

VERSION: Final = 1

_HANDLED_MEMORY: Final = 200.0
"""Contacts over which handle times and throughput are remembered."""

_SHORTEST: Final = 0.1
"""Seconds below which a mean handle time is not credible."""

_ENOUGH_HANDLED: Final = 20.0
"""Handled contacts from which their mean time is known at all."""

_CAPACITY_ERROR: Final = 0.05
"""Relative standard error of what agents can do: 200 exponential handle times, faded, leave so."""

_PATIENCE_GUESS: Final = 300.0
_GUESSED_ABANDONMENTS: Final = 2.0
_QUEUE_MEMORY_SECONDS: Final = 6.0 * 3600.0
_USUAL_SECONDS: Final = 3.0 * 3600.0
_STANDS_SECONDS: Final = 900.0
"""How long numbers of agents and of waiting contacts stand while they are not measured."""

_MOST_REACH: Final = 20.0
_LEAST_PATIENCE: Final = 1.0
_MOST: Final = 1e7

_AHT, _AGENTS, _AGENTS_AGE, _WAITING, _WAITING_AGE, _REACH, _ABANDONED, _WAITED = range(8)
_USUAL_RATE, _USUAL_AHT, _USUAL_AGENTS, _HANDLED = range(8, 12)
_CELLS: Final = 12


class Path(msgspec.Struct, frozen=True, gc=False):
    """Where the number of contacts in the system goes, by step.

    Attributes:
        servers: Contacts that can be handled at once.
        service_rate, giving_up_rate: Of one contact, per second.
        begin: Number in the system now.
        mean: Number in the system at each step.
        wander: Variance about the mean, by chance from contact to contact, at each step.
        standard_error: Of the mean at each step.
    """

    servers: float
    service_rate: float
    giving_up_rate: float
    begin: float
    mean: list[float]
    wander: list[float]
    standard_error: list[float]

    def reach(self, wait_seconds: float) -> float:
        """Return how many wait where a contact that comes then will wait so long."""
        lost = self.giving_up_rate
        return self.servers * self.service_rate * math.expm1(min(lost * wait_seconds, 50.0)) / lost

    def wait(self, waiting: float) -> float:
        """Return how long a contact will wait behind so many, in seconds."""
        lost = self.giving_up_rate
        return math.log1p(lost * max(waiting, 0.0) / (self.servers * self.service_rate)) / lost


class QueueState(msgspec.Struct, frozen=True, array_like=True):
    """All that a `Queue` remembers.

    Attributes:
        cells: Twelve little-endian floats of single precision: mean handle time; agents, and the
            age of their number; waiting contacts, and the age of that; reach; abandoned contacts,
            and seconds waited; the usual rate, handle time and agents; and handled contacts.
        arrivals: As `Trend.dump`.
    """

    cells: bytes
    arrivals: bytes


class Queue:
    """What is known of a channel's queue.

    Args:
        bucket_seconds: Length of a bucket.
        ahead: Shared constants of forecasts; its steps are equally long.
    """

    VERSION: ClassVar[int] = VERSION
    STATE: ClassVar[type[msgspec.Struct]] = QueueState

    __slots__ = ("_ahead", "_bucket", "_cells", "arrivals")

    def __init__(self, bucket_seconds: float, ahead: Ahead) -> None:
        self._bucket = bucket_seconds
        self._ahead = ahead
        self.arrivals = Trend(ahead, is_count=True)
        # Single precision: what is kept is what goes on.
        self._cells = array("f", bytes(4 * _CELLS))
        self._cells[_REACH] = 1.0
        self._cells[_AGENTS_AGE] = self._cells[_WAITING_AGE] = _STANDS_SECONDS + 1.0

    @property
    def waiting(self) -> float | None:
        """Contacts that wait, if that was measured of late."""
        cells = self._cells
        return cells[_WAITING] if cells[_WAITING_AGE] <= _STANDS_SECONDS else None

    def learn(self, readings: Readings) -> None:
        """Take in a closed bucket."""
        cells = self._cells
        arrived = _arrivals(readings)
        if arrived is None:
            self.arrivals.skip()
        else:
            self.arrivals.learn(arrived, max(self.arrivals.level, 0.5))
        self._learn_handling(readings, arrived)
        before = self.waiting
        cells[_AGENTS_AGE] = min(cells[_AGENTS_AGE] + self._bucket, _MOST)
        cells[_WAITING_AGE] = min(cells[_WAITING_AGE] + self._bucket, _MOST)
        agents = readings.get("agents")
        if agents is not None and agents[0] >= 0.0:
            cells[_AGENTS], cells[_AGENTS_AGE] = min(agents[0], _MOST), 0.0
            cells[_USUAL_AGENTS] = self._usual(cells[_USUAL_AGENTS], cells[_AGENTS])
        waiting = _waiting(readings)
        if waiting is not None:
            cells[_WAITING], cells[_WAITING_AGE] = min(waiting, _MOST), 0.0
            lost = self._learn_patience(readings, waiting)
            if before is not None and arrived is not None:
                self._learn_reach(arrived, before, waiting, lost)
        if self.arrivals.is_known:
            cells[_USUAL_RATE] = self._usual(cells[_USUAL_RATE], max(self.arrivals.level, 0.0))

    def skip(self) -> None:
        """Let a bucket pass in which the service is closed."""
        self.arrivals.skip()
        cells = self._cells
        cells[_AGENTS_AGE] = min(cells[_AGENTS_AGE] + self._bucket, _MOST)
        cells[_WAITING_AGE] = min(cells[_WAITING_AGE] + self._bucket, _MOST)

    def _usual(self, usual: float, value: float) -> float:
        return usual + (value - usual) * min(self._bucket / _USUAL_SECONDS, 1.0) if usual else value

    def _learn_handling(self, readings: Readings, arrived: float | None) -> None:
        cells = self._cells
        mean = readings.get("handle_time")
        if mean is None or mean[0] < _SHORTEST:
            return
        seconds = min(mean[0], _MOST)
        size = min(max(mean[1] or arrived or 1.0, 1.0), _MOST)
        handled = cells[_HANDLED] + size
        cells[_AHT] += (seconds - cells[_AHT]) * size / handled
        cells[_HANDLED] = min(handled, _HANDLED_MEMORY)
        if handled >= _ENOUGH_HANDLED:
            cells[_USUAL_AHT] = self._usual(cells[_USUAL_AHT], cells[_AHT])

    def _learn_patience(self, readings: Readings, waiting: float) -> float:
        """Learn who gives up: abandonments over the time waited (E[queue] * rate = abandonments).

        Mandelbaum & Zeltyn, Service engineering in action: the Palm/Erlang-A queue, 2007.
        """
        cells = self._cells
        lost = _abandoned(readings)
        decay = 1.0 - self._bucket / max(_QUEUE_MEMORY_SECONDS, self._bucket)
        waited = waiting * self._bucket
        if lost is None:
            return waited * self._giving_up_rate()
        cells[_ABANDONED] = min(cells[_ABANDONED] * decay + lost, _MOST)
        cells[_WAITED] = min(cells[_WAITED] * decay + waited, 1e15)
        return lost

    def _learn_reach(self, arrived: float, before: float, waiting: float, lost: float) -> None:
        """Learn how much the agents do: a contact at a time each, or several, or less.

        While contacts wait, those served are counted; while none does, those who come are served.
        """
        cells = self._cells
        agents, aht = cells[_AGENTS], cells[_AHT]
        if (
            agents < 0.5
            or cells[_HANDLED] < _ENOUGH_HANDLED
            or cells[_AGENTS_AGE] > _STANDS_SECONDS
        ):
            return
        expected = agents * self._bucket / aht  # contacts, at one a time
        if before >= 1.0 and waiting >= 1.0:
            found = max(arrived - (waiting - before) - lost, 0.0) / expected
        elif waiting < 0.5:
            found = max(self.arrivals.level, 0.0) / expected
            if found <= cells[_REACH]:
                return
        else:
            return
        gain = expected / (expected + _HANDLED_MEMORY)
        reach = cells[_REACH] + gain * (found - cells[_REACH])
        cells[_REACH] = min(max(reach, 1.0 / _MOST_REACH), _MOST_REACH)

    def _giving_up_rate(self) -> float:
        cells = self._cells
        waited = cells[_WAITED] + _GUESSED_ABANDONMENTS * _PATIENCE_GUESS
        rate = (cells[_ABANDONED] + _GUESSED_ABANDONMENTS) / waited
        return min(max(rate, 1.0 / _QUEUE_MEMORY_SECONDS), 1.0 / _LEAST_PATIENCE)

    def path(self) -> Path | None:
        """Return where the queue goes; None while arrivals, agents or handle times are unknown."""
        cells = self._cells
        aht = cells[_AHT]
        agents = cells[_AGENTS]
        arrivals = self.arrivals
        if (
            cells[_HANDLED] < _ENOUGH_HANDLED
            or agents < 0.5
            or cells[_AGENTS_AGE] > _STANDS_SECONDS
        ):
            return None
        if not arrivals.is_known:
            return None
        servers = agents * cells[_REACH]
        mu, theta = 1.0 / aht, self._giving_up_rate()
        step = self._ahead.times[0]
        per_second = 1.0 / self._bucket
        busy_fade, idle_fade = math.exp(-theta * step), math.exp(-mu * step)
        busy_gain, idle_gain = (1.0 - busy_fade) / theta, (1.0 - idle_fade) / mu
        busy_error = (_CAPACITY_ERROR * servers * mu) ** 2
        noise = max(arrivals.noise / max(arrivals.level, 0.5), 1.0)  # over that of Poisson
        waiting = self.waiting
        x = servers + waiting if waiting is not None and waiting >= 0.5 else 0.0
        if not x:
            x = min(max(arrivals.level, 0.0) * per_second * aht, servers)
        begin = x
        variance = 0.0 if waiting is not None and waiting >= 0.5 else 0.5 * x
        error = 0.0
        mean, wander, errors = [], [], []
        kept_busy, kept_idle = busy_fade * busy_fade, idle_fade * idle_fade
        busy_spread, idle_spread = (1.0 - kept_busy) / (2.0 * theta), (1.0 - kept_idle) / (2.0 * mu)
        for rate, unsure in arrivals.forecasts():
            rate = rate * per_second if rate > 0.0 else 0.0  # noqa: PLW2901 - in another unit
            drift = max(unsure, 0.0) * per_second * per_second
            noisy = rate * noise
            if x >= servers:
                out = servers * mu + theta * (x - servers)
                x += (rate - out) * busy_gain
                error = error * busy_fade + math.sqrt(drift + busy_error) * busy_gain
                variance = variance * kept_busy + (noisy + out) * busy_spread
            else:
                out = mu * x
                x += (rate - out) * idle_gain
                error = error * idle_fade + math.sqrt(drift) * idle_gain
                variance = variance * kept_idle + (noisy + out) * idle_spread
            x = max(x, 0.0)  # a step longer than a contact lasts would overshoot
            mean.append(x)
            wander.append(variance)
            errors.append(error)
        return Path(servers, mu, theta, begin, mean, wander, errors)

    def workload(self) -> Load:
        """Return what there is to do; only where `path` says anything."""
        cells = self._cells
        times = self._ahead.times
        middle, _ = self.arrivals.forecast(len(times) // 2)
        rate = max(middle, 0.0) / self._bucket
        can = cells[_AGENTS] * cells[_REACH] * times[-1] / cells[_AHT]
        usual = cells[_USUAL_RATE] / self._bucket
        return Load(
            arrivals=rate * times[-1] / can,
            queue=(self.waiting or 0.0) / can,
            per_minute=rate * 60.0,
            aht=cells[_AHT],
            agents=cells[_AGENTS],
            by_arrivals=rate / usual if usual > 0.0 else 1.0,
            by_aht=cells[_AHT] / (cells[_USUAL_AHT] or cells[_AHT]),
            by_agents=(cells[_USUAL_AGENTS] or cells[_AGENTS]) / cells[_AGENTS],
        )

    def dump(self) -> QueueState:
        """Return the state."""
        return QueueState(vector_bytes(self._cells, "f"), self.arrivals.dump())

    def load(self, state: QueueState) -> None:
        """Take the state back; ValueError if it could not be one."""
        cells = vector(state.cells, "queue", "f")
        if len(cells) != _CELLS:
            raise ValueError("not the state of a queue")
        if (
            min(cells) < 0.0
            or not 1.0 / (2.0 * _MOST_REACH) <= cells[_REACH] <= 2.0 * _MOST_REACH
            or max(cells) > 1e17
            or max(cells[:_ABANDONED]) > 2.0 * _MOST
            or (cells[_HANDLED] > 0.0 and cells[_AHT] < 0.5 * _SHORTEST)
        ):
            raise ValueError("a queue out of range")
        self.arrivals.load(state.arrivals)
        self._cells = cells


def _arrivals(readings: Readings) -> float | None:
    """Contacts that came: tickets opened, else what shares are shares of."""
    opened = readings.get("opened_contacts")
    if opened is not None:
        return opened[0]
    shares: tuple[Measure, ...] = ("service_level", "abandonment")
    for share in shares:
        if share in readings and readings[share][1] > 0.0:
            return readings[share][1]
    return None


def _waiting(readings: Readings) -> float | None:
    waiting = readings.get("waiting_contacts")
    return max(waiting[0], 0.0) if waiting is not None else None


def _abandoned(readings: Readings) -> float | None:
    share = readings.get("abandonment")
    if share is not None and share[1] > 0.0:
        return share[0]
    tickets = readings.get("abandoned_contacts")
    return tickets[0] if tickets is not None else None
