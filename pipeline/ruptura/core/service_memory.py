"""What detect and decide remember of one service: its detectors by channel, and its alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ruptura.core.config import Config
from ruptura.core.decide.service import ServiceAlerts
from ruptura.core.detect.channel_detectors import ChannelDetectors, ChannelDetectorsState
from ruptura.core.series.observations import SentAs

_NAMED: Final = 3
"""Series or channels that are named of those that begin anew for one reason."""


class ServiceMemory:
    """What detect and decide remember of a service.

    Args:
        name: Of the service.
        config: Shared by all services.

    Attributes:
        detectors: By channel; those of a channel begin with its first closed bucket.
        alerts: Of its channels.
    """

    __slots__ = ("_config", "_name", "alerts", "detectors")

    def __init__(self, name: str, config: Config) -> None:
        self._name = name
        self._config = config
        self.detectors: dict[str, ChannelDetectors] = {}
        self.alerts = ServiceAlerts(name, config.decide)

    def detector(self, channel: str) -> ChannelDetectors:
        """Return the detectors of a channel, which may begin."""
        found = self.detectors.get(channel)
        if found is None:
            found = self.detectors[channel] = self._fresh(channel)
            learned = self._config.history.get((self._name, channel))
            if learned is not None:
                found.learn_from(learned.detectors, learned.sent_as)
        return found

    def _fresh(self, channel: str) -> ChannelDetectors:
        return ChannelDetectors(self._name, channel, self._config.detect)

    def end(self, channel: str, *, is_renewed: bool) -> None:
        """Forget what a channel that has ended had learned; what came after may begin a new one."""
        self.detectors.pop(channel, None)
        if is_renewed:
            self.detectors[channel] = self._fresh(channel)

    def reconfigure(self, config: Config) -> None:
        """Replace the configuration, keep the state; the detectors are reconfigured already."""
        self._config = config
        self.alerts.reconfigure(config.decide)

    def load_detectors(
        self,
        learned: Mapping[str, ChannelDetectorsState],
        *,
        sent_as: Mapping[str, Mapping[str, SentAs]],
    ) -> Sequence[str]:
        """Restore what channels have learned; ValueError, and nothing changes, if it is not valid.

        Args:
            learned: By channel.
            sent_as: How the metrics of each channel are sent; without a state its detectors begin
                anew.

        Returns:
            Which series begin anew in whole or in part, and why.
        """
        detectors = {}
        anew: list[tuple[str, str]] = []
        for channel, known in sent_as.items():
            detectors[channel] = self._fresh(channel)
            if channel in learned:
                found = detectors[channel].load(learned[channel], known)
                anew += [(f"{channel} {series}", reason) for series, reason in found]
        self.detectors = detectors
        return _by_reason(anew)

    def load_forecasters(self, learned: Mapping[str, Mapping[str, bytes]]) -> Sequence[str]:
        """Take back the states of forecasters; return which begin anew, and why."""
        anew: list[tuple[str, str]] = []
        for channel, detector in self.detectors.items():
            try:
                found = detector.load_forecaster(learned.get(channel, {}))
            except ValueError as error:
                found = [str(error)]
            anew += [(channel, reason) for reason in found]
        return _by_reason(anew)


def _by_reason(anew: Sequence[tuple[str, str]]) -> Sequence[str]:
    """Say each reason once, with some of those that it is true of: thousands may be."""
    names: dict[str, list[str]] = {}
    for name, reason in anew:
        names.setdefault(reason, []).append(name)
    return [
        f"{reason}: {', '.join(found[:_NAMED])}"
        + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
        for reason, found in names.items()
    ]
