"""What is known of series by their names, as `registry.toml` says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ruptura.core.contracts.event import ExceptionKind, MetricName
from ruptura.core.series.extraction import Extraction, TicketSeries, ticket_series

Family = Literal["count", "ratio", "gauge"]
Concern = Literal["surge", "failure"]
Role = Literal["contacts", "queue", "supply", "bot", "platform", "exceptions", "people", "voice"]
Measure = Literal[
    "abandoned_contacts",
    "abandonment",
    "agents",
    "backlog",
    "bot_containment",
    "bot_fallback",
    "bot_handoff",
    "delivery",
    "distinct_customers",
    "errors",
    "exceptions",
    "handle_time",
    "handovers",
    "latency",
    "occupancy",
    "oldest_wait",
    "opened_contacts",
    "orders",
    "platform_requests",
    "rating",
    "reopened_contacts",
    "resolution_time",
    "resolved_contacts",
    "saturation",
    "service_level",
    "signs_of_life",
    "wait",
    "waiting_contacts",
]
"""What code may ask for. Several series may measure the same; what nobody asks for needs none."""

TICKETS: Final = "tickets."
"""What the names of series of tickets begin with; no metric's name has a dot."""

_WAITS: Final[frozenset[Measure | None]] = frozenset(("wait", "oldest_wait"))


class SeriesSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a series is judged, and what it takes part in. The registry is a table of these."""

    family: Annotated[
        Family,
        Meta(
            description="count: events in a bucket, summed; ratio: numerator over denominator, "
            "both summed; gauge: a level, averaged."
        ),
    ]
    above: Annotated[Concern | None, Meta(description="What too high a value means.")] = None
    below: Annotated[Concern | None, Meta(description="What too low a value means.")] = None
    role: Annotated[Role, Meta(description="What it speaks for.")] = "supply"
    measures: Annotated[
        Measure | None, Meta(description="What it measures, where code asks for that.")
    ] = None
    exception: Annotated[
        ExceptionKind | None, Meta(description="The kind of exception that it counts.")
    ] = None
    tickets: Annotated[
        Extraction | None, Meta(description="How it is made of tickets; None: it is a metric.")
    ] = None
    scale: Annotated[
        Literal["linear", "log"], Meta(description="Scale in which a gauge is symmetric.")
    ] = "linear"
    silence: Annotated[
        bool, Meta(description="Whether nothing at all, where some was due, is a silence.")
    ] = False
    weight: Annotated[
        float, Meta(gt=0, le=1, description="How much its evidence counts in the risk.")
    ] = 1.0
    least: Annotated[
        float,
        Meta(
            ge=0,
            description="Least deviation that matters: of a gauge in its unit, of a count in "
            "events (0: as the settings say).",
        ),
    ] = 0.0
    least_relative: Annotated[
        float,
        Meta(ge=0, description="Least deviation that matters, relative, if over the settings'."),
    ] = 0.0
    per_contact: Annotated[
        bool,
        Meta(description="Whether it is a mean over contacts, which is not meaningful over few."),
    ] = False
    shows_queue: Annotated[
        bool, Meta(description="Of a queue: whether it tells that contacts do not wait, too.")
    ] = True
    unit: str = "1"
    definition: str = ""
    source: Annotated[str, Meta(description="Where the definition comes from.")] = ""

    @property
    def shape(self) -> str:
        """What shapes all that is learned of the series; of no use to one of another shape.

        >>> SeriesSpec(family="gauge", scale="log").shape
        'gauge, log'
        """
        if self.tickets is None:
            return f"{self.family}, {self.scale}"
        return f"{self.family}, {self.scale}, {self.tickets.text}"

    def concern(self, direction: Literal["above", "below"]) -> Concern | None:
        """Return what too high, or too low, a value means; None: nothing."""
        return self.above if direction == "above" else self.below


class _Entry(SeriesSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file has to say of each series, where a type alone could do without."""

    role: Role
    unit: str
    definition: Annotated[str, Meta(min_length=1)]
    source: Annotated[str, Meta(min_length=1)]


UNKNOWN_RATIO = SeriesSpec(
    family="ratio", above="failure", below="failure", weight=0.75, definition="Unknown ratio."
)
UNKNOWN_GAUGE = SeriesSpec(
    family="gauge", above="failure", below="failure", weight=0.75, definition="Unknown level."
)


