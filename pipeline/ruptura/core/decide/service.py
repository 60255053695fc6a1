"""The alerts of one service: the signals of its channels, weighed together in each bucket."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence

import msgspec

from ruptura.core.contracts.document import Action, Direction
from ruptura.core.contracts.effects import ChannelPoint, State
from ruptura.core.contracts.facts import AlertFacts, Term
from ruptura.core.contracts.tuning import AlertTuning
from ruptura.core.decide import incidents, lifecycle
from ruptura.core.decide.lifecycle import Lifecycle, Transition
from ruptura.core.decide.materiality import contacts_rise, material
from ruptura.core.decide.risk import combine
from ruptura.core.detect.channel_detectors import Detection
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
        detection: What it says.
        risk: Probability of a rupture, in [0, 1].
        state: Of its alert.
        transition: Of its alert; None if nobody is to be notified.
    """

    channel: str
    detection: Detection
    risk: float
    state: State
    transition: Transition | None


Decision = tuple[ChannelPoint, AlertFacts | None]
"""What is published of a closed bucket of a channel: its point, and a document where due."""


class ServiceAlerts:
    """The alerts of a service's channels.

    A bucket is decided in two calls, since every channel has to be assessed before any alert knows
    which incident it belongs to: `decide(assess(detections))`, each channel by channel, so that a
    large service can be decided in portions.

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
        """Replace thresholds and plan; the alerts stay."""
        self._config = config
        self._plan = config.plan(self._name)

    def blamed(self, channel: str) -> Sequence[tuple[str, Direction]]:
        """Return the series that the open alert of a channel blames, with their directions."""
        found = self.lifecycles.get(channel)
        return () if found is None else [(s.series, s.direction) for s in found.signals]

    def assess(self, detections: Detections, start: float, end: float) -> Iterator[Assessment]:
        """Turn what the channels say into their risks, and move their alerts on.

        What a channel means depends on what its siblings say in the same bucket.

        Args:
            detections: Of all channels.
            start, end: Of the bucket, in seconds since the Unix epoch.
        """
        signals = self._material(detections)
        for channel, detection in detections.items():
            yield self._assess(channel, detection, signals, start, end)

    def decide(self, assessments: Sequence[Assessment], end: float) -> Iterator[Decision]:
        """Let alerts that have opened join an incident, and tell what is published.

        Args:
            assessments: Of all channels.
            end: Of the bucket, in seconds since the Unix epoch.
        """
        self._link(assessments)
        for one in assessments:
            point = self._point(one, end)
            # After the point: the document of an alert that ends clears it.
            moved = one.transition
            yield point, None if moved is None else self._facts(one.channel, moved)

    def _material(self, detections: Detections) -> dict[str, list[Signal]]:
        """Return the signals that matter, by channel; channels without any are left out."""
        registry = self._config.registry
        by_channel = {name: found.signals for name, found in detections.items() if found.signals}
        if not by_channel:
            return {}
        rises = {name: contacts_rise(signals, registry) for name, signals in by_channel.items()}
        # A channel is no sibling of itself: beside the one that rises most stands the second.
        second, largest = sorted((0.0, 0.0, *rises.values()))[-2:]
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

    def _assess(
        self,
        channel: str,
        detection: Detection,
        signals: Mapping[str, Sequence[Signal]],
        start: float,
        end: float,
    ) -> Assessment:
        """Assess one channel; `signals` are the material ones of all, by channel."""
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
            health=detection.health,
            tuning=config.tuning,
            breach_at=None if ahead is None else end + ahead,
        )
        shown: State = "normal" if detection.is_warm else "warming_up"
        if state.status in ("warning", "critical"):
            shown = state.status
        return Assessment(channel, detection, risk.probability, shown, transition)

    def _link(self, assessments: Sequence[Assessment]) -> None:
        """Let the alerts that a bucket has opened join an incident of the service."""
        opened = [
            one.channel
            for one in assessments
            if one.transition is not None and one.transition.reason == "opened"
        ]
        if opened:
            alerts = {one.channel: self.lifecycles[one.channel] for one in assessments}
            incidents.join(self._name, opened, alerts, self._config.registry)

    def _point(self, assessment: Assessment, end: float) -> ChannelPoint:
        channel, detection = assessment.channel, assessment.detection
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

    def expire(self, channel: str, end: float) -> list[AlertFacts]:
        """End a channel that is taken to be gone; return the last document of its alert, if any."""
        state = self.lifecycles.get(channel)
        if state is None:
            return []
        transition = lifecycle.expire(state, end)
        documents = [] if transition is None else [self._facts(channel, transition)]
        del self.lifecycles[channel]
        return documents

    def _facts(self, channel: str, transition: Transition) -> AlertFacts:
        return lifecycle.alert_facts(
            self.lifecycles[channel], transition, self._name, channel, self._plan
        )

    def load(self, states: Mapping[str, Lifecycle], *, channels: Container[str]) -> None:
        """Restore lifecycles; ValueError if one of them is not valid.

        Args:
            states: By channel.
            channels: Those that there are; what belongs to others is left out.
        """
        known = {name: state for name, state in states.items() if name in channels}
        for state in known.values():
            state.check()
        self.lifecycles = known
