"""A channel while contacts run through it, and what it notes down about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ruptura.simulator.curves import Curves
from ruptura.simulator.desk import Desk
from ruptura.simulator.scenario import Channel, Distribution
from ruptura.simulator.timeline import Bools

_BLOCK: Final = 2048
_SIGMA: Final = 0.7
"""Of the log of a duration: Brown et al., Statistical Analysis of a Telephone Call Center, JASA
100(469), 2005, find handle times lognormal."""
_BLOCKING: Final = 0.5  # share of contacts that fail where all requests do but some try again
_GLAD: Final = (0.03, 0.04, 0.1, 0.28, 0.55)
_SORRY: Final = (0.3, 0.2, 0.2, 0.15, 0.15)


class Log(msgspec.Struct):
    """What happened on a channel, for metrics and for the truth. Times are in seconds.

    Attributes:
        tries: When contacts tried to get in.
        entered, left: By contact in the queue: when it came, and when it was taken or given up.
        handled: Its handle time; -1 where it was given up.
        met, contained: Sessions of the bot: when each ended, and whether without a person.
    """

    tries: list[float] = []
    entered: list[float] = []
    left: list[float] = []
    handled: list[float] = []
    met: list[float] = []
    contained: list[bool] = []


class Station:
    """A channel while contacts run through it.

    Args:
        index: Among the channels of the scenario.
        channel: Which.
        siblings: Index by name of the channels of its service.
        target: Seconds within which contacts should be answered.
        desk: Its queue.
        opened, curves: Its state by minute.
        rng: Its own.
    """

    def __init__(
        self,
        index: int,
        channel: Channel,
        *,
        siblings: Mapping[str, int],
        target: float,
        desk: Desk,
        opened: Bools,
        curves: Curves,
        rng: np.random.Generator,
    ) -> None:
        self.index, self.channel, self.desk, self.target = index, channel, desk, target
        self.log = Log()
        self.count = 0
        self.open: list[bool] = opened.tolist()
        self.lost: list[float] = np.maximum(curves.blocked, curves.failing * _BLOCKING).tolist()
        self.handling: list[float] = curves.handling.tolist()
        bot = channel.bot
        contained = 0.0 if bot is None else bot.containment_ratio
        self.containment: list[float] = (curves.containment * contained).tolist()
        self.spill = [(share, siblings[name]) for name, share in channel.spill.items()]
        self.chance = _stream(rng.random)
        self.wait = _stream(rng.standard_exponential)
        self.patience = durations(channel.patience_seconds, channel.patience_distribution, rng)
        self.handle = durations(channel.handle_seconds, channel.handle_distribution, rng)
        self.session = durations(1.0 if bot is None else bot.session_seconds, "lognormal", rng)
        scores = np.arange(1, 6)
        self.glad: Iterator[int] = _stream(lambda size: rng.choice(scores, size, p=_GLAD))
        self.sorry: Iterator[int] = _stream(lambda size: rng.choice(scores, size, p=_SORRY))

    def elsewhere(self, share: float) -> int | None:
        """Return where a customer tries again, if at all: here, or at a sibling channel.

        Args:
            share: Of the ratios that the scenario gives for this.
        """
        chance = next(self.chance) - self.channel.retry_ratio * share
        if chance < 0.0:
            return self.index
        for ratio, sibling in self.spill:
            chance -= ratio * share
            if chance < 0.0:
                return sibling
        return None


def durations(mean: float, kind: Distribution, rng: np.random.Generator) -> Iterator[float]:
    """Yield durations of a distribution with this mean, in seconds."""
    if kind == "exponential":
        return _stream(lambda size: rng.exponential(mean, size))
    location = np.log(mean) - _SIGMA**2 / 2.0
    return _stream(lambda size: rng.lognormal(location, _SIGMA, size))


def _stream(draw: Callable[[int], NDArray[Any]]) -> Iterator[Any]:
    """Yield numbers one by one that are drawn in blocks."""
    while True:
        yield from draw(_BLOCK).tolist()