class Registry:
    """The series that are known by name.

    Args:
        specs: By name, in the order in which series of tickets are closed.

    Attributes:
        specs: By name.
        tickets: The series of tickets, ready to be extracted.

    Raises:
        ValueError: an entry contradicts itself; the message names it.
    """

    __slots__ = ("_by_measure", "specs", "tickets")

    def __init__(self, specs: Mapping[str, SeriesSpec]) -> None:
        self.specs = dict(specs)
        tickets: list[TicketSeries] = []
        for name, spec in specs.items():
            _check(name, spec)
            if spec.tickets is not None:
                is_ratio = spec.family == "ratio"
                tickets.append(ticket_series(name, spec.tickets, is_ratio=is_ratio))
        self.tickets: Sequence[TicketSeries] = tuple(tickets)
        by_measure: dict[Measure, list[str]] = {}
        for name in sorted(specs, key=lambda name: specs[name].tickets is not None):
            measure = specs[name].measures
            if measure is not None:
                by_measure.setdefault(measure, []).append(name)
        self._by_measure: Mapping[Measure, Sequence[str]] = {
            measure: tuple(names) for measure, names in by_measure.items()
        }

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self.specs)

    def get(self, series: str) -> SeriesSpec | None:
        """Return what is known of a series; None where nothing is."""
        return self.specs.get(series)

    def metric(self, name: str, *, is_ratio: bool) -> SeriesSpec:
        """Return how a metric is judged.

        Args:
            name: Of the metric.
            is_ratio: Whether it is sent as both counts; where it is known as something else, it
                is judged as if unknown.
        """
        found = self.specs.get(name)
        if found is None or found.tickets is not None or (found.family == "ratio") is not is_ratio:
            return UNKNOWN_RATIO if is_ratio else UNKNOWN_GAUGE
        return found

    def is_ticket(self, name: str) -> bool:
        """Return whether a series of tickets has this name."""
        found = self.specs.get(name)
        return found is not None and found.tickets is not None

    def ticket(self, name: str) -> SeriesSpec:
        """Return how a series of tickets is judged.

        Raises:
            ValueError: no series of tickets has this name.
        """
        found = self.specs.get(name)
        if found is None or found.tickets is None:
            raise ValueError(f"unknown series {name!r}")
        return found

    def role(self, series: str) -> Role:
        """Return what a series speaks for; an unknown one for supply."""
        found = self.specs.get(series)
        return "supply" if found is None else found.role

    def measure(self, series: str) -> Measure | None:
        """Return what a series measures; None where that is not known."""
        found = self.specs.get(series)
        return None if found is None else found.measures

    def is_wait(self, series: str) -> bool:
        """Return whether a series is the wait of contacts, which an objective bounds."""
        return self.measure(series) in _WAITS

    def shows_queue(self, series: str) -> bool:
        """Return whether a series shows how contacts wait, also that they do not."""
        found = self.specs.get(series)
        return found is not None and found.role == "queue" and found.shows_queue

    def measuring(self, measure: Measure) -> Sequence[str]:
        """Return the series that measure this: metrics first, then series of tickets."""
        return self._by_measure.get(measure, ())

    def measured(self, values: Mapping[str, tuple[float, float]]) -> dict[Measure, str]:
        """Return the series of each measure, of those that have a value."""
        return {
            measure: name
            for measure, names in self._by_measure.items()
            for name in reversed(names)
            if name in values
        }


def _check(name: str, spec: SeriesSpec) -> None:
    """Raise ValueError where an entry contradicts itself."""
    if name.startswith(TICKETS) is not (spec.tickets is not None):
        raise ValueError(f"{name}: `tickets` is for names that begin with {TICKETS!r}")
    try:
        msgspec.convert(name.removeprefix(TICKETS), MetricName)
    except msgspec.ValidationError:
        raise ValueError(f"{name!r}: not a valid name of a metric") from None
    if (spec.role == "exceptions") is not (spec.exception is not None):
        raise ValueError(f"{name}: `exception` is for the role `exceptions`, which needs it")
    if spec.role != "queue" and not spec.shows_queue:
        raise ValueError(f"{name}: `shows_queue` is for the role `queue`")


def parse(text: bytes) -> Registry:
    """Read the registry.

    Args:
        text: TOML, a table of `SeriesSpec` by name.

    Raises:
        ValueError: an entry is refused; the message names it.
    """
    specs: dict[str, SeriesSpec] = {}
    for name, entry in msgspec.toml.decode(text, type=dict[str, dict[str, object]]).items():
        try:
            specs[name] = msgspec.convert(entry, _Entry)
        except msgspec.ValidationError as error:
            raise ValueError(f"{name}: {error}") from None
    return Registry(specs)
