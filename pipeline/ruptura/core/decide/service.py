"""The alerts of one service: the signals of its channels, weighed together in each bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from ruptura.core.contracts.document import Action, Direction
from ruptura.core.contracts.effects import ChannelPoint, State
from ruptura.core.contracts.facts import AlertFacts, Term
from ruptura.core.contracts.tuning import AlertTuning
from ruptura.core.decide import incidents, lifecycle
from ruptura.core.decide.lifecycle import Lifecycle, Transition
from ruptura.core.decide.materiality import contacts_rise, material
from ruptura.core.decide.risk import combine
from ruptura.core.detect.channel_detector import Detection
from ruptura.core.detect.signals import Signal
from ruptura.core.series.registry import Registry

Plan = Mapping[str, Sequence[Action]]
"""Actions of the contingency plan by kind of alert."""

Detections = Mapping[str, Detection]
"""What one closed bucket says, by channel, in order of their names."""


class DecideConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What all services' decisions share.

    Attributes:
        tuning: When risk becomes an alert.
        registry: What is known of series.
        plan: The contingency plan of a service.
    """

    tuning: AlertTuning
    registry: Registry
    plan: Callable[[str], Plan]


class Assessment(msgspec.Struct, frozen=True, gc=False):
    """What a closed bucket of a channel comes to.

    Attributes:
        channel: Its name.
        risk: Probability of a rupture, in [0, 1].
        state: Of its alert.
        transition: Of its alert; None if nobody is to be notified.
    """

    channel: str
    risk: float
    state: State
    transition: Transition | None


class ServiceAlerts:
    """The alerts of a service's channels.

    Args:
        name: Of the service.
        config: Shared by all services.

    Attributes:
        lifecycles: Where the alert of each channel stands, by channel.
    """

    __slots__ = ("_config", "_name", "_plan", "lifecycles")

    def __init__(self, name: str, config: DecideConfig) -> None:
        self._name = name
        self._config = config
        self._plan = config.plan(name)
        self.lifecycles: dict[str, Lifecycle] = {}

    def reconfigure(self, config: DecideConfig) -> None:
        """Go on with other thresholds and another plan."""
        self._config = config
        self._plan = config.plan(self._name)

    def blamed(self, channel: str) -> Sequence[tuple[str, Direction]]:
        """Return the series that the open alert of a channel blames, with their directions."""
        found = self.lifecycles.get(channel)
        return () if found is None else [(s.series, s.direction) for s in found.signals]

    def material(self, detections: Detections) -> dict[str, list[Signal]]:
        """Return the signals that matter, by channel; channels without any are left out.

        What a channel means depends on what its siblings say in the same bucket.
        """
        registry = self._config.registry
        by_channel = {name: found.signals for name, found in detections.items() if found.signals}
        if not by_channel:
            return {}
        rises = {name: contacts_rise(signals, registry) for name, signals in by_channel.items()}
        # The two largest: a channel is no sibling of itself.
        largest, second = sorted((0.0, 0.0, *rises.values()))[:-3:-1]
        kept = {}
        for name, signals in by_channel.items():
            found = material(
                signals,
                registry,
                is_warm=detections[name].is_warm,
                is_queue_seen=detections[name].is_queue_seen,
                elsewhere=second if rises[name] == largest else largest,
            )
            if found:
                kept[name] = found
        return kept

    def assess(
        self,
        channel: str,
        detection: Detection,
        signals: Mapping[str, Sequence[Signal]],
        start: float,
        end: float,
    ) -> Assessment:
        """Turn what a channel says into its risk, and move its alert on.

        Args:
            channel: Its name.
            detection: What it says.
            signals: What `material` has left, by channel.
            start, end: Of the bucket, in seconds since the Unix epoch.
        """
        config = self._config
        siblings: Sequence[Term] = ()
        own = signals.get(channel, ())
        if own:
            siblings = incidents.corroborate(channel, signals, config.registry)
        risk = combine(
            own,
            config.tuning.prior,
            config.registry,
            points=detection.points if detection.signals else (),
            siblings=siblings,
        )
        ahead = detection.breach_seconds
        state = self.lifecycles.get(channel)
        if state is None:
            state = self.lifecycles[channel] = Lifecycle()
        transition = lifecycle.advance(
            state,
            risk,
            start,
            end,
            healthy=detection.healthy,
            tuning=config.tuning,
            breach_at=None if ahead is None else end + ahead,
        )
        shown: State = "normal" if detection.is_warm else "warming_up"
        if state.status in ("warning", "critical"):
            shown = state.status
        return Assessment(channel, risk.probability, shown, transition)

    def link(self, assessments: Sequence[Assessment]) -> None:
        """Let the alerts that a bucket has opened join an incident of the service."""
        opened = [
            one.channel
            for one in assessments
            if one.transition is not None and one.transition.reason == "opened"
        ]
        if opened:
            alerts = {one.channel: self.lifecycles[one.channel] for one in assessments}
            incidents.join(self._name, opened, alerts, self._config.registry)

    def point(self, assessment: Assessment, detection: Detection, end: float) -> ChannelPoint:
        """Return the point of a channel, once `link` was asked.

        Args:
            assessment: Of the channel.
            detection: What it says.
            end: Of the bucket, in seconds since the Unix epoch.
        """
        channel = assessment.channel
        return ChannelPoint(
            self._name,
            channel,
            end,
            assessment.risk,
            assessment.state,
            detection.breach_probability,
            detection.breach_seconds,
            lifecycle.open_alert(self.lifecycles[channel], self._name, channel),
        )

    def documents(self, assessments: Iterable[Assessment]) -> list[AlertFacts]:
        """Return the documents of transitions, after `point`: alerts that end are cleared."""
        return [
            self._document(one.channel, one.transition)
            for one in assessments
            if one.transition is not None
        ]

    def expire(self, channel: str, end: float) -> list[AlertFacts]:
        """End a channel that is taken to be gone; return the last document of its alert, if any."""
        state = self.lifecycles.get(channel)
        if state is None:
            return []
        transition = lifecycle.expire(state, end)
        documents = [] if transition is None else [self._document(channel, transition)]
        del self.lifecycles[channel]
        return documents

    def _document(self, channel: str, transition: Transition) -> AlertFacts:
        return lifecycle.alert_facts(
            self.lifecycles[channel], transition, self._name, channel, self._plan
        )

    def load(self, states: Mapping[str, Lifecycle]) -> None:
        """Restore lifecycles; ValueError if one of them is not valid."""
        for state in states.values():
            state.check()
        self.lifecycles = dict(states)
